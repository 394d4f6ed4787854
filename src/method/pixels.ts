/**
 * Images as bytes: the low resolution, and what a classifier sees where patches are dropped. The same as images.ts makes of
 * normalized tensors. No tensors and nothing of Node.
 *
 * Shapes: B batch, S image size, L low-resolution size, P patches.
 */
import { type Grid, patchAt } from "./grid.ts";

/** The top left pixel of each block: [B, S, S, 3] → [B, L, L, 3]. */
export function lowPixels(images: Uint8Array, imageSize: number, lowSize: number): Uint8Array {
  const block = imageSize / lowSize;
  const low = new Uint8Array(images.length / block ** 2);
  return low.map((_, at) => {
    const { image, y, x, channel } = placeOf(at, lowSize);
    return images[offsetOf({ image, y: y * block, x: x * block, channel }, imageSize)];
  });
}

/** Each pixel repeated over its block: [B, L, L, 3] → [B, S, S, 3]. */
export function enlargePixels(low: Uint8Array, lowSize: number, imageSize: number): Uint8Array {
  const block = imageSize / lowSize;
  const images = new Uint8Array(low.length * block ** 2);
  return images.map((_, at) => {
    const { image, y, x, channel } = placeOf(at, imageSize);
    return low[offsetOf({ image, y: Math.floor(y / block), x: Math.floor(x / block), channel }, lowSize)];
  });
}

/**
 * Images [B, S, S, 3] with other bytes in the patches that are dropped.
 * @param masks [B, P]: 0 for a patch that is dropped
 * @param filling of the same shape, or one colour
 */
export function fillDropped(
  images: Uint8Array,
  masks: Uint8Array,
  grid: Grid,
  filling: Uint8Array | readonly number[],
): Uint8Array {
  const { imageSize, patches } = grid;
  const isColour = filling.length === 3;
  return images.map((value, at) => {
    const { image, y, x, channel } = placeOf(at, imageSize);
    if (masks[image * patches + patchAt(grid, x, y)] === 1) return value;
    return isColour ? filling[channel] : filling[at];
  });
}

interface Place {
  image: number;
  y: number;
  x: number;
  channel: number;
}

function placeOf(at: number, size: number): Place {
  const pixel = Math.floor(at / 3);
  const row = Math.floor(pixel / size);
  return { image: Math.floor(row / size), y: row % size, x: pixel % size, channel: at % 3 };
}

function offsetOf({ image, y, x, channel }: Place, size: number): number {
  return ((image * size + y) * size + x) * 3 + channel;
}
