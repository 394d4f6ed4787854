/** A data set whose images are read from their files each time they are asked for: what does not fit into memory. */

import { fault } from "../errors.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { sha256 } from "../utils/sha256.ts";
import type { BadFiles } from "./bad-files.ts";
import { checkRead, type Dataset, type Normalization, type Stretch } from "./dataset.ts";
import type { DecodePool } from "./decode-pool.ts";
import type { FileList } from "./file-list.ts";
import type { Augmentation, TransformName } from "./transforms.ts";

export interface StreamedImages {
  readonly name: string;
  readonly classes: readonly string[];
  readonly imageSize: number;
  readonly files: FileList;
  /** What is done to an image file; `pool` applies it. */
  readonly transform: TransformName;
  readonly bands: readonly string[];
  readonly pixelType: PixelType;
  readonly normalization: Normalization;
  readonly stretch?: Stretch | undefined;
  /** Of pairs, whose low pictures `files` has, too. */
  readonly low?: Normalization | undefined;
  /** Makes the images; it may serve all splits. */
  readonly pool: DecodePool;
  /** What could not be read so far, of all splits. */
  readonly bad: BadFiles;
}

/**
 * An image that can't be read is replaced by the next in the list that can, with its own label: that depends on the files
 * alone, so a run that is resumed sees the same images. The fingerprint is of names and labels; new content under an old
 * name goes unnoticed.
 */
export class StreamingDataset implements Dataset {
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
  readonly fingerprint: string;
  readonly #files: FileList;
  readonly #pool: DecodePool;
  readonly #bad: BadFiles;

  constructor({ name, classes, imageSize, files, transform, pool, bad, ...given }: StreamedImages) {
    this.name = name;
    this.classes = classes;
    this.length = files.length;
    this.imageSize = imageSize;
    this.labels = files.labels;
    this.bands = given.bands;
    this.pixelType = given.pixelType;
    this.normalization = given.normalization;
    this.stretch = given.stretch;
    this.low = given.low;
    this.transform = transform;
    this.fingerprint = sha256(JSON.stringify({ classes, imageSize, length: files.length }), files.digest());
    this.#files = files;
    this.#pool = pool;
    this.#bad = bad;
  }

  /** @throws input: more unreadable files than allowed; system: a decoder that crashes */
  async read(indices: Uint32Array, out: PixelArray, augmentation?: Augmentation): Promise<Uint32Array> {
    checkRead(this, indices, out);
    const isShared = out.buffer instanceof SharedArrayBuffer;
    const shared = isShared ? out : newPixels(this.pixelType, out.length, { shared: true });
    const shown = indices.slice();
    let slots = Uint32Array.from(indices.keys());
    while (slots.length > 0) {
      for (const slot of slots) shown[slot] = this.#readable(shown[slot]);
      const paths = Array.from(slots, (slot) => this.#files.path(shown[slot]));
      const { low } = this.#files;
      const lows = low && Array.from(slots, (slot) => low.path(shown[slot]));
      const unreadable = await this.#pool.decode({ paths, lows, slots, augmentation }, shared);
      for (const { slot, reason } of unreadable) this.#bad.add({ path: this.#files.path(shown[slot]), reason });
      slots = Uint32Array.from(unreadable, ({ slot }) => slot);
    }
    if (shared !== out) out.set(shared);
    return shown;
  }

  /** The image, or the next that is not known to be unreadable. */
  #readable(index: number): number {
    for (let tries = 0; tries < this.length; tries++) {
      const candidate = (index + tries) % this.length;
      if (!this.#bad.has(this.#files.path(candidate))) return candidate;
    }
    throw fault("input", { where: this.name, rule: "must hold readable images in every split" });
  }
}
