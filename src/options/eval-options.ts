/** The options of `patchdrop eval`: what to evaluate, how patches are chosen, and on what. */
import { z } from "zod";
import { choiceGroup } from "./choice-group.ts";
import { runDataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { tta } from "./engine-group.ts";
import { runModelGroup } from "./model-group.ts";
import { checkpoint, svgFile } from "./option.ts";
import { parseWith } from "./parse.ts";
import { runFill } from "./policy-group.ts";
import { seed } from "./training-group.ts";

/** Where and how a run is evaluated; `report` takes these too. */
export const evaluationGroup = {
  ckpt_lr_cl: checkpoint(
    "low-resolution classifier, as a further baseline: run folder, checkpoint, or patchdrop:NAME",
  ).optional(),
  split: z
    .enum(["test", "train", "val"])
    .default("test")
    .describe("images to evaluate on; val: the data's own, or those that the run's --val_fraction held out"),
  seed: seed.optional().describe("seed of random patches and of the images to choose on; the run's when absent"),
};

interface Targets {
  target_patches?: number | undefined;
  target_accuracy?: number | undefined;
}

/** What `patchdrop eval` takes. */
export const evalSchema = z
  .strictObject({
    load: checkpoint("run folder, checkpoint, or patchdrop:NAME of `patchdrop models` to evaluate"),
    ...choiceGroup,
    target_patches: z
      .number()
      .min(0)
      .optional()
      .describe(
        "mean number of patches per image: a threshold is calibrated on validation images, or training images where there are none, and stored",
      ),
    target_accuracy: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe("accuracy to reach, 0 to 1: a threshold with as few patches as possible is calibrated and stored"),
    sweep: z
      .boolean()
      .default(false)
      .describe("accuracy against the number of patches, of the policy and all baselines, and by class"),
    chart: svgFile("SVG file for the chart of --sweep, which replaces one of that name").optional(),
    ckpt_hr_cl: checkpoint(
      "high-resolution classifier, if not the one of --load: run folder, checkpoint, or patchdrop:NAME",
    ).optional(),
    ...evaluationGroup,
    ...runModelGroup,
    arch: runModelGroup.arch.describe(
      "the classifier in place of the model's own; that of --ckpt_hr_cl, or the run's, when absent",
    ),
    ...runDataGroup,
    fill: runFill.describe("what dropped patches are filled with; as in --ckpt_hr_cl, or in the run, when absent"),
    tta,
    ...deviceGroup,
  })
  .refine(({ target_patches: patches, target_accuracy: accuracy }) => patches === undefined || accuracy === undefined, {
    path: ["target_accuracy"],
    message: "can't be combined with --target_patches",
  })
  .refine((given) => !hasTarget(given) || (given.policy ?? "threshold") === "threshold", {
    path: ["policy"],
    message: "can't be combined with --target_patches or --target_accuracy, which calibrate a threshold",
  })
  .refine((given) => !hasTarget(given) || given.threshold === undefined, {
    path: ["threshold"],
    message: "can't be combined with --target_patches or --target_accuracy, which calibrate it",
  })
  .refine(({ sweep, policy }) => !sweep || policy !== "sample", {
    path: ["policy"],
    message: "must be threshold or topk with --sweep",
  })
  .refine(({ sweep, chart }) => sweep || chart === undefined, {
    path: ["chart"],
    message: "needs --sweep, whose chart it is",
  });
/** Options of `patchdrop eval` that were checked, with their defaults. */
export type EvalOptions = z.infer<typeof evalSchema>;

/** Checks the flags of `patchdrop eval`; `load` must be among them. @throws usage, all faults at once */
export function parseEvalOptions(given: Record<string, unknown>): EvalOptions {
  return parseWith(evalSchema, given, "eval");
}

function hasTarget({ target_patches: patches, target_accuracy: accuracy }: Targets): boolean {
  return patches !== undefined || accuracy !== undefined;
}
