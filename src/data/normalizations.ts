/** Channel statistics in common use. CIFAR's are those of the authors' code; ImageNet's are torchvision's. */

import type { PixelArray } from "../utils/pixel-array.ts";
import type { Normalization } from "./dataset.ts";
import type { TransformName } from "./transforms.ts";

/** Of CIFAR-10; used for CIFAR-100 too. */
export const cifarNormalization: Normalization = {
  mean: [125.3 / 255, 123.0 / 255, 113.9 / 255],
  std: [63.0 / 255, 62.1 / 255, 66.7 / 255],
};

export const imageNetNormalization: Normalization = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** Of image files that go through a transform. */
export function normalizationFor(transform: TransformName): Normalization {
  return transform === "cifar" ? cifarNormalization : imageNetNormalization;
}

/**
 * Where a value is missing (NaN), a network sees its band's mean, which is 0 after normalization.
 * @param pixels [pixels, bands], changed in place
 */
export function fillMissing(pixels: PixelArray, mean: readonly number[]): void {
  if (pixels instanceof Uint8Array) return;
  for (let at = 0; at < pixels.length; at++) if (Number.isNaN(pixels[at])) pixels[at] = mean[at % mean.length];
}
