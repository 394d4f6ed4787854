/** The options that say which model: for a stage, with their defaults, and for an existing run, to override its own. */
import { z } from "zod";
import { patchSizeSchema } from "../checkpoints/description.ts";
import { archNames } from "../method/arch.ts";
import type { GridSize } from "../method/grid.ts";
import { shownAs, text, whole } from "./option.ts";

const variant = z.enum(["2019", "2020"]);
const arch = z.enum(archNames).optional();
const side = whole(1).optional();
const patchSize = shownAs("n|WxH", patchSizeSchema).optional();

const gridRule = "must be columns x rows, such as 3x5";
const gridSchema = z
  .string(gridRule)
  .regex(/^[1-9]\d{0,2}x[1-9]\d{0,2}$/, gridRule)
  .transform((text) => text as GridSize);

export const modelGroup = {
  model: text(
    "model",
    "model, as `patchdrop models` lists them; when absent, that of the checkpoints, or the one that suits the data",
  ).optional(),
  variant: variant
    .optional()
    .describe(
      "networks and sizes of the authors' first or second public version; when absent, the checkpoints', or 2019",
    ),
  arch: arch.describe(
    "the classifier in place of the model's own: speedrun, for images of CIFAR's size, learns in minutes; patches does no work for patches that are not there; the checkpoints' when absent",
  ),
  img_size: side.describe("side of the high-resolution image in pixels; the model's when absent"),
  lr_size: side.describe("side of the low-resolution image; a quarter of the image's when absent"),
  patch_size: patchSize.describe(
    "side of a patch, or width x height as 28x56; a quarter of the image's side when absent",
  ),
  grid: shownAs("CxR", gridSchema)
    .optional()
    .describe("columns x rows of patches, such as 3x5, in place of --patch_size; they must divide the image's side"),
};

export const runModelGroup = {
  arch: arch.describe("the classifier in place of the model's own; the run's when absent"),
  model: text("model", "model; the run's when absent").optional(),
  variant: variant.optional().describe("version of networks and sizes; the run's when absent"),
  img_size: side.describe("side of the high-resolution image in pixels; the run's when absent"),
  lr_size: side.describe("side of the low-resolution image; the run's when absent"),
  patch_size: patchSize.describe("side of a patch, or width x height; the run's when absent"),
};
