/** A row of windows as pixels: the low resolution enlarged, and over it the patches that were acquired. */

import { pacer } from "../utils/pacer.ts";
import { newPixels, type PixelArray, type PixelForm } from "../utils/pixel-array.ts";
import type { Window } from "./patch-source.ts";
import type { Cell, Scene } from "./scene.ts";

export class Strip {
  readonly #scene: Scene;
  readonly #top: number;
  readonly #channels: number;
  /** [rows within the scene, width, C] */
  readonly pixels: PixelArray;

  /** @param row of windows */
  constructor(scene: Scene, row: number, { type, bands }: PixelForm) {
    this.#scene = scene;
    this.#top = row * scene.grid.imageSize;
    const rows = Math.min(scene.grid.imageSize, scene.height - this.#top);
    this.#channels = bands;
    this.pixels = newPixels(type, bands * rows * scene.width);
  }

  /** Fills it with the low resolution, each pixel repeated over its block. @param low [windows, lowSize, lowSize, C] */
  async enlarge(low: PixelArray, lowSize: number): Promise<void> {
    const { width, grid } = this.#scene;
    const at = (i: number) => Math.floor((i * lowSize) / grid.imageSize);
    const channels = this.#channels;
    const turn = pacer();
    const length = channels * width;
    for (let y = 0; y < this.pixels.length / length; y++) {
      await turn();
      if (y > 0 && at(y) === at(y - 1)) {
        this.pixels.copyWithin(y * length, (y - 1) * length, y * length);
        continue;
      }
      for (let x = 0; x < width; x++) {
        const window = Math.floor(x / grid.imageSize);
        const from = channels * ((window * lowSize + at(y)) * lowSize + at(x % grid.imageSize));
        const to = channels * (y * width + x);
        for (let c = 0; c < channels; c++) this.pixels[to + c] = low[from + c];
      }
    }
  }

  /** @param pixels of the box that the cell lies in */
  paste(pixels: PixelArray, box: Window, { inside }: Pick<Cell, "inside">): void {
    const place = { x: inside.x, y: inside.y - this.#top, width: this.#scene.width };
    paste({ pixels, box, inside }, this.pixels, place);
  }
}

/**
 * Copies a box of pixels into a larger image.
 * @param inside the part to copy
 * @param place where in the image, and the image's width
 */
export function paste(
  { pixels, box, inside = box }: { pixels: PixelArray; box: Window; inside?: Window },
  image: PixelArray,
  { x, y, width }: { x: number; y: number; width: number },
): void {
  const channels = pixels.length / (box.width * box.height);
  for (let row = 0; row < inside.height; row++) {
    const from = channels * ((inside.y - box.y + row) * box.width + inside.x - box.x);
    image.set(pixels.subarray(from, from + channels * inside.width), channels * ((y + row) * width + x));
  }
}
