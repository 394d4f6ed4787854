/** The options of `patchdrop data`. */
import { z } from "zod";
import { isGenerated } from "../data/dataset-registry.ts";
import { mostThreads } from "../utils/threads.ts";
import { bands as bandsOfFiles, dataGroup } from "./data-group.ts";
import { folder, whole } from "./option.ts";

const { dataset, max_image_bytes, bands, scale } = dataGroup;

/** As many as keep libuv's four threads busy. */
const num_workers = whole(1, mostThreads).default(8);

export const fmowSchema = z.strictObject({
  input: folder("folder with train/, val/, test/ or seq/ as fMoW-rgb has them"),
  out: folder("folder of the crops and their lists"),
  num_workers: num_workers.describe("number of images to work on at once"),
  skip_bad: whole(0).default(0).describe("number of unusable boxes or files to leave out before giving up"),
});

export const checkSchema = z.strictObject({
  data_dir: folder("folder of class folders, or of train.csv and test.csv"),
  num_workers: num_workers.describe("number of images to decode at once"),
  max_image_bytes,
  bands,
  scale,
});

/** As of what is required. */
const mustBeGiven = "must be given";

export const statsSchema = z
  .strictObject({
    ...checkSchema.shape,
    data_dir: checkSchema.shape.data_dir.optional(),
    dataset: dataset.describe(
      "data set; recognized from --data_dir when absent; synthetic_bands needs no other option",
    ),
    bands: bandsOfFiles
      .optional()
      .describe(
        "the bands to measure: by number (counted from 1), or by the files' names; red, green and blue of pictures when absent",
      ),
  })
  .refine(({ dataset, data_dir }) => isGenerated(dataset) || data_dir !== undefined, {
    path: ["data_dir"],
    message: mustBeGiven,
  });

export const splitSchema = z.strictObject({
  data_dir: folder("folder of class folders, <class>/…"),
  test_fraction: z
    .number()
    .gt(0)
    .lt(1)
    .default(0.2)
    .describe("share of each class's images that are to be test images"),
});
