/**
 * The training transform of CIFAR: pad with black, crop at random, flip at random. Works on bytes, before normalization,
 * as torchvision's RandomCrop(32, padding=4) and RandomHorizontalFlip do.
 */

import type { Random } from "../utils/random.ts";

const padding = 4;

/**
 * Writes a shifted and perhaps mirrored copy of each image. An image's luck depends on the stream and on its position in
 * the epoch alone: an epoch that is resumed in the middle gets the same bits.
 * @param images bytes [B, size, size, 3]
 * @param out the same shape; not the same memory
 * @param random the epoch's stream; position n owns its block n
 * @param firstPosition position of the first image in the epoch's order
 */
export function cropAndFlip(
  images: Uint8Array,
  out: Uint8Array,
  size: number,
  random: Random,
  firstPosition: number,
): void {
  const imageBytes = size * size * 3;
  for (let start = 0, position = firstPosition; start < images.length; start += imageBytes, position++) {
    random.seek(position);
    const down = random.integer(2 * padding + 1) - padding;
    const right = random.integer(2 * padding + 1) - padding;
    const mirrored = random.uniform() < 0.5;
    const image = images.subarray(start, start + imageBytes);
    const shifted = out.subarray(start, start + imageBytes);
    shift(image, shifted, size, down, right);
    if (mirrored) mirror(shifted, size);
  }
}

/** out[y, x] = image[y + down, x + right], and black where that lies outside. */
function shift(image: Uint8Array, out: Uint8Array, size: number, down: number, right: number): void {
  const rowBytes = size * 3;
  const from = 3 * Math.max(right, 0);
  const to = 3 * Math.max(-right, 0);
  const length = rowBytes - 3 * Math.abs(right);
  out.fill(0);
  if (length <= 0) return;
  for (let y = Math.max(-down, 0); y < Math.min(size, size - down); y++) {
    const row = (y + down) * rowBytes + from;
    out.set(image.subarray(row, row + length), y * rowBytes + to);
  }
}

/** Swaps left and right, in place. */
function mirror(image: Uint8Array, size: number): void {
  for (let row = 0; row < image.length; row += 3 * size) {
    for (let left = row, right = row + 3 * (size - 1); left < right; left += 3, right -= 3) {
      for (let channel = 0; channel < 3; channel++) {
        const swapped = image[left + channel];
        image[left + channel] = image[right + channel];
        image[right + channel] = swapped;
      }
    }
  }
}
