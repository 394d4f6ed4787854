/** A data set whose images lie in memory as one array of bytes: CIFAR, small class folders and the synthetic scenes. */

import { fault } from "../errors.ts";
import { kindOf } from "../utils/kind-of.ts";
import { bytesIn, type PixelArray, type PixelType, pixelTypeOf } from "../utils/pixel-array.ts";
import { refuseUnknown } from "../utils/refuse-unknown.ts";
import { sha256 } from "../utils/sha256.ts";
import {
  channelsOf,
  checkRead,
  type Dataset,
  type InMemory,
  imageLength,
  type Normalization,
  pixelStatistics,
  type Stretch,
} from "./dataset.ts";
import { checkDataset } from "./dataset-rules.ts";
import { fillMissing } from "./normalizations.ts";
import { rgb } from "./rendering.ts";
import type { Augmentation } from "./transforms.ts";
import { type Draws, drawMove, drawsOf, padCropFlip, stay, type TransformName } from "./transforms.ts";

/** Images in memory, and what they show. */
export interface MemoryImages {
  /** What the user calls them. */
  readonly name: string;
  /** Names of the classes, all different; a label is an index into this list. */
  readonly classes: readonly string[];
  /** Height and width of every image, in pixels. */
  readonly imageSize: number;
  /** One per image, in 0..classes.length − 1: [N]. Not copied. */
  readonly labels: Int32Array;
  /**
   * Bytes, or finite measured values, [N, imageSize, imageSize, bands] (rows, columns, bands), of pairs with twice as many bands. Not
   * copied, so not to be changed afterwards.
   */
  readonly images: PixelArray;
  /** One number per band. Of bytes in units of 0..1, and a network sees (x / 255 − mean) / std; of values (x − mean) / std. */
  readonly normalization: Normalization;
  /** Of measured values: how they are shown; by mean and deviation when absent. */
  readonly stretch?: Stretch | undefined;
  /**
   * The statistics of the low pictures' bands, where images are pairs: behind the bands of each pixel lie those of another picture of the
   * same ground, of which the low resolution is made; of the image itself if absent.
   */
  readonly low?: Normalization | undefined;
  /** Names of the bands, in the order in which they lie in an image; red, green, blue if absent. */
  readonly bands?: readonly string[] | undefined;
  /**
   * The transform that turns an image file into what these images are, for showing files to the trained networks later;
   * "cifar" if absent: the shorter side is resized to imageSize, and the middle taken.
   */
  readonly transform?: TransformName | undefined;
  /**
   * Whether training may move an image by up to 4 pixels and mirror it, at random, without changing what it shows; true if
   * absent.
   */
  readonly augmented?: boolean | undefined;
}

const imageKeys = Object.keys({
  ...{ name: true, classes: true, imageSize: true, labels: true, images: true },
  ...{ normalization: true, stretch: true, low: true, bands: true, transform: true, augmented: true },
} satisfies Record<keyof MemoryImages, true>);

/**
 * One split of a data set, from images in memory:
 *
 *     const train = new MemoryDataset({
 *       name: "squares",
 *       classes: ["light", "dark"],
 *       imageSize: 32,
 *       labels: Int32Array.of(0, 1),
 *       images: new Uint8Array(2 * 32 * 32 * 3).fill(255, 0, 32 * 32 * 3),
 *       normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
 *     });
 */
export class MemoryDataset implements Dataset {
  readonly name: string;
  readonly classes: readonly string[];
  readonly length: number;
  readonly imageSize: number;
  readonly bands: readonly string[];
  readonly pixelType: PixelType;
  readonly labels: Int32Array;
  readonly normalization: Normalization;
  readonly stretch: Stretch | undefined;
  readonly low: Normalization | undefined;
  readonly transform: TransformName;
  readonly augmented: boolean;
  readonly fingerprint: string;
  readonly inMemory: InMemory;
  readonly #images: PixelArray;

  /** @throws usage: as {@link checkDataset}, all faults at once; numbers that are not as many images as there are labels, or not finite */
  constructor(given: MemoryImages) {
    refuseUnknown(given, imageKeys, "MemoryDataset");
    const { name, classes, imageSize, labels, images, normalization } = given;
    this.name = name;
    this.classes = classes;
    this.length = labels?.length;
    this.imageSize = imageSize;
    this.bands = given.bands ?? rgb;
    this.pixelType = images instanceof Float32Array ? "float32" : "uint8";
    this.labels = labels;
    this.normalization = normalization;
    this.stretch = given.stretch;
    this.low = given.low;
    this.transform = given.transform ?? "cifar";
    this.augmented = given.augmented ?? true;
    checkDataset(this);
    this.#images = this.#checked(images);
    this.inMemory = { images, moves: (count, augmentation) => this.#moves(count, augmentation) };
    this.fingerprint = sha256(JSON.stringify({ classes, imageSize, length: labels.length }), labels, bytesIn(images));
  }

  read(indices: Uint32Array, out: PixelArray, augmentation?: Augmentation): Uint32Array {
    checkRead(this, indices, out);
    const each = imageLength(this);
    const draws = this.#draws(augmentation);
    indices.forEach((index, slot) => {
      const image = this.#images.subarray(index * each, (index + 1) * each);
      const place = out.subarray(slot * each, (slot + 1) * each);
      if (draws === undefined) place.set(image);
      else {
        padCropFlip(image, place, this.imageSize, draws(slot));
        fillMissing(place, pixelStatistics(this).mean);
      }
    });
    return indices;
  }

  #checked(images: PixelArray): PixelArray {
    const expected = this.length * imageLength(this);
    const isOne = images instanceof Uint8Array || images instanceof Float32Array;
    const where = `data set ${this.name}: images`;
    if (!isOne || images.length !== expected) {
      const shape = [this.length, this.imageSize, this.imageSize, channelsOf(this)].join(" × ");
      const rule = `must be a Uint8Array or a Float32Array of ${expected} numbers (${shape})`;
      throw fault("usage", { where, rule, got: isOne ? images.length : kindOf(images) });
    }
    const wrong = pixelTypeOf(images) === "uint8" ? -1 : images.findIndex((value) => !Number.isFinite(value));
    if (wrong === -1) return images;
    const next = "give a missing value its band's mean";
    throw fault("usage", { where: `${where}[${wrong}]`, rule: "must be a finite number", got: images[wrong], next });
  }

  #draws(augmentation: Augmentation | undefined): ((slot: number) => Draws) | undefined {
    return augmentation !== undefined && this.augmented ? drawsOf(augmentation) : undefined;
  }

  #moves(count: number, augmentation: Augmentation | undefined): BigInt64Array {
    const draws = this.#draws(augmentation);
    return BigInt64Array.from({ length: count }, (_, slot) =>
      BigInt(draws === undefined ? stay : drawMove(draws(slot))),
    );
  }
}
