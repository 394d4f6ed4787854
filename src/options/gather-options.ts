/** The options of `patchdrop gather`. */
import { z } from "zod";
import { folder } from "./option.ts";

export const gatherSchema = z.strictObject({
  out: folder("folder for the sums; must not exist yet").optional(),
});
