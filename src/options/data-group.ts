/** The options that say where images come from. */
import { z } from "zod";
import { bandName, bandsRule, scaleRule } from "../checkpoints/description.ts";
import { datasetNames } from "../data/dataset-registry.ts";
import { mostBands } from "../utils/pixel-array.ts";
import { scaleDiffers } from "../utils/scale-differs.ts";
import { mostThreads } from "../utils/threads.ts";
import { folder, shownAs, whole } from "./option.ts";

/** Of whatever decodes pictures. */
export const maxImageBytes = whole(1)
  .optional()
  .describe("most bytes that decoding one image may take, and all under way together; 536870912 when absent");

const number = z.number();

/**
 * A text with commas between its numbers; a file or a program may have a list of them.
 * @param rule what is said of any other value
 */
function numbersAs<L extends z.ZodType<readonly number[], readonly number[]>>(list: L, form: RegExp, rule: string) {
  const given = z.union([z.string(), list], rule);
  return given.transform(String).pipe(z.string().regex(form, rule));
}

/** "3,2,1" as three numbers, "red,nir" as two names. */
export const bands = shownAs(
  "band,…",
  z
    .union([z.string(), z.array(z.union([number, z.string()])).readonly()], bandsRule)
    .transform((given) => (typeof given === "string" ? given.split(",").map(bandOf) : given))
    .refine((list) => list.length > 0 && list.length <= mostBands && list.every(isBand), bandsRule),
);

/** The number in a text, or the text. */
function bandOf(text: string): number | string {
  return /^[1-9]\d*$/.test(text) ? Number(text) : text;
}

function isBand(band: number | string): boolean {
  return typeof band === "string" ? bandName.test(band) : Number.isInteger(band) && band >= 1 && band <= 999;
}

/** "0,3000" as two numbers that differ. */
export const scale = shownAs(
  "black,white",
  numbersAs(z.tuple([number, number]).readonly(), /^-?\d+(\.\d+)?(e[-+]?\d+)?,-?\d+(\.\d+)?(e[-+]?\d+)?$/, scaleRule)
    .transform((text): readonly [number, number] => {
      const [black, white] = text.split(",").map(Number);
      return [black, white];
    })
    .refine((values) => values.every(Number.isFinite), scaleRule)
    .refine(...scaleDiffers),
);

/** What the values of image files mean, where they are no colours. */
const renderingGroup = {
  bands: bands
    .optional()
    .describe(
      "of TIFF images, the bands to take: 1 to 16, by number (counted from 1) or by the file's names; three numbers are red, green and blue",
    ),
  scale: scale
    .optional()
    .describe(
      "of TIFF images with other values than bytes, which values become black and white; measured values stay as they are when absent",
    ),
};

export const dataGroup = {
  data_dir: folder("folder or archive of the data set; not needed with --dataset synthetic").optional(),
  dataset: z.enum(datasetNames).optional().describe("data set; recognized from --data_dir when absent"),
  download: z.boolean().default(false).describe("fetch the official CIFAR archive into --data_dir if it is not there"),
  skip_bad: whole(0).default(0).describe("number of unreadable image files to leave out before giving up"),
  num_workers: whole(0, mostThreads)
    .optional()
    .describe("number of threads that decode image files; as many as processors when absent"),
  max_image_bytes: maxImageBytes,
  ...renderingGroup,
};

/** For an existing run, to override what it was trained with. */
export const runDataGroup = {
  ...dataGroup,
  bands: renderingGroup.bands.describe("which bands of TIFF images are taken; as in the run when absent"),
  scale: renderingGroup.scale.describe("which values of TIFF images become black and white; as in the run when absent"),
  skip_bad: whole(0)
    .optional()
    .describe("number of unreadable image files to leave out before giving up; the run's when absent"),
};
