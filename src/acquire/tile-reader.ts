/** One image of a tiled file as pixels: finds a window's tiles, has them fetched, and decodes each once, as long as it is held. */

import { fillMissing } from "../data/normalizations.ts";
import { placesOf, type Rendering, renderTile } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import { layoutOf, type TileLayout } from "../formats/tiff-layout.ts";
import { pacer } from "../utils/pacer.ts";
import { newPixels, type PixelArray, type PixelForm } from "../utils/pixel-array.ts";
import type { Purpose } from "./ledger.ts";
import type { Raster, SceneTiles, Window } from "./patch-source.ts";
import { type ByteRange, tilesOf } from "./plan.ts";
import { type Fetching, leastGap, type RangeCache } from "./range-cache.ts";

/** Of decoded tiles, in bytes: a row of windows of a scene 20,000 pixels wide, in tiles of 512. */
const mostDecoded = 64 * 2 ** 20;

export class TileReader implements SceneTiles {
  readonly layout: TileLayout;
  readonly #cache: RangeCache;
  readonly #purpose: Purpose;
  readonly #rendering: Rendering;
  readonly #missing: readonly number[] | undefined;
  readonly #mostDecoded: number;
  /** The one used longest ago first. */
  readonly #decoded = new Map<number, PixelArray>();
  readonly #paid = new Set<number>();
  readonly #turn = pacer();

  /**
   * @param missing what stands for a missing value of each band; they stay NaN when absent
   * @param memoryShare of the memory for decoded tiles
   */
  constructor(
    layout: TileLayout,
    cache: RangeCache,
    purpose: Purpose,
    {
      rendering,
      missing,
      memoryShare = 1,
    }: { readonly rendering: Rendering; readonly missing?: readonly number[]; readonly memoryShare?: number },
  ) {
    this.layout = layout;
    this.#cache = cache;
    this.#purpose = purpose;
    this.#rendering = rendering;
    this.#missing = missing;
    this.#mostDecoded = memoryShare * mostDecoded;
  }

  /** What is read of it. */
  get form(): PixelForm {
    return { type: this.#rendering.type, bands: this.#rendering.bands.length };
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

  /** Of those tiles that are not held. */
  get dueBytes(): number {
    let sum = 0;
    for (let tile = 0; tile < this.count; tile++) sum += this.#isHere(tile) ? 0 : this.#bytesOf(tile);
    return sum;
  }

  /** Begins to fetch what the windows need. */
  prefetch(windows: readonly Window[]): Fetching {
    const tiles = new Set(windows.flatMap((window) => tilesOf(this.layout, window)));
    const wanted = [...tiles].filter((tile) => !this.#decoded.has(tile));
    return this.#cache.prefetch(
      wanted.flatMap((tile) => this.#ranges(tile)),
      this.#purpose,
    );
  }

  get count(): number {
    return this.layout.columns * this.layout.rows;
  }

  get needed(): number {
    return this.#paid.size;
  }

  of(window: Window): number[] {
    return tilesOf(this.layout, window);
  }

  bytesOf(tile: number): number {
    return this.#isHere(tile) ? 0 : this.#bytesOf(tile);
  }

  mostBytesOf(tile: number): number {
    return this.#isHere(tile) ? 0 : this.#bytesOf(tile) + leastGap * this.#ranges(tile).length;
  }

  /** Bytes of the window's tiles that were not needed before. */
  pay(window: Window): number {
    const due = tilesOf(this.layout, window).filter((tile) => !this.#paid.has(tile));
    for (const tile of due) this.#paid.add(tile);
    return due.reduce((sum, tile) => sum + this.#bytesOf(tile), 0);
  }

  /** Whether all tiles of the window are here: read for others, or between what was read for them. */
  isHeld(window: Window): boolean {
    return tilesOf(this.layout, window).every((tile) => this.#isHere(tile));
  }

  #isHere(tile: number): boolean {
    return this.#decoded.has(tile) || this.#ranges(tile).every((one) => this.#cache.holds(one));
  }

  /** The pixels of a window that lies within the image. */
  async read(window: Window): Promise<Raster> {
    const { tileWidth, tileHeight, columns } = this.layout;
    const { bands, type } = this.#rendering;
    const pixels = newPixels(type, bands.length * window.width * window.height);
    for (const tile of tilesOf(this.layout, window)) {
      await this.#turn();
      const own = await this.#pixels(tile);
      const [left, top] = [(tile % columns) * tileWidth, Math.floor(tile / columns) * tileHeight];
      const from = Math.max(window.x, left);
      const length = bands.length * (Math.min(window.x + window.width, left + tileWidth) - from);
      const bottom = Math.min(window.y + window.height, top + tileHeight);
      for (let y = Math.max(window.y, top); y < bottom; y++) {
        const start = bands.length * ((y - top) * tileWidth + from - left);
        pixels.set(
          own.subarray(start, start + length),
          bands.length * ((y - window.y) * window.width + from - window.x),
        );
      }
    }
    return { width: window.width, height: window.height, pixels };
  }

  /** [tileHeight, tileWidth, bands] */
  async #pixels(tile: number): Promise<PixelArray> {
    const held = this.#decoded.get(tile);
    if (held !== undefined) {
      this.#decoded.delete(tile);
      this.#decoded.set(tile, held);
      return held;
    }
    const pixels = await this.#decode(tile);
    this.#decoded.set(tile, pixels);
    const most = Math.max(1, Math.floor(this.#mostDecoded / pixels.byteLength));
    for (const oldest of this.#decoded.keys()) {
      if (this.#decoded.size <= most) break;
      this.#decoded.delete(oldest);
    }
    return pixels;
  }

  async #decode(tile: number): Promise<PixelArray> {
    const { layout } = this;
    const packed = await Promise.all(this.#ranges(tile).map((range) => this.#cache.read(range, this.#purpose)));
    try {
      const pixels = await renderTile(packed, layoutOf(layout, tile), this.#rendering);
      if (this.#missing !== undefined) fillMissing(pixels, this.#missing);
      return pixels;
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
