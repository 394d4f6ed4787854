/**
 * What a trained run's networks are and how they are fed: all that whoever opens a checkpoint must know. It is part of each
 * checkpoint (`state.json`) and, as metadata, of each exported model. Which networks there are, their files say.
 */
import { z } from "zod";
import { archNames } from "../method/arch.ts";
import { sidesOf } from "../method/grid.ts";
import { mostBands, pixelTypes } from "../utils/pixel-array.ts";
import { scaleDiffers } from "../utils/scale-differs.ts";

/** As the option `--bands` has it, too. */
export const bandsRule =
  "must be 1 to 16 bands, by their numbers counted from 1, or by their names, such as 3,2,1 or red,nir";
/** As the option `--scale` has it, too. */
export const scaleRule = "must be the values of black and white, such as 0,3000";

const side = z.int().positive();
/** A name begins with a letter, and has no comma: commas stand between bands. */
export const bandName = /^\p{L}[^,\p{Cc}]{0,99}$/u;
const band = z.union([z.int().min(1).max(999), z.string().regex(bandName)]);
/** As the option `--patch_size` has it, too. */
export const patchSizeSchema = z
  .union(
    [side, z.templateLiteral([side, "x", side])],
    "must be a whole number of pixels above 0, or width x height such as 28x56",
  )
  // In a text the schema only sees whole numbers.
  .refine(
    (size) => typeof size === "number" || sidesOf(size).every((one) => one > 0),
    "must have a width and a height above 0",
  );
/** What the values of a TIFF's bands mean, where its user had to say it (data/rendering.ts). */
export const renderingSchema = z.object({
  /** Numbers counted from 1, or names; three numbers are red, green and blue. */
  bands: z.array(band, bandsRule).min(1, bandsRule).max(mostBands, bandsRule).readonly().optional(),
  /** The values of black and white. */
  scale: z
    .tuple([z.number(), z.number()], scaleRule)
    .refine(...scaleDiffers)
    .readonly()
    .optional(),
});
const perChannel = z.array(z.number()).min(1);
const statistics = z.object({ mean: perChannel, std: z.array(z.number().positive()).min(1) });

const fields = z.object({
  /** As `patchdrop models` has it. */
  model: z.string(),
  variant: z.enum(["2019", "2020"]),
  /** The classifier's network, where it is not the model's own. */
  arch: z.enum(archNames).optional(),
  /** Sides in pixels: of the high-resolution image, and of the low-resolution one. */
  imageSize: side,
  lowSize: side,
  /** Of a patch in pixels: its side, or, of one that is not square, "width x height" as 28x56. */
  patchSize: patchSizeSchema,
  /** What the channels are, in order: "red", "green", "blue". */
  bands: z.array(z.string()).min(1).max(mostBands),
  /** Whether images are bytes, or measured values. */
  pixelType: z.enum(pixelTypes).default("uint8"),
  /** How a picture of any size becomes the model's image (data/transforms.ts). */
  transform: z.enum(["cifar", "imagenet", "fmow"]),
  rendering: renderingSchema.optional(),
  /** By channel: (x / 255 − mean) / std of bytes, (x − mean) / std of measured values. */
  normalization: statistics,
  /** Of measured values, by channel: what is black and white where a person looks at them; runs of before 0.2.0 have none. */
  stretch: z.object({ black: perChannel, white: perChannel }).optional(),
  /**
   * Of a run that has learned from pairs: the low resolution is made of another picture of the same ground, and these are the statistics
   * of its bands. Absent: it is made of the image itself.
   */
  low: statistics.optional(),
  /** What dropped patches are filled with: 0 after normalization, or the low resolution. */
  fill: z.enum(["zero", "lr"]),
  /** In how many rounds the policy decides, at most; those of older runs decide once. */
  rounds: z.int().min(1).default(1),
  /** What the policy's outputs are made of (models/registry.ts). */
  policyHead: z.enum(["mean", "map"]).default("mean"),
  /** Names; a label is an index into the list. */
  classes: z.array(z.string()).min(1),
  /** How patches are chosen from the policy's probabilities, unless its user says otherwise. */
  choice: z.object({ policy: z.literal("threshold"), threshold: z.number().min(0) }),
});

/** Each rule with what it is of. */
const rules: readonly (readonly [keyof Fields, string, (said: Fields) => boolean])[] = [
  ...(["normalization", "low"] as const).flatMap(
    (field): (readonly [keyof Fields, string, (said: Fields) => boolean])[] => [
      [
        field,
        "must have one mean and one std per band",
        ({ bands, [field]: said }) =>
          said === undefined || [said.mean, said.std].every((one) => one.length === bands.length),
      ],
      [
        field,
        "must be in units of 0..1",
        ({ pixelType, [field]: said }) => {
          if (pixelType !== "uint8" || said === undefined) return true;
          return [...said.mean, ...said.std].every((value) => value >= 0 && value <= 1);
        },
      ],
    ],
  ),
  [
    "stretch",
    "must have one black and one white per band",
    ({ bands, stretch }) => {
      return stretch === undefined || [stretch.black, stretch.white].every(({ length }) => length === bands.length);
    },
  ],
  ["classes", "must be names that differ", ({ classes }) => new Set(classes).size === classes.length],
  ["lowSize", "must divide imageSize", ({ imageSize, lowSize }) => imageSize % lowSize === 0],
  [
    "patchSize",
    "must divide imageSize",
    ({ imageSize, patchSize }) => sidesOf(patchSize).every((side) => imageSize % side === 0),
  ],
];
type Fields = z.infer<typeof fields>;

export const descriptionSchema = fields.superRefine((said, context) => {
  for (const [field, message, holds] of rules) {
    if (!holds(said)) context.addIssue({ code: "custom", path: [field], message });
  }
});

type Described = z.infer<typeof descriptionSchema>;

/** What one must know of a run to apply it to images; part of every checkpoint. Sizes are sides in pixels. */
export interface RunDescription
  extends Readonly<Omit<Described, "bands" | "classes" | "normalization" | "stretch" | "low">> {
  readonly bands: readonly string[];
  readonly classes: readonly string[];
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
  readonly stretch?: { readonly black: readonly number[]; readonly white: readonly number[] } | undefined;
  readonly low?: RunDescription["normalization"] | undefined;
}
