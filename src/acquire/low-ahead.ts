/** The low resolution of a scene, row by row of windows: while one row is looked at, the next ones are fetched. */

import type { PixelArray } from "../utils/pixel-array.ts";
import type { PatchSource } from "./patch-source.ts";
import { type Scene, windowsOf } from "./scene.ts";

export class LowAhead {
  readonly #source: PatchSource;
  readonly #scene: Scene;
  readonly #rows: number;
  #fetched = 0;

  /** @param rows that are fetched ahead */
  constructor(source: PatchSource, scene: Scene, rows: number) {
    this.#source = source;
    this.#scene = scene;
    this.#rows = rows;
  }

  /** Of the next row: [windows, L, L, C]. */
  async read(row: number): Promise<PixelArray> {
    for (const end = Math.min(row + 1 + this.#rows, this.#scene.rows); this.#fetched < end; this.#fetched++) {
      await this.#source.fetchLow(windowsOf(this.#scene, this.#fetched));
    }
    return this.#source.readLow(windowsOf(this.#scene, row));
  }
}
