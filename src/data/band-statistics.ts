/**
 * Mean and standard deviation of each band over image files at their own size, exact to the rounding of doubles, and percentiles
 * (value-histogram.ts), one image after the other.
 */
import { fault } from "../errors.ts";
import type { PixelArray } from "../utils/pixel-array.ts";
import type { BandStatistics, Normalization, Stretch } from "./dataset.ts";
import { type Decoding, decodePixels } from "./decode.ts";
import { inOrder } from "./in-order.ts";
import { ValueHistogram } from "./value-histogram.ts";

export interface MeasureOptions extends Decoding {
  /** Number of files that are decoded at the same time. */
  readonly parallel?: number | undefined;
  readonly onProgress?: ((progress: { done: number; total: number }) => void) | undefined;
}

/** Enough to keep libuv's four threads busy. */
const defaultParallel = 8;

/** What is known of a band so far: Welford's way, in which no digits are lost where the mean is large beside the spread. */
interface Moments {
  pixels: number;
  missing: number;
  mean: number;
  /** Sum of squared differences from the mean. */
  squares: number;
  least: number;
  most: number;
}

const nothing: Moments = { pixels: 0, missing: 0, mean: 0, squares: 0, least: Infinity, most: -Infinity };

/**
 * Files that can't be read are passed over, as in training.
 * @param bands what they are called
 * @throws input: no file that can be read; a band without data
 */
export async function measureBands(
  paths: readonly string[],
  bands: readonly string[],
  { memory, parallel = defaultParallel, onProgress, ...target }: MeasureOptions,
): Promise<BandStatistics[]> {
  const meter = new BandMeter(bands);
  let done = 0;
  let reason = "";
  const read = (path: string) =>
    decodePixels(path, memory, target).catch(({ message }: Error) => {
      if (reason === "") reason = message;
      return undefined;
    });
  for await (const image of inOrder(paths, parallel, read)) {
    onProgress?.({ done: ++done, total: paths.length });
    if (image === undefined) continue;
    meter.add(image.pixels);
  }
  if (meter.isEmpty) {
    const got = `none of ${paths.length}: ${reason}`;
    throw fault("input", { where: "training images", rule: "must hold one that can be read", got });
  }
  return meter.statistics();
}

/** Measures images, one after the other. */
export class BandMeter {
  readonly #bands: readonly string[];
  readonly #moments: Moments[];
  readonly #histograms: readonly ValueHistogram[];
  #isBytes = true;

  /** @param bands what they are called */
  constructor(bands: readonly string[]) {
    this.#bands = bands;
    this.#moments = bands.map(() => ({ ...nothing }));
    this.#histograms = bands.map(() => new ValueHistogram());
  }

  get isEmpty(): boolean {
    return this.#moments.every(({ pixels, missing }) => pixels + missing === 0);
  }

  /** @param image [pixels, bands]; NaN where there are no data */
  add(image: PixelArray): void {
    this.#isBytes = image instanceof Uint8Array;
    for (const [band, moments] of this.#moments.entries()) {
      add(moments, momentsOf(image, band, this.#bands.length));
      count(image, band, this.#bands.length, this.#histograms[band]);
    }
  }

  /** Of all images so far, at least one. @throws input: a band without data */
  statistics(): BandStatistics[] {
    const unit = this.#isBytes ? 255 : 1;
    return this.#moments.map(({ pixels, missing, mean, squares, least, most }, at) => {
      const band = this.#bands[at];
      if (pixels === 0) {
        const next = "leave it out of --bands";
        throw fault("input", { where: `band ${band}`, rule: "must have data", got: "nodata everywhere", next });
      }
      const quantile = (share: number) => this.#histograms[at].quantile(share) / unit;
      return {
        ...{ band, mean: mean / unit, std: Math.sqrt(squares / pixels) / unit },
        ...{ least: least / unit, most: most / unit, p2: quantile(0.02), p98: quantile(0.98) },
        ...{ pixels, missing },
      };
    });
  }
}

/** @throws input: a band that is the same everywhere, of which nothing could be learned */
export function normalizationOf(statistics: readonly BandStatistics[]): Normalization {
  const flat = statistics.find(({ std }) => !(std > 0));
  if (flat !== undefined) {
    const next = "leave it out of --bands";
    throw fault("input", { where: `band ${flat.band}`, rule: "must not be the same everywhere", got: flat.mean, next });
  }
  return { mean: statistics.map(({ mean }) => mean), std: statistics.map(({ std }) => std) };
}

/** What is black and white of each band where a person looks at it. */
export function stretchOf(statistics: readonly BandStatistics[]): Stretch {
  return { black: statistics.map(({ p2 }) => p2), white: statistics.map(({ p98 }) => p98) };
}

/** A line for each band, as a person reads it. */
export function statisticsTable(statistics: readonly BandStatistics[]): string {
  const digits = (value: number) => Number(value.toPrecision(6)).toString();
  const rows = statistics.map(({ band, mean, std, least, p2, p98, most, pixels, missing }) => {
    const share = (100 * missing) / (pixels + missing);
    return [band, ...[mean, std, least, p2, p98, most].map(digits), `${share.toFixed(2)} %`];
  });
  const lines = [["band", "mean", "std", "least", "2 %", "98 %", "most", "without data"], ...rows];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) => line.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))))
    .map((cells) => cells.join("  "))
    .join("\n");
}

function momentsOf(pixels: ArrayLike<number>, band: number, bands: number): Moments {
  const own = { ...nothing };
  for (let at = band; at < pixels.length; at += bands) {
    const value = pixels[at];
    if (Number.isNaN(value)) {
      own.missing++;
      continue;
    }
    own.pixels++;
    const before = value - own.mean;
    own.mean += before / own.pixels;
    own.squares += before * (value - own.mean);
    if (value < own.least) own.least = value;
    if (value > own.most) own.most = value;
  }
  return own;
}

function count(pixels: ArrayLike<number>, band: number, bands: number, histogram: ValueHistogram): void {
  for (let at = band; at < pixels.length; at += bands) if (!Number.isNaN(pixels[at])) histogram.add(pixels[at]);
}

/** Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979). */
function add(all: Moments, further: Moments): void {
  const pixels = all.pixels + further.pixels;
  const apart = further.mean - all.mean;
  if (further.pixels > 0) {
    all.mean += (apart * further.pixels) / pixels;
    all.squares += further.squares + (apart * apart * all.pixels * further.pixels) / pixels;
  }
  all.pixels = pixels;
  all.missing += further.missing;
  all.least = Math.min(all.least, further.least);
  all.most = Math.max(all.most, further.most);
}
