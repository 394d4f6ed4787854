/** The options of `patchdrop profile`: whose networks, on which batches, computed how. */
import { z } from "zod";
import { deviceGroup } from "./device-group.ts";
import { checkpoint, distinctNumbers } from "./option.ts";
import { parseWith } from "./parse.ts";

/** Images of a batch at once: more are no longer a batch but a set. */
const maximum = 4096;
const notSizes = `must be numbers of images of 1 to ${maximum}, each once, such as 1,64`;

/** What `patchdrop profile` takes. */
export const profileSchema = z.strictObject({
  load: checkpoint("run folder, checkpoint, or patchdrop:NAME whose networks are timed"),
  batch_size: distinctNumbers("n,n,…", notSizes, { minimum: 1, maximum })
    .optional()
    .describe("images per batch, each measured by itself; 1,64 when absent"),
  ...deviceGroup,
});

export type ProfileOptions = z.infer<typeof profileSchema>;

/** @throws kind "usage" with all faults at once */
export function parseProfileOptions(given: Record<string, unknown>): ProfileOptions {
  return parseWith(profileSchema, given, "profile");
}
