/** The options of `patchdrop export`; what is absent is taken from the run. */
import { z } from "zod";
import { dataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { tta } from "./engine-group.ts";
import { runModelGroup } from "./model-group.ts";
import { checkpoint, folder, whole } from "./option.ts";
import { runFill } from "./policy-group.ts";

const { data_dir, dataset } = dataGroup;
const { threads, torch } = deviceGroup;

export const exportSchema = z.strictObject({
  load: checkpoint("run folder, checkpoint, or patchdrop:NAME of `patchdrop models` to export"),
  out: folder("folder to write"),
  batch_size: whole(1).optional().describe("fixed batch size of the models; any number when absent"),
  images: whole(1)
    .default(8)
    .describe("number of images for the comparison with libtorch, from the test set if it is there"),
  ...runModelGroup,
  data_dir,
  dataset,
  fill: runFill,
  tta,
  threads,
  torch,
});
export type ExportOptions = z.infer<typeof exportSchema>;
