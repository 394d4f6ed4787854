/** Some of a data set's images, as a data set. */
import { fault } from "../errors.ts";
import type { PixelArray } from "../utils/pixel-array.ts";
import { row } from "../utils/rows.ts";
import { sha256 } from "../utils/sha256.ts";
import { type Dataset, type InMemory, imageLength, roomFor } from "./dataset.ts";
import type { Augmentation } from "./transforms.ts";

export class SubsetDataset implements Dataset {
  readonly name: string;
  readonly classes: readonly string[];
  readonly length: number;
  readonly imageSize: number;
  readonly bands: readonly string[];
  readonly pixelType: Dataset["pixelType"];
  readonly labels: Int32Array;
  readonly normalization: Dataset["normalization"];
  readonly stretch: Dataset["stretch"];
  readonly low: Dataset["low"];
  readonly transform: Dataset["transform"];
  readonly fingerprint: string;
  readonly #whole: Dataset;
  /** Which images of the whole, [length]. */
  readonly #images: Uint32Array;
  /** The place of each image of the whole among them. */
  readonly #places: ReadonlyMap<number, number>;
  #inMemory: InMemory | undefined;

  /** @param images which ones, each once */
  constructor(whole: Dataset, images: Uint32Array) {
    this.#whole = whole;
    this.#images = images;
    this.#places = new Map(Array.from(images, (image, place) => [image, place]));
    this.name = whole.name;
    this.classes = whole.classes;
    this.length = images.length;
    this.imageSize = whole.imageSize;
    this.bands = whole.bands;
    this.pixelType = whole.pixelType;
    this.labels = Int32Array.from(images, (image) => whole.labels[image]);
    this.normalization = whole.normalization;
    this.stretch = whole.stretch;
    this.low = whole.low;
    this.transform = whole.transform;
    this.fingerprint = sha256(whole.fingerprint, new Uint8Array(images.buffer, images.byteOffset, images.byteLength));
  }

  read(indices: Uint32Array, out: PixelArray, augmentation?: Augmentation): Uint32Array | Promise<Uint32Array> {
    const read = this.#whole.read(
      indices.map((index) => this.#images[index]),
      out,
      augmentation,
    );
    if (read instanceof Promise) return read.then((images) => this.#placed(images, out, augmentation));
    const places = Array.from(read, (image) => this.#places.get(image));
    return places.includes(undefined) ? this.#placed(read, out, augmentation) : Uint32Array.from(places as number[]);
  }

  /** A copy of them, made when a device first wants to hold them. */
  get inMemory(): InMemory | undefined {
    const { inMemory } = this.#whole;
    if (inMemory === undefined) return undefined;
    this.#inMemory ??= { images: this.#copied(inMemory.images), moves: inMemory.moves };
    return this.#inMemory;
  }

  #copied(all: PixelArray): PixelArray {
    const each = imageLength(this);
    const images = roomFor(this, this.length);
    for (const [place, image] of this.#images.entries()) images.set(row(all, image, each), place * each);
    return images;
  }

  /**
   * Their places. An image that can't be read was replaced by another of the whole: where that one is not among the
   * subset's, the next of the subset takes its slot, so that no image strays from one subset into another.
   */
  async #placed(images: Uint32Array, out: PixelArray, augmentation: Augmentation | undefined): Promise<Uint32Array> {
    const each = imageLength(this);
    const places = new Uint32Array(images.length);
    for (const [slot, image] of images.entries()) {
      let place = this.#places.get(image);
      for (let tries = 0; place === undefined; tries++) {
        if (tries === this.length) throw fault("input", { where: this.name, rule: "must hold readable images" });
        const own = this.#images[(image + tries) % this.length];
        const [got] = await this.#whole.read(Uint32Array.of(own), row(out, slot, each), augmentation);
        place = this.#places.get(got);
      }
      places[slot] = place;
    }
    return places;
  }
}
