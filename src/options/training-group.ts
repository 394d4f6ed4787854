/** The options that say how long and how fast a stage learns, and where it writes. What has no default here has one in each stage. */
import { z } from "zod";
import { folder, whole } from "./option.ts";

const positive = z.number().positive();

export const seed = whole(0);

export const trainingGroup = {
  cv_dir: folder("run folder: configuration, metrics, checkpoints").default("runs/last"),
  resume: z.boolean().default(false).describe("go on with the run in --cv_dir from its last checkpoint"),
  batch_size: whole(2).describe("images a step"),
  max_epochs: whole(1).describe("epochs in all"),
  test_interval: whole(1).describe("epochs between tests; the last epoch is always tested"),
  lr: positive.describe("learning rate (the highest, with --schedule onecycle)"),
  wd: z.number().min(0).default(0).describe("weight decay"),
  schedule: z.enum(["constant", "multistep", "step", "onecycle"]).describe("learning rate over time"),
  epoch_step: whole(1).default(10_000).describe("epochs between ×0.1 of --schedule step"),
  clip: positive.optional().describe("bound on the gradients' L2 norm; none when absent"),
  seed: seed.default(1).describe("seed of every random number"),
  cuda_graph: z
    .boolean()
    .default(true)
    .describe("with --device cuda, capture a step once as a CUDA graph and replay it"),
  parallel: z.boolean().default(false).describe("accepted for the reference's command lines; no effect on one device"),
};
