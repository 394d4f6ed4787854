/** What a run's policy does with single images, as bytes for a person to look at. */

import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import type { Dataset } from "../data/dataset.ts";
import { type OpenedRun, withOpenedRun } from "../inference/opened-run.ts";
import { choosePatches, type Selection } from "../method/budget.ts";
import type { Grid } from "../method/grid.ts";
import { lowResolution, maskPatches } from "../method/images.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import { calibratedSelection, selectionOf } from "../options/selection-options.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray } from "../tensor/tensor.ts";
import { Random } from "../utils/random.ts";
import { type Reporter, silentReporter } from "../utils/reporter.ts";
import { addStreams } from "./evaluate.ts";

export interface Shown {
  index: number;
  /** Bytes [size, size, 3] each. */
  image: Uint8Array;
  lowResolution: Uint8Array;
  masked: Uint8Array;
  probabilities: number[];
  mask: number[];
  label: string;
  prediction: string;
  /** Probability of the predicted class. */
  confidence: number;
  correct: boolean;
}

/**
 * Runs the checkpoint on the images `indices` of the split that is evaluated.
 * @param selection how patches are chosen; as the options' flags say when absent
 */
export async function showImages(
  options: EvalOptions,
  indices: Uint32Array,
  selection?: Selection,
  reporter: Reporter = silentReporter,
): Promise<Shown[]> {
  const checkpoint = openCheckpoint(options.load);
  return withOpenedRun(checkpoint, options, reporter, async (run) => {
    const split = run.setting.data[options.split];
    const chosen =
      selection ?? selectionOf(options, run.setting.model.grid.patches, () => calibratedSelection(checkpoint.path));
    const { imageSize } = run.setting.model;
    const bytes = new Uint8Array(indices.length * imageSize * imageSize * 3);
    const read = await split.read(indices, bytes);
    const said = look(run, bytes, (probabilities, i) => {
      const uniforms = new Random(run.seed, "sampled patches", read[i]).uniforms(
        new Float32Array(probabilities.length),
      );
      return choosePatches(probabilities, chosen, uniforms);
    });
    return Array.from(read, (index, i) => shown(run, split, index, row(bytes, i, read.length), said[i]));
  });
}

/** What the networks say of an image. */
interface Said {
  readonly probabilities: Float32Array;
  readonly mask: Uint8Array;
  /** Probabilities of the classes, [K]. */
  readonly classes: Float32Array;
}

/** @param choose the mask of the i-th image from its probabilities */
function look(
  { setting, networks, fill }: OpenedRun,
  bytes: Uint8Array,
  choose: (probabilities: Float32Array, i: number) => Uint8Array,
): Said[] {
  const { model, normalizer, device } = setting;
  const { patches } = model.grid;
  return scope(() => {
    const images = normalizer.images(bytes, model.imageSize);
    const [batch] = images.shape;
    const low = lowResolution(images, model);
    const wanted = ops.sigmoid(networks.policy.forward(low)).toFloat32();
    const probabilities = Array.from({ length: batch }, (_, i) => row(wanted, i, batch));
    const masks = probabilities.map(choose);
    const mask = fromArray(Float32Array.from(masks.flatMap((one) => Array.from(one))), [batch, patches], device);
    const seen = maskPatches(images, mask, model.grid, fill === "lr" ? low : undefined);
    const logits = addStreams(networks.high.forward(seen), networks.low?.forward(low));
    const classes = ops.softmax(logits, 1).toFloat32();
    return masks.map((one, i) => ({ probabilities: probabilities[i], mask: one, classes: row(classes, i, batch) }));
  });
}

function shown({ setting, fill }: OpenedRun, split: Dataset, index: number, image: Uint8Array, said: Said): Shown {
  const { grid, imageSize, lowSize } = setting.model;
  const best = said.classes.indexOf(Math.max(...said.classes));
  const low = lowBytes(image, imageSize, lowSize);
  const meanColour = split.normalization.mean.map((m) => Math.round(255 * m));
  return {
    index,
    image: image.slice(),
    lowResolution: low,
    masked: maskedBytes(image, said.mask, grid, fill === "lr" ? low : undefined, meanColour),
    probabilities: Array.from(said.probabilities),
    mask: Array.from(said.mask),
    label: split.classes[split.labels[index]],
    prediction: split.classes[best],
    confidence: said.classes[best],
    correct: best === split.labels[index],
  };
}

/** Row `i` of `rows` of equal length. */
function row<A extends Uint8Array | Float32Array>(values: A, i: number, rows: number): A {
  const length = values.length / rows;
  return values.subarray(i * length, (i + 1) * length) as A;
}

/** The low-resolution view as bytes at full size: the top-left pixel of each block. */
function lowBytes(image: Uint8Array, size: number, lowSize: number): Uint8Array {
  const block = size / lowSize;
  return Uint8Array.from(image, (_, at) => {
    const [pixel, channel] = [Math.floor(at / 3), at % 3];
    const [row, column] = [Math.floor(pixel / size), pixel % size];
    const source = (row - (row % block)) * size + (column - (column % block));
    return image[source * 3 + channel];
  });
}

/** The masked image as bytes: zeros after normalization are the mean colour. */
function maskedBytes(
  image: Uint8Array,
  mask: Uint8Array,
  { imageSize, patchSize, columns }: Grid,
  low: Uint8Array | undefined,
  meanColour: readonly number[],
): Uint8Array {
  return Uint8Array.from(image, (value, at) => {
    const pixel = Math.floor(at / 3);
    const patch =
      Math.floor(Math.floor(pixel / imageSize) / patchSize) * columns + Math.floor((pixel % imageSize) / patchSize);
    return mask[patch] === 1 ? value : (low?.[at] ?? meanColour[at % 3]);
  });
}
