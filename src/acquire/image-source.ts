/**
 * A picture that has to be read as a whole (PNG, JPEG, WebP), as a source of patches. It saves no bytes, and says so: it is
 * for trying a policy on pictures that are at hand.
 */

import { stat } from "node:fs/promises";
import { decodePixels } from "../data/decode.ts";
import { DecodeMemory } from "../data/decode-memory.ts";
import type { Pixels } from "../data/resize.ts";
import { fault, PatchDropError } from "../errors.ts";
import { pacer } from "../utils/pacer.ts";
import type { PixelArray } from "../utils/pixel-array.ts";
import { mustBeSame } from "./byte-source.ts";
import type { Ledger } from "./ledger.ts";
import {
  type FetchedPatches,
  type LowResolution,
  type PatchSource,
  pickLow,
  type Raster,
  type Window,
  widened,
  within,
} from "./patch-source.ts";

export class ImageSource implements PatchSource {
  readonly where: string;
  readonly georeference = undefined;
  readonly taken = undefined;
  readonly wholeBytes: number;
  readonly lowBytes = 0;
  readonly tiles = undefined;
  readonly lowFrom = "the picture's own pixels";
  readonly #image: Pixels;
  readonly #sizes: LowResolution;
  readonly #turn = pacer();
  #paid = false;

  private constructor(where: string, bytes: number, image: Pixels, sizes: LowResolution) {
    this.where = where;
    this.wholeBytes = bytes;
    this.#image = image;
    this.#sizes = sizes;
  }

  /** @throws input: not a picture that can be read */
  static async open(
    path: string,
    sizes: LowResolution,
    { ledger, max_image_bytes }: { ledger: Ledger; max_image_bytes?: number | undefined },
  ): Promise<ImageSource> {
    try {
      const before = await stat(path, { bigint: true });
      const [decoded] = await Promise.allSettled([decodePixels(path, new DecodeMemory(max_image_bytes))]);
      mustBeSame(path, before, await stat(path, { bigint: true }));
      if (decoded.status === "rejected") throw decoded.reason;
      const image = decoded.value;
      const size = Number(before.size);
      ledger.request("whole_file");
      ledger.received("whole_file", size);
      return new ImageSource(path, size, image, sizes);
    } catch (error) {
      if (error instanceof PatchDropError) throw error;
      const got = (error as Error).message;
      throw fault("input", { where: path, rule: "must be an image file that can be read", got }, error);
    }
  }

  get width(): number {
    return this.#image.width;
  }

  get height(): number {
    return this.#image.height;
  }

  async fetchLow(): Promise<void> {}

  async readLow(windows: readonly Window[]): Promise<PixelArray> {
    // Pictures are bytes of red, green and blue.
    const one = this.#sizes.lowSize ** 2 * 3;
    const low = new Uint8Array(windows.length * one);
    for (const [i, window] of windows.entries()) {
      await this.#turn();
      pickLow(this.#cut(within(window, this)), 1, this.#sizes, low.subarray(i * one, (i + 1) * one));
    }
    return low;
  }

  isFree(): boolean {
    return this.#paid;
  }

  fetchPatches(boxes: readonly Window[]): FetchedPatches {
    const read = async () => {
      const patches: PixelArray[] = [];
      for (const box of boxes) {
        await this.#turn();
        patches.push(widened(this.#cut(within(box, this)), box));
      }
      return patches;
    };
    return { requests: 0, bytes: 0, read, pay: () => boxes.map(() => this.#pay()) };
  }

  async close(): Promise<void> {}

  /** The whole file counts for whichever patch comes first. */
  #pay(): number {
    if (this.#paid) return 0;
    this.#paid = true;
    return this.wholeBytes;
  }

  #cut({ x, y, width, height }: Window): Raster {
    const pixels = new Uint8Array(3 * width * height);
    for (let row = 0; row < height; row++) {
      const start = 3 * ((y + row) * this.#image.width + x);
      pixels.set(this.#image.pixels.subarray(start, start + 3 * width), 3 * row * width);
    }
    return { width, height, pixels };
  }
}
