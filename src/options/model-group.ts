/** The options that say which model: of a stage, with their defaults, and of a run that is there, over what it was trained with. */
import { z } from "zod";
import { text, whole } from "./option.ts";

const variant = z.enum(["2019", "2020"]);
const side = whole(1).optional();

export const modelGroup = {
  model: text(
    "name",
    "model, as `patchdrop models` lists them; when absent, that of the checkpoints, or the one that suits the data",
  ).optional(),
  variant: variant
    .optional()
    .describe(
      "networks and sizes of the authors' first or second public version; when absent, the checkpoints', or 2019",
    ),
  img_size: side.describe("side of the high-resolution image in pixels; the model's when absent"),
  lr_size: side.describe("side of the low-resolution image; a quarter of the image's when absent"),
  patch_size: side.describe("side of a patch; a quarter of the image's when absent"),
};

export const runModelGroup = {
  model: text("name", "model; the run's when absent").optional(),
  variant: variant.optional().describe("networks and sizes of which version; the run's when absent"),
  img_size: side.describe("side of the high-resolution image in pixels; the run's when absent"),
  lr_size: side.describe("side of the low-resolution image; the run's when absent"),
  patch_size: side.describe("side of a patch; the run's when absent"),
};
