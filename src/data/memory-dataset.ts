/** A data set whose images lie in memory as one array of bytes: what CIFAR, class folders and the generator end as. */

import { fault } from "../errors.ts";
import { sha256 } from "../utils/sha256.ts";
import { checkRead, type Dataset, type InMemory, type Luck, type Normalization } from "./dataset.ts";
import { drawMove, drawsOf, padCropFlip, stay } from "./transforms.ts";

export interface MemoryImages {
  readonly name: string;
  readonly classes: readonly string[];
  readonly imageSize: number;
  /** [N] */
  readonly labels: Int32Array;
  /** Bytes [N, imageSize, imageSize, 3]; borrowed, and not to be changed any more. */
  readonly images: Uint8Array;
  readonly normalization: Normalization;
  /** Whether training may crop and flip the images at random without changing what they show; true if absent. */
  readonly augmented?: boolean;
}

export class MemoryDataset implements Dataset {
  readonly name: string;
  readonly classes: readonly string[];
  readonly length: number;
  readonly imageSize: number;
  readonly labels: Int32Array;
  readonly normalization: Normalization;
  readonly augmented: boolean;
  readonly fingerprint: string;
  readonly inMemory: InMemory;
  readonly #images: Uint8Array;

  constructor({ name, classes, imageSize, labels, images, normalization, augmented = true }: MemoryImages) {
    const expected = labels.length * imageSize * imageSize * 3;
    if (images.length !== expected) {
      throw fault("internal", { where: name, rule: `must have ${expected} bytes of images`, got: images.length });
    }
    this.name = name;
    this.classes = classes;
    this.length = labels.length;
    this.imageSize = imageSize;
    this.labels = labels;
    this.normalization = normalization;
    this.augmented = augmented;
    this.#images = images;
    this.inMemory = { images, moves: (count, luck) => this.#moves(count, luck) };
    this.fingerprint = sha256(JSON.stringify({ classes, imageSize, length: labels.length }), labels, images);
  }

  read(indices: Uint32Array, out: Uint8Array, luck?: Luck): Uint32Array {
    checkRead(this, indices, out);
    const imageBytes = this.imageSize * this.imageSize * 3;
    const draws = luck && this.augmented ? drawsOf(luck) : undefined;
    indices.forEach((index, slot) => {
      const image = this.#images.subarray(index * imageBytes, (index + 1) * imageBytes);
      const place = out.subarray(slot * imageBytes, (slot + 1) * imageBytes);
      if (draws === undefined) place.set(image);
      else padCropFlip(image, place, this.imageSize, draws(slot));
    });
    return indices;
  }

  #moves(count: number, luck?: Luck): BigInt64Array {
    const draws = luck && this.augmented ? drawsOf(luck) : undefined;
    return BigInt64Array.from({ length: count }, (_, slot) =>
      BigInt(draws === undefined ? stay : drawMove(draws(slot))),
    );
  }
}
