/**
 * What every data set looks like to the loader: a list of labelled square RGB images of one size, as bytes.
 * Where the images come from (CIFAR's files, class folders, a generator) is each reader's own matter.
 */

import { fault } from "../errors.ts";

/** Per-channel statistics in units of 0..1, in RGB order: (x / 255 − mean) / std. */
export interface Normalization {
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** One split (training or test) of a data set. */
export interface Dataset {
  /** What the user calls it, e.g. "CIFAR-10". */
  readonly name: string;
  /** Class names; a label is an index into this list. */
  readonly classes: readonly string[];
  /** Number of images. */
  readonly length: number;
  /** Height and width of every image, in pixels. */
  readonly imageSize: number;
  /** One label an image, [length]. */
  readonly labels: Int32Array;
  readonly normalization: Normalization;
  /** SHA-256 (hex) over what makes the list: names or bytes, labels, order. A run that is resumed must find the same. */
  readonly fingerprint: string;
  /**
   * Writes images into `out` as bytes [indices.length, imageSize, imageSize, 3] (rows, columns, RGB). Synchronous when the
   * images are in memory.
   * @param luck makes it the training transform, whose crops and flips are random; without it, the test transform
   * @returns which images they are: `indices`, but with another image in the place of one that can't be read
   */
  read(indices: Uint32Array, out: Uint8Array, luck?: Luck): Uint32Array | Promise<Uint32Array>;
  /** Set when the images lie in memory and training only moves them: then a device may hold them and do so itself. */
  readonly inMemory?: InMemory;
}

/** What {@link Dataset.read} does, said instead of done. */
export interface InMemory {
  /** Bytes [length, imageSize, imageSize, 3]; not to be changed. */
  readonly images: Uint8Array;
  /** The move (a number of `transforms.ts`) of each of the `count` images of a batch, [count]. */
  moves(count: number, luck?: Luck): BigInt64Array;
}

/** All that the training transform of a batch depends on: with the same luck an image comes out the same, bit for bit. */
export interface Luck {
  readonly seed: number;
  readonly epoch: number;
  /** Position of the batch's first image in the epoch's order. */
  readonly firstPosition: number;
}

/** The two splits that a training needs. */
export interface DataSplits {
  readonly train: Dataset;
  readonly test: Dataset;
}

/** @throws internal: an index beyond the data set's end, images that `out` does not hold */
export function checkRead({ name, length, imageSize }: Dataset, indices: Uint32Array, out: Uint8Array): void {
  const where = `${name}: read`;
  if (out.length < indices.length * imageSize * imageSize * 3) {
    throw fault("internal", { where, rule: "out must hold all images", got: out.length });
  }
  const beyond = indices.find((index) => index >= length);
  if (beyond === undefined) return;
  throw fault("internal", { where, rule: `index must be below ${length}`, got: beyond });
}
