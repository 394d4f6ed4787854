/** The options that say where images come from. */
import { z } from "zod";
import { datasetNames } from "../data/dataset-registry.ts";
import { folder, whole } from "./option.ts";

/** Of whatever decodes pictures. */
export const maxImageBytes = whole(1)
  .optional()
  .describe("most bytes that decoding one image may take, and all under way together; 536870912 when absent");

export const dataGroup = {
  data_dir: folder("folder or archive of the data set; not needed with --dataset synthetic").optional(),
  dataset: z.enum(datasetNames).optional().describe("data set; recognized from --data_dir when absent"),
  download: z.boolean().default(false).describe("fetch the official CIFAR archive into --data_dir if it is not there"),
  skip_bad: whole(0).default(0).describe("number of unreadable image files to leave out before giving up"),
  num_workers: whole(0)
    .optional()
    .describe("number of threads that decode image files; as many as processors when absent"),
  max_image_bytes: maxImageBytes,
};

/** For an existing run, to override what it was trained with. */
export const runDataGroup = {
  ...dataGroup,
  skip_bad: whole(0)
    .optional()
    .describe("number of unreadable image files to leave out before giving up; the run's when absent"),
};
