/**
 * What every data set looks like to the loader: a list of labelled square RGB images of one size, as bytes.
 * Where the images come from (CIFAR's files, class folders, a generator) is each reader's own matter.
 */

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
  /** Whether training may crop and flip the images at random without changing what they show. */
  readonly augmented: boolean;
  /** SHA-256 (hex) over what makes the list: names or bytes, labels, order. A run that is resumed must find the same. */
  readonly fingerprint: string;
  /**
   * Copies images into `out` as bytes [indices.length, imageSize, imageSize, 3] (rows, columns, RGB).
   * Synchronous when the images are in memory.
   */
  read(indices: Uint32Array, out: Uint8Array): void | Promise<void>;
}

/** The two splits that a training needs. */
export interface DataSplits {
  readonly train: Dataset;
  readonly test: Dataset;
}
