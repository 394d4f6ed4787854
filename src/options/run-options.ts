/** The options of `patchdrop run` and `patchdrop quickstart`, which override what the experiment file says. */
import { z } from "zod";
import { dataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { distinctNumbers, folder } from "./option.ts";
import { seed } from "./training-group.ts";

const { data_dir } = dataGroup;
const { threads, torch } = deviceGroup;

const notSeeds = "must be two seeds or more, each once, such as 1,2,3";
const seeds = distinctNumbers("n,n,…", notSeeds, { fewest: 2 });

export const runSchema = z
  .strictObject({
    out: folder("folder of the results (default: runs/<name of the file>)").optional(),
    data_dir: data_dir.describe("folder of the data set; overrides the file's"),
    seed: seed.optional().describe("seed; overrides the file's"),
    seeds: seeds
      .optional()
      .describe("several seeds, each in a folder of its own, seed<n>, and a table of means and intervals over them"),
    threads: threads.describe("number of libtorch's threads; overrides the file's"),
    torch: torch.describe("folder of the PyTorch to use; overrides the file's"),
  })
  .refine(({ seed, seeds }) => seed === undefined || seeds === undefined, {
    path: ["seeds"],
    message: "can't be combined with --seed",
  });
export type RunOptions = z.infer<typeof runSchema>;

export const quickstartSchema = z.strictObject({
  out: folder("folder of the results").default("runs/quickstart"),
  seed: seed.optional().describe("seed of data and training"),
  threads,
  torch,
});
