/**
 * What the networks see, as plain arrays: normalized images, and images with patches dropped. The same as images.ts
 * computes on tensors; for ONNX Runtime, which takes arrays, and for the browser. Nothing of Node, no libtorch.
 * Source: paper, section 3.
 *
 * Shapes: B batch, S image size, P patches, K classes. Planes are float32 [B, 3, S, S].
 */
import { row } from "../utils/rows.ts";
import { type Grid, patchAt } from "./grid.ts";
import { roundChannels } from "./rounds.ts";

/** Mean and standard deviation of each channel, in units of 0..1. */
interface Statistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** (x / 255 − mean) / std of bytes [B, S, S, 3], rounded to float32 where images.ts does. */
export function toPlanes(bytes: Uint8Array, imageSize: number, { mean, std }: Statistics): Float32Array {
  const factor = Float32Array.from(std, (s) => 1 / (255 * s));
  const offset = Float32Array.from(mean, (m, channel) => m / std[channel]);
  const area = imageSize * imageSize;
  const planes = new Float32Array(bytes.length);
  for (let pixel = 0; pixel < bytes.length / 3; pixel++) {
    const image = Math.floor(pixel / area);
    for (let channel = 0; channel < 3; channel++) {
      const scaled = Math.fround(bytes[3 * pixel + channel] * factor[channel]);
      planes[(3 * image + channel) * area + (pixel - image * area)] = scaled - offset[channel];
    }
  }
  return planes;
}

/** The reverse, rounded: bytes [B, S, S, 3]. */
export function toBytes(planes: Float32Array, imageSize: number, { mean, std }: Statistics): Uint8Array {
  const area = imageSize * imageSize;
  return Uint8Array.from(planes, (_, at) => {
    const channel = at % 3;
    const pixel = (at - channel) / 3;
    const image = Math.floor(pixel / area);
    const value = planes[(3 * image + channel) * area + (pixel - image * area)];
    return Math.round(255 * (value * std[channel] + mean[channel]));
  });
}

/**
 * A copy of the planes in which the patches are dropped whose mask is 0.
 * @param masks [B, P], of 0 and 1
 * @param lowSize the side of the low resolution that stands in dropped patches, enlarged; zeros, the mean colour, when
 *   absent
 */
export function dropPatches(planes: Float32Array, masks: Uint8Array, grid: Grid, lowSize?: number): Float32Array {
  const { imageSize, patches } = grid;
  const area = imageSize * imageSize;
  const block = lowSize === undefined ? undefined : imageSize / lowSize;
  return planes.map((value, at) => {
    const plane = Math.floor(at / area);
    const x = at % imageSize;
    const y = Math.floor((at - plane * area) / imageSize);
    if (masks[Math.floor(plane / 3) * patches + patchAt(grid, x, y)] !== 0) return value;
    return block === undefined ? 0 : planes[plane * area + (y - (y % block)) * imageSize + (x - (x % block))];
  });
}

/**
 * What a policy that decides in rounds sees, [B, 5, S, S]: `roundView` of images.ts.
 * @param seen planes with the low resolution in the patches that are not there, as {@link dropPatches} makes them
 * @param masks which patches are there, [B, P]
 * @param doubts how unsure the classifier is of each image, [B], see rounds.ts
 */
export function roundPlanes(seen: Float32Array, masks: Uint8Array, doubts: Float32Array, grid: Grid): Float32Array {
  const { imageSize, patches } = grid;
  const area = imageSize * imageSize;
  const view = new Float32Array(doubts.length * roundChannels * area);
  for (const [image, doubt] of doubts.entries()) {
    const [mask, own] = [row(masks, image, patches), row(view, image, roundChannels * area)];
    own.set(row(seen, image, 3 * area));
    const there = own.subarray(3 * area, 4 * area);
    for (const at of there.keys()) there[at] = mask[patchAt(grid, at % imageSize, Math.floor(at / imageSize))];
    own.fill(doubt, 4 * area);
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
