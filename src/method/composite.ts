/** Pixels of any bands as a picture, for a person to look at. */
import { fault } from "../errors.ts";
import type { PixelArray } from "../utils/pixel-array.ts";

/** What is known of the pixels. */
interface Shown {
  readonly bands: readonly string[];
  readonly normalization: { readonly mean: readonly number[]; readonly std: readonly number[] };
  /** What is black and white, in each band's own values: its 2nd and its 98th percentile. */
  readonly stretch?: { readonly black: readonly number[]; readonly white: readonly number[] } | undefined;
  /** Of images whose bands were chosen by number. */
  readonly rendering?: { readonly bands?: readonly (number | string)[] | undefined } | undefined;
}

/** Which bands are red, green and blue, counted from 0. */
export type Composite = readonly [red: number, green: number, blue: number];

/** Where no percentiles are known, black is so many standard deviations below a band's mean, and white as many above it. */
const deviations = 2;

/**
 * Bytes [N, 3] of pixels [N, C]. Measured values are stretched from black to white, and beyond them are one or the other; bytes
 * stay as they are.
 */
export function composite<P extends PixelArray>(
  pixels: P,
  shown: Shown,
  bands: Composite = compositeOf(shown),
): Uint8Array {
  const { length: channels } = shown.bands;
  const isBytes = pixels instanceof Uint8Array;
  if (isBytes && String(bands) === "0,1,2" && channels === 3) return pixels;
  const stretches = bands.map((band) => (isBytes ? { black: 0, white: 255 } : stretchOf(shown, band)));
  const picture = new Uint8Array((3 * pixels.length) / channels);
  for (let at = 0; at < picture.length; at++) {
    const { black, white } = stretches[at % 3];
    const value = pixels[Math.floor(at / 3) * channels + bands[at % 3]];
    picture[at] = Math.max(0, Math.min(255, Math.round((255 * (value - black)) / (white - black))));
  }
  return picture;
}

function stretchOf({ normalization: { mean, std }, stretch }: Shown, band: number) {
  const [black, white] = [stretch?.black[band] ?? 0, stretch?.white[band] ?? 0];
  // Of a band of one value nearly everywhere, percentiles tell nothing.
  if (white > black) return { black, white };
  return { black: mean[band] - deviations * std[band], white: mean[band] + deviations * std[band] };
}

/**
 * The bands that a user asks for: three, or one, which is grey, by name, or by number as the run was given them (of a run that has their
 * names, by their place among them, counted from 1). When absent, red, green and blue where there are bands of these names, else the first three.
 * @throws usage: a band that there is not
 */
export function compositeOf({ bands, rendering }: Shown, asked?: readonly (number | string)[]): Composite {
  if (asked === undefined) {
    const byName = ["red", "green", "blue"].map((name) => bands.indexOf(name));
    const found = byName.includes(-1) ? [0, 1, 2].map((band) => Math.min(band, bands.length - 1)) : byName;
    return found as unknown as Composite;
  }
  const given = rendering?.bands;
  const isNumbered = given?.length === bands.length && given.every((band) => typeof band === "number");
  const found = asked.map((band) => {
    if (typeof band === "number") return isNumbered ? given.indexOf(band) : band <= bands.length ? band - 1 : -1;
    return bands.findIndex((name) => name.toLowerCase() === band.toLowerCase());
  });
  const wrong = found.indexOf(-1);
  if (wrong !== -1) {
    const own = isNumbered ? `${given.join(", ")} (${bands.join(", ")})` : bands.join(", ");
    throw fault("usage", { where: "--composite", rule: `must be bands of the run: ${own}`, got: asked[wrong] });
  }
  return [found[0], found[1] ?? found[0], found[2] ?? found[0]];
}
