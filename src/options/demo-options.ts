/** The options of `patchdrop demo`. */
import { z } from "zod";
import { whole } from "./option.ts";

export const demoSchema = z.strictObject({
  port: whole(0).max(65_535).default(4173).describe("port on this machine; 0 takes any that is free"),
});
