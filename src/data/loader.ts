/**
 * Yields the batches of an epoch: order and reading ahead. All randomness comes from (seed, epoch, position), so a run
 * resumes at any step without saved state.
 */

import { fault } from "../errors.ts";
import type { PixelArray } from "../utils/pixel-array.ts";
import { Random } from "../utils/random.ts";
import { channelsOf, type Dataset, imageLength, readImages, roomFor } from "./dataset.ts";
import type { Augmentation } from "./transforms.ts";
import { turnImages } from "./turns.ts";

/** Number of batches that are being read while the caller works on one: two, for threads that are done with the first. */
const readAhead = 2;

export interface Batch {
  /** [B, H, W, bands], valid until the next batch is asked for: then the memory is reused. */
  readonly images: PixelArray;
  /** [B] */
  readonly labels: Int32Array;
  /** Which images of the data set these are, [B]: those of the order, except for files that can't be read. */
  readonly indices: Uint32Array;
}

/** A batch that is described, not read; without flips and turns. */
export interface PlannedBatch {
  /** Which images of the data set these are, [B]. */
  readonly indices: Uint32Array;
  /** What their training transform depends on, when they are augmented. */
  readonly augmentation: Augmentation | undefined;
}

export interface LoaderOptions {
  batchSize: number;
  /** Only these images; all when absent. */
  images?: Uint32Array | undefined;
  /** A new order each epoch; otherwise the data set's own, or that of `images`. */
  shuffle?: boolean;
  /** The data set's training transform instead of its test transform. */
  augment?: boolean;
  /** With `augment`, also the eight flips and turns. */
  turns?: boolean;
  /**
   * With `augment`, which images are mirrored: drawn for each; or "alternating", every image in every other epoch (half of them, by the
   * seed, in the even ones), so that two epochs show each image both ways. Source: Jordan, arXiv 2404.00498, section 3.6.
   */
  flips?: "random" | "alternating" | undefined;
  /** With `augment`, pixels by which images are shifted at most; see {@link Augmentation}. */
  padding?: number | undefined;
  seed?: number;
  /** Leave out a last batch that is not full. Batch norm can't train on a batch of 1. */
  dropLast?: boolean;
  /** Of a batch of `images`, only these are yielded; all when absent. */
  share?: (images: number) => { readonly first: number; readonly count: number };
}

export class Loader {
  readonly dataset: Dataset;
  readonly batchSize: number;
  /** Number of batches; the last one may be smaller, unless `dropLast`. */
  readonly batchesPerEpoch: number;
  /** Images are flipped and turned here, behind what the data set does. */
  readonly turns: boolean;
  readonly #images: Uint32Array;
  readonly #shuffle: boolean;
  readonly #augment: boolean;
  readonly #seed: number;
  readonly #padding: number | undefined;
  /** Which images are mirrored in even epochs, [N of the data set]; undefined where that is drawn. */
  readonly #mirrored: Uint8Array | undefined;
  readonly #share: NonNullable<LoaderOptions["share"]>;

  /** @throws usage: a batch size that is not positive, or above the number of images with `dropLast` */
  constructor(
    dataset: Dataset,
    {
      batchSize,
      images,
      shuffle = false,
      augment = false,
      turns = false,
      flips,
      padding,
      seed = 0,
      ...rest
    }: LoaderOptions,
  ) {
    const { dropLast = false, share = (count) => ({ first: 0, count }) } = rest;
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw fault("usage", { where: "batch size", rule: "must be an integer of at least 1", got: batchSize });
    }
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.turns = turns;
    this.#images = images ?? Uint32Array.from({ length: dataset.length }, (_, index) => index);
    const batches = this.#images.length / batchSize;
    this.batchesPerEpoch = dropLast ? Math.floor(batches) : Math.ceil(batches);
    this.#shuffle = shuffle;
    this.#augment = augment;
    this.#seed = seed;
    this.#padding = padding;
    this.#mirrored = flips === "alternating" ? coinsOf(seed, dataset.length) : undefined;
    this.#share = share;
    if (this.batchesPerEpoch === 0) {
      const rule = `must be at most the number of images of ${dataset.name}, ${dataset.length}`;
      throw fault("usage", { where: "batch size", rule, got: batchSize });
    }
  }

  /**
   * The batches of an epoch from step `fromStep` on. While the caller works on one batch the next are being read.
   * @throws what the data set's `read` throws
   */
  async *batches(epoch: number, fromStep = 0): AsyncGenerator<Batch, void, void> {
    this.#mustBeStep(fromStep);
    const order = this.order(epoch);
    const buffers = Array.from({ length: 1 + readAhead }, () => this.#makeBuffer());
    const coming: Promise<Batch>[] = [];
    let next = fromStep;
    for (let step = fromStep; step < this.batchesPerEpoch; step++) {
      for (; next < this.batchesPerEpoch && next <= step + readAhead; next++) {
        const batch = this.#fill(order, epoch, next, buffers[next % buffers.length]);
        batch.catch(() => undefined); // reported when it is awaited; never, if the caller stops before
        coming.push(batch);
      }
      yield await coming.shift()!;
    }
  }

  /** The same batches, described and not read: for a device that holds the images. */
  *plans(epoch: number, fromStep = 0): Generator<PlannedBatch, void, void> {
    this.#mustBeStep(fromStep);
    const order = this.order(epoch);
    for (let step = fromStep; step < this.batchesPerEpoch; step++) yield this.#plan(order, epoch, step);
  }

  /** How many images an epoch's first `steps` batches have; the last batch may have fewer. */
  imagesBefore(steps: number): number {
    return Math.min(steps * this.batchSize, this.#images.length);
  }

  /** How many images the batch of a step has, also where only a share of them is yielded. */
  imagesIn(step: number): number {
    return this.imagesBefore(step + 1) - this.imagesBefore(step);
  }

  /** The epoch's order of the images, [N]. */
  order(epoch: number): Uint32Array {
    const order = this.#images.slice();
    return this.#shuffle ? new Random(this.#seed, "order", epoch).shuffle(order) : order;
  }

  async #fill(order: Uint32Array, epoch: number, step: number, buffer: PixelArray): Promise<Batch> {
    const { indices: asked, augmentation } = this.#plan(order, epoch, step);
    const images = buffer.subarray(0, asked.length * imageLength(this.dataset));
    const indices = await readImages(this.dataset, asked, images, augmentation);
    if (this.turns && augmentation) {
      turnImages(images, this.dataset.imageSize, channelsOf(this.dataset), augmentation);
    }
    return { images, labels: Int32Array.from(indices, (index) => this.dataset.labels[index]), indices };
  }

  #plan(order: Uint32Array, epoch: number, step: number): PlannedBatch {
    const share = this.#share(this.imagesIn(step));
    const firstPosition = step * this.batchSize + share.first;
    const indices = order.slice(firstPosition, firstPosition + share.count);
    if (!this.#augment) return { indices, augmentation: undefined };
    const coins = this.#mirrored;
    const mirrored = coins && Uint8Array.from(indices, (index) => (coins[index] + epoch) % 2);
    return { indices, augmentation: { seed: this.#seed, epoch, firstPosition, padding: this.#padding, mirrored } };
  }

  #mustBeStep(step: number): void {
    if (Number.isSafeInteger(step) && step >= 0 && step <= this.batchesPerEpoch) return;
    throw fault("internal", { where: "Loader", rule: `step must be in 0..${this.batchesPerEpoch}`, got: step });
  }

  /** Memory for one batch, shared: a data set may have threads that write into it. */
  #makeBuffer(): PixelArray {
    return roomFor(this.dataset, Math.min(this.batchSize, this.dataset.length), { shared: true });
  }
}

/** 0 or 1 for each image, [N], by the seed. */
function coinsOf(seed: number, count: number): Uint8Array {
  const uniforms = new Random(seed, "flips").uniforms(new Float32Array(count));
  return Uint8Array.from(uniforms, (uniform) => Number(uniform < 0.5));
}
