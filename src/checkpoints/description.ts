/**
 * What a trained run's networks are and how they are fed: all that whoever opens a checkpoint must know. It is part of each
 * checkpoint (`state.json`) and, as metadata, of each exported model. Which networks there are, their files say.
 */
import { z } from "zod";

const side = z.int().positive();
/** As the option `--patch_size` has it, too. */
export const patchSizeSchema = z.union(
  [side, z.templateLiteral([side, "x", side])],
  "must be a whole number of pixels above 0, or width x height such as 28x56",
);
const perChannel = z.array(z.number()).min(1);

export const descriptionSchema = z.object({
  /** As `patchdrop models` has it. */
  model: z.string(),
  variant: z.enum(["2019", "2020"]),
  /** Sides in pixels: of the high-resolution image, and of the low-resolution one. */
  imageSize: side,
  lowSize: side,
  /** Of a patch in pixels: its side, or, of one that is not square, "width x height" as 28x56. */
  patchSize: patchSizeSchema,
  /** What the channels are, in order: "red", "green", "blue". */
  bands: z.array(z.string()).min(1),
  /** How a picture of any size becomes the model's image (data/transforms.ts). */
  transform: z.enum(["cifar", "imagenet", "fmow"]),
  /** (x / 255 − mean) / std, by channel. */
  normalization: z.object({ mean: perChannel, std: z.array(z.number().positive()).min(1) }),
  /** What stands where a patch was dropped: 0 after normalization, or the low resolution. */
  fill: z.enum(["zero", "lr"]),
  /** Names; a label is an index into the list. */
  classes: z.array(z.string()).min(1),
  /** How patches are chosen from the policy's probabilities, unless its user says otherwise. */
  choice: z.object({ policy: z.literal("threshold"), threshold: z.number().min(0) }),
});

type Described = z.infer<typeof descriptionSchema>;

export interface RunDescription extends Readonly<Omit<Described, "bands" | "classes" | "normalization">> {
  readonly bands: readonly string[];
  readonly classes: readonly string[];
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
}
