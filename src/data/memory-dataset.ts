/** A data set whose images lie in memory as one array of bytes: what CIFAR, class folders and the generator end as. */

import { fault } from "../errors.ts";
import { sha256 } from "../utils/sha256.ts";
import type { Dataset, Normalization } from "./dataset.ts";

export interface MemoryImages {
  readonly name: string;
  readonly classes: readonly string[];
  readonly imageSize: number;
  /** [N] */
  readonly labels: Int32Array;
  /** Bytes [N, imageSize, imageSize, 3]; borrowed, and not to be changed any more. */
  readonly images: Uint8Array;
  readonly normalization: Normalization;
  /** See `Dataset`; true when absent. */
  /** As in {@link Dataset}; true if absent. */
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
    this.fingerprint = sha256(JSON.stringify({ classes, imageSize, length: labels.length }), labels, images);
  }

  read(indices: Uint32Array, out: Uint8Array): void {
    const imageBytes = this.imageSize * this.imageSize * 3;
    if (out.length < indices.length * imageBytes) {
      throw fault("internal", { where: `${this.name}: read`, rule: "out must hold all images", got: out.length });
    }
    indices.forEach((index, position) => {
      if (index >= this.length) {
        throw fault("internal", {
          where: `${this.name}: read`,
          rule: `index must be below ${this.length}`,
          got: index,
        });
      }
      out.set(this.#images.subarray(index * imageBytes, (index + 1) * imageBytes), position * imageBytes);
    });
  }
}
