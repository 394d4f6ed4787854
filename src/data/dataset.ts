/**
 * What every data set looks like to the loader: a list of labelled square images of one size, with all that a
 * user of the trained networks must know about them. Where the images come from (CIFAR's files, class folders, a generator,
 * a program that uses the library) is up to each reader.
 */

import { fault } from "../errors.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import type { Augmentation, TransformName } from "./transforms.ts";

/**
 * Statistics of each band, in the order of the bands. Of bytes they are in units of 0..1, and a network sees (x / 255 − mean) / std; of
 * measured values in the values' own: (x − mean) / std.
 */
export interface Normalization {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Of a band, over all pixels that have data. In units of 0..1 of bytes, and in the values' own of measured values. */
export interface BandStatistics {
  readonly band: string;
  readonly mean: number;
  /** Of the population. */
  readonly std: number;
  readonly least: number;
  readonly most: number;
  /** What 2 and 98 of 100 pixels do not exceed: exact of bytes and of whole numbers up to 4096, else less by 1/2048 of its size at most. */
  readonly p2: number;
  readonly p98: number;
  /** Pixels with data, and without. */
  readonly pixels: number;
  readonly missing: number;
}

/** What is black and white where a person looks at measured values, of each band: its 2nd and its 98th percentile. */
export interface Stretch {
  readonly black: readonly number[];
  readonly white: readonly number[];
}

/** What the images of a data set are, and how a network is to see them. */
export interface ImageForm {
  /** Names. */
  readonly bands: readonly string[];
  readonly pixelType: PixelType;
  readonly normalization: Normalization;
  /** Of measured values, where their percentiles are known. */
  readonly stretch?: Stretch | undefined;
  /**
   * Of pairs: the statistics of the low picture's bands. An image is then two pictures of the same ground, and a pixel of it the image's bands
   * with the low picture's, of the same names, behind them: the low resolution is made of these, else of the image itself.
   */
  readonly low?: Normalization | undefined;
}

/** One split (training, test or validation) of a data set. */
export interface Dataset {
  /** What the user calls it, e.g. "CIFAR-10". */
  readonly name: string;
  /** Class names; a label is an index into this list. */
  readonly classes: readonly string[];
  /** Number of images. */
  readonly length: number;
  /** Height and width of every image, in pixels. */
  readonly imageSize: number;
  /** Names of the bands (channels) in the order in which they lie in an image, e.g. red, green, blue. */
  readonly bands: readonly string[];
  /** "float32" of measured values, which are finite; bytes when absent. */
  readonly pixelType?: PixelType | undefined;
  /** One label per image, [length]. */
  readonly labels: Int32Array;
  readonly normalization: Normalization;
  /** Of measured values, where their percentiles are known. */
  readonly stretch?: Stretch | undefined;
  /** Of pairs, see {@link ImageForm}. */
  readonly low?: Normalization | undefined;
  /** The transform whose test form turns an image file into what this data set's images are. */
  readonly transform: TransformName;
  /** SHA-256 (hex) over the list: names or bytes, labels, order. A run that is resumed must find the same. */
  readonly fingerprint: string;
  /**
   * Writes images into `out`, of the data set's type: [indices.length, imageSize, imageSize, bands.length] (rows, columns, bands), of pairs with twice as many bands.
   * Synchronous when the images are in memory.
   * @param augmentation asks for the training transform, whose crops and flips are random; without it, the test transform
   * @returns which images they are: `indices`, but with another image in the place of one that can't be read
   */
  read(indices: Uint32Array, out: PixelArray, augmentation?: Augmentation): Uint32Array | Promise<Uint32Array>;
  /** Set when the images lie in memory and training only moves them: then a device may hold them and move them itself. */
  readonly inMemory?: InMemory;
}

/** What {@link Dataset.read} would do, described instead of done. */
export interface InMemory {
  /** [length, imageSize, imageSize, bands.length], of pairs with twice as many bands; not to be changed. */
  readonly images: PixelArray;
  /** The move (a number of `transforms.ts`) of each of the `count` images of a batch, [count]. */
  moves(count: number, augmentation?: Augmentation): BigInt64Array;
}

/** The two splits that a training needs, and the one that choices are made on: `best`, thresholds. */
export interface DataSplits<Split = Dataset> {
  readonly train: Split;
  readonly test: Split;
  /** Where there is none, choices of a training are made on the test images, as in the authors' code. */
  readonly val?: Split | undefined;
}

/** Those that there are, in their order. */
export function splitsOf<Split>({ train, test, val }: DataSplits<Split>): Split[] {
  return val === undefined ? [train, test] : [train, test, val];
}

/** What `make` makes of each split, one after the other. */
export async function mapSplits<From, To>(
  { train, test, val }: DataSplits<From>,
  make: (split: From) => To | Promise<To>,
): Promise<DataSplits<To>> {
  const made = { train: await make(train), test: await make(test) };
  return val === undefined ? made : { ...made, val: await make(val) };
}

/** The numbers of a pixel: its bands, and of a pair those of the low picture behind them. */
export function channelsOf({ bands, low }: Pick<ImageForm, "bands" | "low">): number {
  return low === undefined ? bands.length : 2 * bands.length;
}

/** The statistics of each of a pixel's numbers. */
export function pixelStatistics({ normalization, low }: Pick<ImageForm, "normalization" | "low">): Normalization {
  if (low === undefined) return normalization;
  return { mean: [...normalization.mean, ...low.mean], std: [...normalization.std, ...low.std] };
}

/** The numbers of one image. */
export function imageLength(dataset: Pick<Dataset, "imageSize" | "bands" | "low">): number {
  return dataset.imageSize * dataset.imageSize * channelsOf(dataset);
}

/** Memory for so many images of a data set. @param shared among threads */
export function roomFor(dataset: Dataset, images: number, options?: { readonly shared?: boolean }): PixelArray {
  return newPixels(dataset.pixelType ?? "uint8", images * imageLength(dataset), options);
}

/**
 * {@link Dataset.read}, of a data set that may come from a program: what it says it has read is checked.
 * @throws usage: no Uint32Array of as many images of the data set as were asked for
 */
export async function readImages(
  dataset: Dataset,
  indices: Uint32Array,
  out: PixelArray,
  augmentation?: Augmentation,
): Promise<Uint32Array> {
  const read = await dataset.read(indices, out, augmentation);
  const isRight = read instanceof Uint32Array && read.length === indices.length;
  if (isRight && read.every((index) => index < dataset.length)) return read;
  throw fault("usage", {
    where: `data set ${dataset.name}: read`,
    rule: `must return which images it has read: a Uint32Array of ${indices.length}, each below ${dataset.length}`,
    got: isRight ? read.find((index) => index >= dataset.length) : `${read?.constructor.name} of ${read?.length}`,
  });
}

/** @throws internal: an index beyond the data set's end, images that `out` does not hold */
export function checkRead(dataset: Dataset, indices: Uint32Array, out: PixelArray): void {
  const where = `${dataset.name}: read`;
  if (out.length < indices.length * imageLength(dataset)) {
    throw fault("internal", { where, rule: "out must hold all images", got: out.length });
  }
  const beyond = indices.find((index) => index >= dataset.length);
  if (beyond === undefined) return;
  throw fault("internal", { where, rule: `index must be below ${dataset.length}`, got: beyond });
}
