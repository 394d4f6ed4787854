/** The options of `patchdrop report`; what is absent is taken from each run. */
import { z } from "zod";
import { asInRun, evalSchema } from "./eval-options.ts";

const { policy, budget, threshold, ckpt_lr_cl, split } = evalSchema.shape;
const { data_dir, dataset, skip_bad, num_workers, seed, device, precision, threads, torch } = asInRun.shape;

export const reportSchema = z.strictObject({
  out: z.string().default("report.html").describe("file for the page"),
  title: z.string().default("PatchDrop report").describe("heading of the page"),
  sweep: z.boolean().default(true).describe("accuracy against the number of patches, which takes the most time"),
  policy,
  budget,
  threshold,
  ckpt_lr_cl,
  split,
  data_dir,
  dataset,
  skip_bad,
  num_workers,
  seed,
  device,
  precision,
  threads,
  torch,
});
export type ReportOptions = z.infer<typeof reportSchema>;
