/** The options of `patchdrop headroom`: whose classifier, at which budgets, on which images. */
import { z } from "zod";
import { runDataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { evaluationGroup } from "./eval-options.ts";
import { runModelGroup } from "./model-group.ts";
import { checkpoint, distinctNumbers, svgFile } from "./option.ts";
import { parseWith } from "./parse.ts";
import { runFill } from "./policy-group.ts";

const notBudgets = "must be numbers of patches above 0, each once, such as 2,4,8";
const budgets = distinctNumbers("k,k,…", notBudgets, { minimum: 1 });

/** What `patchdrop headroom` takes. */
export const headroomSchema = z.strictObject({
  load: checkpoint("classifier, best one trained with --random_masks: run folder, checkpoint, or patchdrop:NAME"),
  budgets: budgets.optional().describe("numbers of patches to ask about; an eighth to a half of them when absent"),
  split: evaluationGroup.split
    .unwrap()
    .optional()
    .describe("images to measure on; those that the run held out when absent, else test images"),
  judge: checkpoint(
    "another classifier of the same data, trained by itself: judges the masks that the first would choose if it knew the label",
  ).optional(),
  chart: svgFile("SVG file for a chart of accuracy against patches, which replaces one of that name").optional(),
  seed: evaluationGroup.seed,
  ...runModelGroup,
  ...runDataGroup,
  fill: runFill,
  ...deviceGroup,
});

export type HeadroomOptions = z.infer<typeof headroomSchema>;

/** @throws kind "usage" with all faults at once */
export function parseHeadroomOptions(given: Record<string, unknown>): HeadroomOptions {
  return parseWith(headroomSchema, given, "headroom");
}
