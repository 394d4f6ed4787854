/** Pixels of any bands as a picture, for a person to look at. */
import type { PixelArray } from "../utils/pixel-array.ts";

/** What is known of the pixels. */
interface Bands {
  readonly bands: readonly string[];
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
}

/** Measured values are black at so many standard deviations below their band's mean, and white at as many above it. */
const deviations = 2;

/**
 * Bytes [N, 3] of pixels [N, C]: red, green and blue where there are bands of these names, else the first three; one band is grey.
 * Bytes stay as they are.
 */
export function composite<P extends PixelArray>(pixels: P, { bands, normalization: { mean, std } }: Bands): Uint8Array {
  const shown = shownBands(bands);
  if (pixels instanceof Uint8Array && String(shown) === "0,1,2" && bands.length === 3) return pixels;
  const isBytes = pixels instanceof Uint8Array;
  const picture = new Uint8Array((3 * pixels.length) / bands.length);
  for (let at = 0; at < picture.length; at++) {
    const band = shown[at % 3];
    const value = pixels[Math.floor(at / 3) * bands.length + band];
    const byte = isBytes ? value : 127.5 * (1 + (value - mean[band]) / (deviations * std[band]));
    picture[at] = Math.max(0, Math.min(255, Math.round(byte)));
  }
  return picture;
}

function shownBands(bands: readonly string[]): readonly number[] {
  const byName = ["red", "green", "blue"].map((name) => bands.indexOf(name));
  if (!byName.includes(-1)) return byName;
  return [0, 1, 2].map((band) => Math.min(band, bands.length - 1));
}
