/**
 * Yields the batches of an epoch: order, reading ahead, augmentation. All luck comes from (seed, epoch, position), so a
 * run resumes at any step without saved state.
 */

import { fault } from "../errors.ts";
import { Random } from "../utils/random.ts";
import type { Dataset } from "./dataset.ts";
import { cropAndFlip } from "./transforms.ts";

export interface Batch {
  /** Bytes [B, H, W, 3], valid until the next batch is asked for: its memory is used again. */
  readonly images: Uint8Array;
  /** [B] */
  readonly labels: Int32Array;
  /** Which images of the data set these are, [B]. */
  readonly indices: Uint32Array;
}

export interface LoaderOptions {
  batchSize: number;
  /** A new order each epoch; else the data set's own. */
  shuffle?: boolean;
  /** Random crops and flips. */
  augment?: boolean;
  seed?: number;
  /** Leave out a last batch that is not full. Batch norm can't train on a batch of 1. */
  dropLast?: boolean;
}

export class Loader {
  readonly dataset: Dataset;
  readonly batchSize: number;
  /** Number of batches; the last one may be smaller, unless `dropLast`. */
  readonly batchesPerEpoch: number;
  readonly #shuffle: boolean;
  readonly #augment: boolean;
  readonly #seed: number;

  /** @throws usage: a batch size that is not positive, or above the number of images with `dropLast` */
  constructor(
    dataset: Dataset,
    { batchSize, shuffle = false, augment = false, seed = 0, dropLast = false }: LoaderOptions,
  ) {
    if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
      throw fault("usage", { where: "batch size", rule: "must be an integer of at least 1", got: batchSize });
    }
    this.dataset = dataset;
    this.batchSize = batchSize;
    this.batchesPerEpoch = dropLast ? Math.floor(dataset.length / batchSize) : Math.ceil(dataset.length / batchSize);
    this.#shuffle = shuffle;
    this.#augment = augment;
    this.#seed = seed;
    if (this.batchesPerEpoch === 0) {
      const rule = `must be at most the number of images of ${dataset.name}, ${dataset.length}`;
      throw fault("usage", { where: "batch size", rule, got: batchSize });
    }
  }

  /**
   * The batches of an epoch from step `fromStep` on. While the caller works on one batch the next is being read.
   * @throws what the data set's `read` throws
   */
  async *batches(epoch: number, fromStep = 0): AsyncGenerator<Batch, void, void> {
    if (!Number.isSafeInteger(fromStep) || fromStep < 0 || fromStep > this.batchesPerEpoch) {
      throw fault("internal", { where: "Loader", rule: `step must be in 0..${this.batchesPerEpoch}`, got: fromStep });
    }
    const order = this.order(epoch);
    const buffers = [this.#makeBuffer(), this.#makeBuffer()] as const;
    let next = fromStep < this.batchesPerEpoch ? this.#fill(order, epoch, fromStep, buffers[0]) : undefined;
    for (let step = fromStep; next !== undefined; step++) {
      const batch: Batch = await next;
      const following = step + 1 - fromStep;
      next =
        step + 1 < this.batchesPerEpoch
          ? this.#fill(order, epoch, step + 1, buffers[following % 2 === 0 ? 0 : 1])
          : undefined;
      next?.catch(() => undefined); // reported when it is awaited; never, if the caller stops before
      yield batch;
    }
  }

  /** The epoch's order of the images, [N]. */
  order(epoch: number): Uint32Array {
    const order = Uint32Array.from({ length: this.dataset.length }, (_, index) => index);
    return this.#shuffle ? new Random(this.#seed, "order", epoch).shuffle(order) : order;
  }

  async #fill(order: Uint32Array, epoch: number, step: number, buffer: Buffers): Promise<Batch> {
    const first = step * this.batchSize;
    const indices = order.slice(first, first + this.batchSize);
    const bytes = indices.length * this.dataset.imageSize ** 2 * 3;
    const images = buffer.images.subarray(0, bytes);
    const labels = Int32Array.from(indices, (index) => this.dataset.labels[index]);
    await this.dataset.read(indices, images);
    if (buffer.augmented === undefined) return { images, labels, indices };
    const augmented = buffer.augmented.subarray(0, bytes);
    cropAndFlip(images, augmented, this.dataset.imageSize, new Random(this.#seed, "augment", epoch), first);
    return { images: augmented, labels, indices };
  }

  #makeBuffer(): Buffers {
    const bytes = Math.min(this.batchSize, this.dataset.length) * this.dataset.imageSize ** 2 * 3;
    return { images: new Uint8Array(bytes), augmented: this.#augment ? new Uint8Array(bytes) : undefined };
  }
}

/** The memory that one batch needs; two of them take turns. */
interface Buffers {
  readonly images: Uint8Array;
  readonly augmented: Uint8Array | undefined;
}
