/**
 * Images as pixels: the low resolution, and what a classifier sees where patches are dropped. The same as images.ts makes of
 * normalized tensors. No tensors and nothing of Node.
 *
 * Shapes: B batch, S image size, L low-resolution size, P patches, C bands.
 */
import { newPixels, type PixelArray, pixelTypeOf } from "../utils/pixel-array.ts";
import { type Grid, patchAt } from "./grid.ts";

/** The top left pixel of each block: [B, S, S, C] → [B, L, L, C]. */
export function lowPixels<P extends PixelArray>(images: P, imageSize: number, lowSize: number, channels: number): P {
  const block = imageSize / lowSize;
  const low = newPixels(pixelTypeOf(images), images.length / block ** 2) as P;
  for (let at = 0; at < low.length; at++) {
    const { image, y, x, channel } = placeOf(at, lowSize, channels);
    low[at] = images[offsetOf({ image, y: y * block, x: x * block, channel }, imageSize, channels)];
  }
  return low;
}

/** Each pixel repeated over its block: [B, L, L, C] → [B, S, S, C]. */
export function enlargePixels<P extends PixelArray>(low: P, lowSize: number, imageSize: number, channels: number): P {
  const block = imageSize / lowSize;
  const images = newPixels(pixelTypeOf(low), low.length * block ** 2) as P;
  for (let at = 0; at < images.length; at++) {
    const { image, y, x, channel } = placeOf(at, imageSize, channels);
    const place = { image, y: Math.floor(y / block), x: Math.floor(x / block), channel };
    images[at] = low[offsetOf(place, lowSize, channels)];
  }
  return images;
}

/**
 * Images [B, S, S, C] with other pixels in the patches that are dropped.
 * @param masks [B, P]: 0 for a patch that is dropped
 * @param filling of the same shape, or one pixel [C]
 */
export function fillDropped<P extends PixelArray>(
  images: P,
  masks: Uint8Array,
  grid: Grid,
  filling: P | readonly number[],
): P {
  const { imageSize, patches } = grid;
  const channels = images.length / (imageSize ** 2 * (masks.length / patches));
  const isOne = filling.length === channels;
  const filled = images.slice() as P;
  for (let at = 0; at < filled.length; at++) {
    const { image, y, x, channel } = placeOf(at, imageSize, channels);
    if (masks[image * patches + patchAt(grid, x, y)] !== 1) filled[at] = filling[isOne ? channel : at];
  }
  return filled;
}

interface Place {
  image: number;
  y: number;
  x: number;
  channel: number;
}

function placeOf(at: number, size: number, channels: number): Place {
  const pixel = Math.floor(at / channels);
  const row = Math.floor(pixel / size);
  return { image: Math.floor(row / size), y: row % size, x: pixel % size, channel: at % channels };
}

function offsetOf({ image, y, x, channel }: Place, size: number, channels: number): number {
  return ((image * size + y) * size + x) * channels + channel;
}
