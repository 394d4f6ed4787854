/**
 * Two pictures of the same ground as one array: each pixel of the image, and behind its bands those of the low picture, from which the
 * low resolution is taken.
 */
import { newPixels, type PixelArray, pixelTypeOf } from "./pixel-array.ts";

/** Two pictures [N, C] of the same type as one [N, 2C]. */
export function joinPair(image: PixelArray, low: PixelArray, channels: number): PixelArray {
  const joined = newPixels(pixelTypeOf(image), 2 * image.length);
  for (let from = 0, to = 0; from < image.length; from += channels, to += 2 * channels) {
    for (let channel = 0; channel < channels; channel++) {
      joined[to + channel] = image[from + channel];
      joined[to + channels + channel] = low[from + channel];
    }
  }
  return joined;
}

/** The reverse: [N, 2C] as two of [N, C]. */
export function splitPair<P extends PixelArray>(joined: P, channels: number): { image: P; low: P } {
  const [image, low] = [0, 1].map(() => newPixels(pixelTypeOf(joined), joined.length / 2) as P);
  for (let from = 0, to = 0; to < image.length; from += 2 * channels, to += channels) {
    for (let channel = 0; channel < channels; channel++) {
      image[to + channel] = joined[from + channel];
      low[to + channel] = joined[from + channels + channel];
    }
  }
  return { image, low };
}
