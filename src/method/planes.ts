/**
 * What the networks see, as plain arrays: normalized images, and images with patches dropped. The same as images.ts
 * computes on tensors; for ONNX Runtime, which takes arrays, and for the browser. Nothing of Node, no libtorch.
 * Source: paper, section 3.
 *
 * Shapes: B batch, S image size, C bands, P patches, K classes. Planes are float32 [B, C, S, S].
 */
import type { PixelArray } from "../utils/pixel-array.ts";
import { row } from "../utils/rows.ts";
import { type Grid, patchAt } from "./grid.ts";

/** Mean and standard deviation of each channel: of bytes in units of 0..1, of measured values in their own. */
interface Statistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * Pixels [B, S, S, C] as networks see them, rounded to float32 where images.ts does: (x / 255 − mean) / std of bytes,
 * (x − mean) / std of measured values.
 */
export function toPlanes(pixels: PixelArray, imageSize: number, { mean, std }: Statistics): Float32Array {
  const unit = pixels instanceof Uint8Array ? 255 : 1;
  const channels = mean.length;
  const factor = Float32Array.from(std, (s) => 1 / (unit * s));
  const offset = Float32Array.from(mean, (m, channel) => m / std[channel]);
  const area = imageSize * imageSize;
  const planes = new Float32Array(pixels.length);
  for (let pixel = 0; pixel < pixels.length / channels; pixel++) {
    const image = Math.floor(pixel / area);
    for (let channel = 0; channel < channels; channel++) {
      const scaled = Math.fround(pixels[channels * pixel + channel] * factor[channel]);
      planes[(channels * image + channel) * area + (pixel - image * area)] = scaled - offset[channel];
    }
  }
  return planes;
}

/** The reverse for bytes, rounded: [B, S, S, C]. */
export function toBytes(planes: Float32Array, imageSize: number, { mean, std }: Statistics): Uint8Array {
  const channels = mean.length;
  const area = imageSize * imageSize;
  return Uint8Array.from(planes, (_, at) => {
    const channel = at % channels;
    const pixel = (at - channel) / channels;
    const image = Math.floor(pixel / area);
    const value = planes[(channels * image + channel) * area + (pixel - image * area)];
    return Math.round(255 * (value * std[channel] + mean[channel]));
  });
}

/**
 * A copy of the planes in which the patches are dropped whose mask is 0.
 * @param masks [B, P], of 0 and 1
 * @param lowSize the side of the low resolution that stands in dropped patches, enlarged; zeros, the mean colour, when
 *   absent
 * @param from planes that the low resolution is taken from
 */
export function dropPatches(
  planes: Float32Array,
  masks: Uint8Array,
  grid: Grid,
  lowSize?: number,
  from = planes,
): Float32Array {
  const { imageSize, patches } = grid;
  const area = imageSize * imageSize;
  const channels = planes.length / (area * (masks.length / patches));
  const block = lowSize === undefined ? undefined : imageSize / lowSize;
  return planes.map((value, at) => {
    const plane = Math.floor(at / area);
    const x = at % imageSize;
    const y = Math.floor((at - plane * area) / imageSize);
    if (masks[Math.floor(plane / channels) * patches + patchAt(grid, x, y)] !== 0) return value;
    return block === undefined ? 0 : from[plane * area + (y - (y % block)) * imageSize + (x - (x % block))];
  });
}

/**
 * What a classifier sees that is told which patches are there, [B, C + 1, S, S]: `acquiredView` of images.ts.
 * @param seen planes as {@link dropPatches} makes them
 * @param masks which patches are there, [B, P]
 */
export function acquiredPlanes(seen: Float32Array, masks: Uint8Array, grid: Grid): Float32Array {
  return withPlanes(seen, masks, grid, 1);
}

/**
 * What a policy that decides in rounds sees, [B, C + 2, S, S]: `roundView` of images.ts.
 * @param seen planes with the low resolution in the patches that are not there, as {@link dropPatches} makes them
 * @param masks which patches are there, [B, P]
 * @param doubts how unsure the classifier is of each image, [B], see rounds.ts
 */
export function roundPlanes(seen: Float32Array, masks: Uint8Array, doubts: Float32Array, grid: Grid): Float32Array {
  const view = withPlanes(seen, masks, grid, 2);
  const each = view.length / doubts.length;
  const area = grid.imageSize * grid.imageSize;
  for (const [image, doubt] of doubts.entries()) row(view, image, each).fill(doubt, each - area);
  return view;
}

/** The images' planes and so many more, of which the first is 1 in the patches that are there; others are 0. */
function withPlanes(seen: Float32Array, masks: Uint8Array, grid: Grid, more: number): Float32Array {
  const { imageSize, patches } = grid;
  const area = imageSize * imageSize;
  const count = masks.length / patches;
  const own = seen.length / count;
  const view = new Float32Array(seen.length + count * more * area);
  for (let image = 0; image < count; image++) {
    const [mask, planes] = [row(masks, image, patches), row(view, image, own + more * area)];
    planes.set(row(seen, image, own));
    const there = planes.subarray(own, own + area);
    for (const at of there.keys()) there[at] = mask[patchAt(grid, at % imageSize, Math.floor(at / imageSize))];
  }
  return view;
}

/** Probabilities of the classes, [B, K], from logits. */
export function softmax(logits: Float32Array, classes: number): Float32Array {
  const result = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes);
    const highest = Math.max(...row);
    const weights = Array.from(row, (logit) => Math.exp(logit - highest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    result.set(
      weights.map((weight) => weight / total),
      start,
    );
  }
  return result;
}
