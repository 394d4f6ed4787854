/** The options of `patchdrop run` and `patchdrop quickstart`, which go over what the experiment file says. */
import { z } from "zod";
import { dataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { folder } from "./option.ts";
import { seed } from "./training-group.ts";

const { data_dir } = dataGroup;
const { threads, torch } = deviceGroup;

export const runSchema = z.strictObject({
  out: folder("folder of the results (default: runs/<name of the file>)").optional(),
  data_dir: data_dir.describe("folder of the data set, over common in the file"),
  seed: seed.optional().describe("seed, over common in the file"),
  threads: threads.describe("threads of libtorch, over common in the file"),
  torch: torch.describe("folder of the PyTorch to use, over common in the file"),
});
export type RunOptions = z.infer<typeof runSchema>;

export const quickstartSchema = z.strictObject({
  out: folder("folder of the results").default("runs/quickstart"),
  seed: seed.optional().describe("seed of data and training"),
  threads,
  torch,
});
