/**
 * What the networks see: normalized images, the low-resolution view, and images with patches dropped.
 * Source: paper, section 3; the authors' code for how the low resolution is made (nearest neighbour).
 *
 * Shapes: B batch, H W image size, P patches, K classes. C bands. Images are [B, C, H, W] stored channels-last.
 */

import type { Device } from "../tensor/device.ts";
import * as networkOps from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
import type { PixelArray, PixelType } from "../utils/pixel-array.ts";
import type { Grid } from "./grid.ts";

/** What dropped patches are filled with: zeros (the mean colour), or the low-resolution image. */
export type Fill = "zero" | "lr";

/** Mean and standard deviation of each channel: of bytes in units of 0..1, of measured values in their own. */
export interface ChannelStatistics {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Turns pixels into normalized images; made once a run and freed with it, since it holds two small tensors. */
export class Normalizer {
  readonly #factor: Tensor;
  readonly #offset: Tensor;
  readonly #device: Device;

  constructor({ mean, std }: ChannelStatistics, device: Device, pixelType: PixelType = "uint8") {
    this.#device = device;
    const perChannel = (value: (channel: number) => number) =>
      keep(fromArray(Float32Array.from(std.keys(), value), [std.length], device));
    const unit = pixelType === "uint8" ? 255 : 1;
    this.#factor = perChannel((c) => 1 / (unit * std[c]));
    this.#offset = perChannel((c) => mean[c] / std[c]);
  }

  /** Gives both tensors back. */
  free(): void {
    this.#factor.free();
    this.#offset.free();
  }

  /** Pixels [B, size, size, C] as float32 images [B, C, size, size]: (x / 255 − mean) / std of bytes, (x − mean) / std of values. */
  images(pixels: PixelArray, size: number): Tensor {
    const [channels] = this.#factor.shape;
    const count = pixels.length / (size * size * channels);
    return scope(() => this.normalized(fromArray(pixels, [count, size, size, channels], this.#device)));
  }

  /** The same of pixels that are on the device, uint8 or float32 [B, size, size, C]. */
  normalized(pixels: Tensor): Tensor {
    return scope(() => {
      const scaled = ops.mul(ops.cast(pixels, "float32"), this.#factor);
      return ops.permute(ops.subtract(scaled, this.#offset), [0, 3, 1, 2]);
    });
  }
}

/** Sides of the low-resolution view in pixels: what it is made of, and what the networks are shown. */
export interface LowSizes {
  readonly lowSize: number;
  readonly lowInput: number;
}

/**
 * The low-resolution view as the networks see it: the top-left pixel of each block; where the networks take larger
 * images, each pixel repeated over its block. [B, C, H, W] → [B, C, lowInput, lowInput]
 */
export function lowResolution(images: Tensor, { lowSize, lowInput }: LowSizes): Tensor {
  return scope(() => enlarge(networkOps.resizeNearest(images, lowSize), lowInput));
}

/** The images, and the low-resolution view of them. */
export interface ImageViews {
  /** [B, C, H, W] */
  readonly images: Tensor;
  /** [B, C, lowInput, lowInput] */
  readonly low: Tensor;
}

/**
 * What the networks see of images [B, C, H, W], or of pairs [B, 2C, H, W], whose low resolution is that of the second picture.
 * @param channels C
 */
export function viewsOf(images: Tensor, { channels, ...sizes }: LowSizes & { readonly channels: number }): ImageViews {
  const [, all] = images.shape;
  if (all === channels) return { images, low: lowResolution(images, sizes) };
  return scope(() => {
    const part = (from: number) => ops.slice(images, 1, from, from + channels);
    return { images: ops.channelsLast(part(0)), low: lowResolution(ops.channelsLast(part(channels)), sizes) };
  });
}

function enlarge(images: Tensor, size: number): Tensor {
  return images.shape[2] === size ? images : networkOps.resizeNearest(images, size);
}

/**
 * Images with the patches dropped whose mask is 0. Zeros after normalization are the mean colour.
 * @param images [B, C, H, W]
 * @param mask [B, P], 0 or 1, in any float type
 * @param low the low-resolution view, which stands in dropped patches, enlarged to the image; zeros when absent
 */
export function maskPatches(images: Tensor, mask: Tensor, grid: Grid, low?: Tensor): Tensor {
  const [batch, channels, height, width] = images.shape;
  const { rows, columns, patchWidth, patchHeight } = grid;
  ops.expectShape("maskPatches: images", images, [batch, channels, rows * patchHeight, columns * patchWidth]);
  ops.expectShape("maskPatches: mask", mask, [batch, grid.patches]);
  return scope(() => {
    const asPatches = (x: Tensor) =>
      ops.reshape(ops.permute(x, [0, 2, 3, 1]), [batch, rows, patchHeight, columns, patchWidth * channels]);
    const perPatch = ops.view(ops.cast(mask, images.dtype), [batch, rows, 1, columns, 1]);
    const patches = asPatches(images);
    const masked =
      low === undefined ? ops.mul(patches, perPatch) : ops.lerp(asPatches(enlarge(low, height)), patches, perPatch);
    return ops.permute(ops.view(masked, [batch, height, width, channels]), [0, 3, 1, 2]);
  });
}

/** What a model's classifier sees of images of which patches are acquired. */
export interface AcquiredSight {
  readonly grid: Grid;
  /** Whether the classifier is also told which patches are there. */
  readonly seesMask: boolean;
}

/**
 * What a classifier sees of images of which patches are acquired: {@link maskPatches}, and, if it sees masks, a plane of ones where
 * patches are there. [B, C, H, W], [B, P] → [B, C, H, W] or [B, C + 1, H, W]
 * @param low what stands in dropped patches, as in maskPatches
 */
export function acquiredView(images: Tensor, mask: Tensor, { grid, seesMask }: AcquiredSight, low?: Tensor): Tensor {
  if (!seesMask) return maskPatches(images, mask, grid, low);
  return scope(() => {
    const seen = maskPatches(images, mask, grid, low);
    return ops.channelsLast(ops.concat([seen, ops.cast(planeOf(mask, grid), seen.dtype)], 1));
  });
}

/** Ones over the patches whose mask is 1, zeros over the others. [B, P] → [B, 1, H, W] */
function planeOf(mask: Tensor, { rows, columns, imageSize }: Grid): Tensor {
  return scope(() => networkOps.resizeNearest(ops.view(mask, [mask.shape[0], 1, rows, columns]), imageSize));
}

/**
 * What a policy that decides in rounds sees: the patches that are there and the low resolution elsewhere, a plane of ones
 * where they are there, and a plane that says how unsure the classifier is of it ({@link doubtOf}).
 * @param images [B, C, H, W]
 * @param low the low-resolution view, as {@link lowResolution} gives it
 * @param mask which patches are there, [B, P]
 * @param doubt how unsure the classifier is of what is there, [B]
 * @returns [B, C + 2, H, W]
 */
export function roundView(
  { images, low, grid }: { readonly images: Tensor; readonly low: Tensor; readonly grid: Grid },
  mask: Tensor,
  doubt: Tensor,
): Tensor {
  const [batch, , height, width] = images.shape;
  return scope(() => {
    const seen = maskPatches(images, mask, grid, low);
    const there = planeOf(mask, grid);
    const unsure = ops.expand(ops.view(doubt, [batch, 1, 1, 1]), [batch, 1, height, width]);
    return ops.channelsLast(ops.concat([seen, there, unsure], 1));
  });
}

/** How unsure a classifier is: 1 minus its largest probability. Logits [B, K] → [B] */
export function doubtOf(logits: Tensor): Tensor {
  return scope(() => {
    const [batch] = logits.shape;
    const probabilities = networkOps.softmax(logits, 1);
    const largest = ops.gather(probabilities, 1, ops.view(ops.argmax(probabilities, 1), [batch, 1]));
    return ops.view(ops.shift(ops.neg(largest), 1), [batch]);
  });
}
