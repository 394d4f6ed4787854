/** One image of a tiled file as pixels: finds a window's tiles, has them fetched, and decodes each once, as long as it is held. */

import { placesOf, type Rendering, renderTile } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import type { TileLayout } from "../formats/tiff-layout.ts";
import { pacer } from "../utils/pacer.ts";
import type { Purpose } from "./ledger.ts";
import type { Raster, Window } from "./patch-source.ts";
import { type ByteRange, tilesOf } from "./plan.ts";
import type { RangeCache } from "./range-cache.ts";

/** Of decoded tiles, in bytes: a row of windows of a scene 20,000 pixels wide, in tiles of 512. */
const mostDecoded = 64 * 2 ** 20;

export class TileReader {
  readonly layout: TileLayout;
  readonly #cache: RangeCache;
  readonly #purpose: Purpose;
  readonly #rendering: Rendering;
  /** The one used longest ago first. */
  readonly #decoded = new Map<number, Uint8Array>();
  readonly #paid = new Set<number>();
  readonly #turn = pacer();

  constructor(layout: TileLayout, cache: RangeCache, purpose: Purpose, rendering: Rendering) {
    this.layout = layout;
    this.#cache = cache;
    this.#purpose = purpose;
    this.#rendering = rendering;
  }

  /** Bytes of all tiles, of the bands that are looked at. */
  get bytes(): number {
    const { columns, rows, separate, byteCounts } = this.layout;
    const starts = separate ? this.#rendering.bands.map((band) => band * columns * rows) : [0];
    let sum = 0;
    for (const start of starts) {
      for (let place = start; place < start + columns * rows; place++) sum += byteCounts[place];
    }
    return sum;
  }

  /** Fetches what the windows need. */
  prefetch(windows: readonly Window[]): Promise<void> {
    const tiles = new Set(windows.flatMap((window) => tilesOf(this.layout, window)));
    const wanted = [...tiles].filter((tile) => !this.#decoded.has(tile));
    return this.#cache.prefetch(
      wanted.flatMap((tile) => this.#ranges(tile)),
      this.#purpose,
    );
  }

  /** Bytes of the window's tiles that were not needed before. */
  pay(window: Window): number {
    const due = tilesOf(this.layout, window).filter((tile) => !this.#paid.has(tile));
    for (const tile of due) this.#paid.add(tile);
    return due.reduce((sum, tile) => sum + this.#bytesOf(tile), 0);
  }

  /** The pixels of a window that lies within the image. */
  async read(window: Window): Promise<Raster> {
    const { tileWidth, tileHeight, columns } = this.layout;
    const pixels = new Uint8Array(3 * window.width * window.height);
    for (const tile of tilesOf(this.layout, window)) {
      await this.#turn();
      const bytes = await this.#rgb(tile);
      const [left, top] = [(tile % columns) * tileWidth, Math.floor(tile / columns) * tileHeight];
      const from = Math.max(window.x, left);
      const length = 3 * (Math.min(window.x + window.width, left + tileWidth) - from);
      const bottom = Math.min(window.y + window.height, top + tileHeight);
      for (let y = Math.max(window.y, top); y < bottom; y++) {
        const start = 3 * ((y - top) * tileWidth + from - left);
        pixels.set(bytes.subarray(start, start + length), 3 * ((y - window.y) * window.width + from - window.x));
      }
    }
    return { width: window.width, height: window.height, pixels };
  }

  /** [tileHeight, tileWidth, 3] */
  async #rgb(tile: number): Promise<Uint8Array> {
    const held = this.#decoded.get(tile);
    if (held !== undefined) {
      this.#decoded.delete(tile);
      this.#decoded.set(tile, held);
      return held;
    }
    const bytes = await this.#decode(tile);
    this.#decoded.set(tile, bytes);
    const most = Math.max(1, Math.floor(mostDecoded / bytes.length));
    for (const oldest of this.#decoded.keys()) {
      if (this.#decoded.size <= most) break;
      this.#decoded.delete(oldest);
    }
    return bytes;
  }

  async #decode(tile: number): Promise<Uint8Array> {
    const { layout } = this;
    const packed = await Promise.all(this.#ranges(tile).map((range) => this.#cache.read(range, this.#purpose)));
    try {
      return await renderTile(packed, layout, this.#rendering);
    } catch (error) {
      const where = `${this.#cache.source.where}: tile ${tile} of ${layout.width} × ${layout.height} pixels`;
      const got = (error as Error).message;
      throw fault("input", { where, rule: "must be decoded", got, next: "is the file whole?" }, error);
    }
  }

  #ranges(tile: number): ByteRange[] {
    return placesOf(this.layout, this.#rendering, tile);
  }

  #bytesOf(tile: number): number {
    return this.#ranges(tile).reduce((sum, { start, end }) => sum + end - start, 0);
  }
}
