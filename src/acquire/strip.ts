/** A row of windows as pixels: the low resolution enlarged, and over it the patches that were acquired. */

import { pacer } from "../utils/pacer.ts";
import type { Window } from "./patch-source.ts";
import type { Cell, Scene } from "./scene.ts";

export class Strip {
  readonly #scene: Scene;
  readonly #top: number;
  /** [rows within the scene, width, 3] */
  readonly pixels: Uint8Array;

  /** @param row of windows */
  constructor(scene: Scene, row: number) {
    this.#scene = scene;
    this.#top = row * scene.grid.imageSize;
    const rows = Math.min(scene.grid.imageSize, scene.height - this.#top);
    this.pixels = new Uint8Array(3 * rows * scene.width);
  }

  /** Fills it with the low resolution, each pixel repeated over its block. @param low [windows, lowSize, lowSize, 3] */
  async enlarge(low: Uint8Array, lowSize: number): Promise<void> {
    const { width, grid } = this.#scene;
    const at = (i: number) => Math.floor((i * lowSize) / grid.imageSize);
    const turn = pacer();
    for (let y = 0; y < this.pixels.length / (3 * width); y++) {
      await turn();
      for (let x = 0; x < width; x++) {
        const window = Math.floor(x / grid.imageSize);
        const from = 3 * ((window * lowSize + at(y)) * lowSize + at(x % grid.imageSize));
        const to = 3 * (y * width + x);
        for (let c = 0; c < 3; c++) this.pixels[to + c] = low[from + c];
      }
    }
  }

  /** @param pixels of the cell's whole box */
  paste(pixels: Uint8Array, { box, inside }: Cell): void {
    const place = { x: inside.x, y: inside.y - this.#top, width: this.#scene.width };
    paste({ pixels, box, inside }, this.pixels, place);
  }
}

/**
 * Copies a box of pixels into a larger image.
 * @param inside the part to copy, from its top left
 * @param place where in the image, and the image's width
 */
export function paste(
  { pixels, box, inside = box }: { pixels: Uint8Array; box: Window; inside?: Window },
  image: Uint8Array,
  { x, y, width }: { x: number; y: number; width: number },
): void {
  for (let row = 0; row < inside.height; row++) {
    const from = 3 * row * box.width;
    image.set(pixels.subarray(from, from + 3 * inside.width), 3 * ((y + row) * width + x));
  }
}
