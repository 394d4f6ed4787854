/** The options that say how long and how fast a stage learns, and where it writes. Those without a default get one in each stage. */
import { z } from "zod";
import { folder, onByDefault, shownAs, whole } from "./option.ts";

const positive = z.number().positive();
const saveRule = "must be a number of steps above 0, or of minutes such as 30m";
const minutes = z.string().regex(/^[1-9]\d{0,5}m$/, saveRule);

export const seed = whole(0);

export const trainingGroup = {
  cv_dir: folder("run folder: configuration, metrics, checkpoints").default("runs/last"),
  resume: z.boolean().default(false).describe("continue the run in --cv_dir from its last checkpoint"),
  batch_size: whole(2).describe("images per step, over all ranks"),
  max_epochs: whole(1).describe("total number of epochs"),
  val_fraction: z
    .number()
    .min(0)
    .max(0.5)
    .default(0)
    .describe(
      "share of the training images that are held out, to choose best on them and not on test images; for data without val/",
    ),
  patience: whole(1)
    .optional()
    .describe("stop after so many tests in a row without a better one than best's; at --max_epochs when absent"),
  test_interval: whole(1).describe("epochs between tests; the last epoch is always tested"),
  save_interval: shownAs("n|Nm", z.union([z.int(saveRule).min(1, saveRule), minutes], saveRule))
    .default("10m")
    .describe("save inside an epoch too, so many steps after the last save, or minutes such as 30m"),
  lr: positive.describe("learning rate; with --schedule onecycle, the highest"),
  wd: z.number().min(0).default(0).describe("weight decay"),
  schedule: z.enum(["constant", "multistep", "step", "onecycle", "linear"]).describe("learning rate over time"),
  epoch_step: whole(1)
    .default(10_000)
    .describe("with --schedule step: number of epochs after which the rate is multiplied by 0.1"),
  clip: positive.optional().describe("upper bound of the gradients' L2 norm; none when absent"),
  turns: z
    .boolean()
    .default(false)
    .describe("flip and turn training images, all eight ways alike: for scenes seen from above"),
  profile: z
    .boolean()
    .default(false)
    .describe("measure what the time goes to: a table at the end, profile.json in the run folder, and in reports"),
  seed: seed.default(1).describe("seed of every random number"),
  cuda_graph: onByDefault(
    "with --device cuda, capture a step once as a CUDA graph and replay it",
    "with --device cuda, do not capture steps as a CUDA graph",
  ),
  shards: whole(2)
    .refine((shards) => shards < 2 || Number.isInteger(Math.log2(shards)), "must be a power of two")
    .optional()
    .describe(
      "divide each batch into so many shards, a power of two, with batch-norm statistics of their own: the result is the same to the bit on any number of ranks that divides it; one for each rank when absent",
    ),
  parallel: z
    .boolean()
    .default(false)
    .describe(
      "with --device cuda, train on all GPUs of this machine: one rank each, started by Open MPI's mpirun; on CPUs, start them yourself: mpirun -n 2 patchdrop …",
    ),
};
