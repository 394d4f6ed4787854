/** The options of `patchdrop eval`: what to evaluate, how patches are chosen, and on what. */
import { z } from "zod";
import { selectionShape } from "./selection-options.ts";
import { common, whole } from "./stage-options.ts";

/** How the run is opened; what is absent is taken from it. */
export const asInRun = z.strictObject({
  model: z.string().optional().describe("model; the run's when absent"),
  variant: z.enum(["2019", "2020"]).optional().describe("networks and sizes of which version; the run's when absent"),
  img_size: common.img_size.describe("side of the high-resolution image in pixels; the run's when absent"),
  lr_size: common.lr_size.describe("side of the low-resolution image; the run's when absent"),
  patch_size: common.patch_size.describe("side of a patch; the run's when absent"),
  data_dir: common.data_dir,
  dataset: common.dataset,
  download: common.download,
  skip_bad: common.skip_bad,
  num_workers: common.num_workers,
  fill: z.enum(["zero", "lr"]).optional().describe("what stands where a patch was dropped; as in the run when absent"),
  seed: whole(0).optional().describe("seed of random patches and of the images to calibrate on; the run's when absent"),
  device: common.device,
  precision: common.precision,
  threads: common.threads,
  torch: common.torch,
});

interface Targets {
  target_patches?: number | undefined;
  target_accuracy?: number | undefined;
}

/** What `patchdrop eval` takes. */
export const evalSchema = z
  .strictObject({
    load: z.string().describe("run folder or checkpoint to evaluate (required)"),
    ...selectionShape,
    target_patches: z
      .number()
      .min(0)
      .optional()
      .describe("mean number of patches an image: a threshold is calibrated on training images and stored"),
    target_accuracy: z
      .number()
      .min(0)
      .max(1)
      .optional()
      .describe("share of images to classify rightly, in the same way: with as few patches as reach it"),
    sweep: z
      .boolean()
      .default(false)
      .describe("accuracy against the number of patches, of the policy and all baselines, and by class"),
    chart: z.string().optional().describe("SVG file for the chart of --sweep"),
    ckpt_hr_cl: z
      .string()
      .optional()
      .describe("high-resolution classifier, if not the one of --load: run folder or checkpoint"),
    ckpt_lr_cl: z
      .string()
      .optional()
      .describe("low-resolution classifier, as a further baseline: run folder or checkpoint"),
    split: z.enum(["test", "train"]).default("test").describe("images to evaluate on"),
    ...asInRun.shape,
  })
  .refine(({ target_patches: patches, target_accuracy: accuracy }) => patches === undefined || accuracy === undefined, {
    path: ["target_accuracy"],
    message: "must be left out where --target_patches is given",
  })
  .refine((given) => !hasTarget(given) || (given.policy ?? "threshold") === "threshold", {
    path: ["policy"],
    message: "must be threshold where a target is given, which calibrates one",
  })
  .refine((given) => !hasTarget(given) || given.threshold === undefined, {
    path: ["threshold"],
    message: "must be left out where a target is given, which calibrates it",
  })
  .refine(({ sweep, policy }) => !sweep || policy !== "sample", {
    path: ["policy"],
    message: "must be threshold or topk with --sweep, which goes along one of them",
  })
  .refine(({ sweep, chart }) => sweep || chart === undefined, {
    path: ["chart"],
    message: "must go with --sweep, of which it is the chart",
  });
export type EvalOptions = z.infer<typeof evalSchema>;

function hasTarget({ target_patches: patches, target_accuracy: accuracy }: Targets): boolean {
  return patches !== undefined || accuracy !== undefined;
}
