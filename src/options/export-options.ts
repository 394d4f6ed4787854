/** The options of `patchdrop export`: one schema gives the flags, the help with its defaults, and the checks. */
import { z } from "zod";
import { asInRun } from "./eval-options.ts";

/** What `patchdrop export` takes; what is absent is taken from the run. */
export const exportSchema = z.strictObject({
  load: z.string().describe("run folder or checkpoint to export (required)"),
  out: z.string().describe("folder to make (required)"),
  batch: z.int().min(1).optional().describe("images a run of the models; any number when absent"),
  images: z.int().min(1).default(8).describe("images to compare with libtorch on, of the test set if it is there"),
  ...asInRun.pick({
    model: true,
    variant: true,
    img_size: true,
    lr_size: true,
    patch_size: true,
    data_dir: true,
    dataset: true,
    fill: true,
    threads: true,
    torch: true,
  }).shape,
});
export type ExportOptions = z.infer<typeof exportSchema>;
