/** What a run's policy does with single images, as pictures for a person to look at. */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { type Dataset, readImages, roomFor } from "../data/dataset.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import type { Choice } from "../method/budget.ts";
import { type Composite, composite, compositeOf } from "../method/composite.ts";
import type { Grid } from "../method/grid.ts";
import type { Exit } from "../method/leave-early.ts";
import { enlargePixels } from "../method/pixels.ts";
import { softmax } from "../method/planes.ts";
import { calibratedChoice, choiceOf } from "../options/choice-options.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import type { PictureOptions } from "../options/picture-group.ts";
import type { PixelArray } from "../utils/pixel-array.ts";
import { type Reporter, silentReporter } from "../utils/reporter.ts";
import { row } from "../utils/rows.ts";
import { withEvaluatedRun } from "./evaluated-run.ts";
import { type Deciding, decidedBy } from "./masks.ts";

export interface Shown {
  index: number;
  /** Bytes [size, size, 3] each. */
  image: Uint8Array;
  lowResolution: Uint8Array;
  masked: Uint8Array;
  grid: Grid;
  probabilities: number[];
  mask: number[];
  label: string;
  prediction: string;
  /** Probability of the predicted class. */
  confidence: number;
  correct: boolean;
}

/** How images are shown, where it is not as the options' flags and the bands' names say. */
export interface ShowOptions {
  /** How patches are chosen. */
  readonly choice?: Choice | undefined;
  /** When images leave early. */
  readonly exit?: Exit | undefined;
  /** Which bands are red, green and blue. */
  readonly composite?: PictureOptions["composite"];
}

/** @throws usage: bands that the run of a policy has not */
export function checkComposite({ networks, config }: Checkpoint, asked: ShowOptions["composite"]): void {
  if (config.description !== undefined && networks.has("agent")) compositeOf(config.description, asked);
}

/** Runs the checkpoint on the images `indices` of the split that is evaluated. */
export async function showImages(
  options: EvalOptions,
  indices: Uint32Array,
  { choice, exit, composite: asked }: ShowOptions = {},
  reporter: Reporter = silentReporter,
): Promise<Shown[]> {
  const checkpoint = openCheckpoint(options.load);
  return withEvaluatedRun(checkpoint, options, { reporter }, ({ run, split, seed }) => {
    const chosen =
      choice ?? choiceOf(options, run.model.grid.patches, () => calibratedChoice(checkpoint.path, options));
    const bands = compositeOf(run.description, asked);
    return shownBy(
      { run: exit === undefined ? run : run.leavingAt(exit), split, seed, choice: chosen, bands },
      indices,
    );
  });
}

/** A run with what it is shown, and how it chooses. */
export interface Showing {
  readonly run: OpenedRun;
  readonly split: Dataset;
  /** Of random choices. */
  readonly seed: number;
  readonly choice: Choice;
  /** Which are red, green and blue; by their names when absent. */
  readonly bands?: Composite | undefined;
}

/** What the run does with the images `indices` of the split. */
export async function shownBy({ run, split, seed, choice, bands }: Showing, indices: Uint32Array): Promise<Shown[]> {
  const images = roomFor(split, indices.length);
  const read = await readImages(split, indices, images);
  const deciding = decidedBy(run, choice, seed, (i) => read[i]);
  const found = await look(run, { images, count: read.length }, deciding);
  return Array.from(read, (index, i) => {
    const own = { ...found(i), pixels: row(images, i, images.length / read.length) };
    return shown({ run, split, bands }, index, own);
  });
}

/** What the networks say about an image, and the image. */
interface Seen {
  /** As the split has them. */
  readonly pixels: PixelArray;
  /** [P] */
  readonly probabilities: Float32Array;
  /** [P] */
  readonly mask: Uint8Array;
  /** Probabilities of the classes, [K]. */
  readonly classes: Float32Array;
}

/** Of the i-th of `count` images. */
async function look(
  run: OpenedRun,
  { images, count }: { readonly images: PixelArray; readonly count: number },
  deciding: Deciding,
): Promise<(i: number) => Omit<Seen, "pixels">> {
  const { patches } = run.model.grid;
  const held = run.hold({ images });
  try {
    const { mask, probabilities } = await deciding({ held, first: 0, count, patches });
    const classes = softmax(await held.logits(mask), run.classes.length);
    return (i) => ({
      probabilities: row(probabilities, i, patches),
      mask: row(mask, i, patches),
      classes: row(classes, i, run.classes.length),
    });
  } finally {
    held.free();
  }
}

function shown(
  { run, split, bands }: Pick<Showing, "run" | "split" | "bands">,
  index: number,
  { pixels, probabilities, mask, classes }: Seen,
): Shown {
  const { imageSize, lowSize, channels } = run.model;
  const { images: image, low } = run.views(pixels);
  const { description } = run;
  // Of another sensor's values, the sharp image's percentiles say nothing.
  const seenLow = description.low && { ...description, normalization: description.low, stretch: undefined };
  const picture = (of: PixelArray, how: typeof description = description) => composite(of, how, bands).slice();
  const best = classes.indexOf(Math.max(...classes));
  return {
    index,
    image: picture(image),
    lowResolution: picture(enlargePixels(low, lowSize, imageSize, channels), seenLow),
    masked: picture(run.seen(image, mask, low)),
    grid: run.model.grid,
    probabilities: Array.from(probabilities),
    mask: Array.from(mask),
    label: split.classes[split.labels[index]],
    prediction: split.classes[best],
    confidence: classes[best],
    correct: best === split.labels[index],
  };
}
