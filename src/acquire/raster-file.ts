/**
 * Writes a large image row by row as a tiled GeoTIFF, with overviews or without. One row of tiles of each level is held in
 * memory; packed tiles wait in unlinked temporary files, one per level, since a COG begins with its coarsest pixels.
 */

import { closeSync, fsyncSync, openSync, readSync, unlinkSync } from "node:fs";
import { inOrder } from "../data/in-order.ts";
import { systemFault } from "../files/atomic.ts";
import { encodeHeader, encodeTile, type WrittenTiff } from "../formats/tiff-writer.ts";
import { pacer } from "../utils/pacer.ts";
import { writeAll } from "../utils/write-all.ts";
import type { Size } from "./scene.ts";

const channels = 3;
/** zlib works on the four threads of libuv. */
const tilesAtOnce = 4;
const copiedBytes = 2 ** 20;

export interface RasterOptions extends Size {
  readonly georeference?: WrittenTiff["georeference"];
  /** Side of a tile in pixels; a multiple of 16. */
  readonly tileSize?: number;
  /** Number of overviews, each half as large as the one before. */
  readonly overviews?: number;
  /** What a pixel of an overview is: the mean of four, or the top left one of them. */
  readonly resampling?: "average" | "nearest";
}

export class RasterFile {
  readonly #path: string;
  readonly #tileSize: number;
  readonly #georeference: WrittenTiff["georeference"];
  readonly #levels: Level[] = [];
  #headerBytes = 0;

  /** @throws system */
  constructor(path: string, options: RasterOptions) {
    const { width, height, overviews = 0, resampling = "average", georeference } = options;
    const { tileSize = tileSizeFor(options) } = options;
    this.#path = path;
    this.#tileSize = tileSize;
    this.#georeference = georeference;
    for (let n = overviews; n >= 0; n--) {
      const size = { width: Math.ceil(width / 2 ** n), height: Math.ceil(height / 2 ** n) };
      this.#levels.unshift(new Level(`${path}.${n}`, size, { tileSize, resampling, coarser: this.#levels[0] }));
    }
  }

  /** The next rows, [n, width, 3]. @throws system */
  write(rows: Uint8Array): Promise<void> {
    return this.#levels[0].write(rows);
  }

  /** Writes the file when all rows have come. @throws system */
  async finish(): Promise<void> {
    const header = encodeHeader({
      levels: this.#levels,
      tileSize: this.#tileSize,
      georeference: this.#georeference,
    });
    this.#headerBytes = header.length;
    try {
      const file = openSync(this.#path, "wx");
      try {
        writeAll(file, header);
        for (const level of this.#levels.toReversed()) await level.copyTo(file);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
    } catch (error) {
      throw systemFault("could not be written", this.#path, header.length, error);
    } finally {
      this.close();
    }
  }

  /** Of packed tiles so far; of the whole file once it is finished. */
  get bytes(): number {
    return this.#levels.reduce((sum, { bytes }) => sum + bytes, this.#headerBytes);
  }

  /** Discards what was not finished. */
  close(): void {
    for (const level of this.#levels) level.close();
  }
}

/** As GDAL's COGs; less for a small image, since libvips refuses tiles that are mostly empty. */
function tileSizeFor({ width, height }: Size): number {
  return Math.min(512, 16 * Math.ceil(Math.max(width, height) / 16));
}

interface LevelOptions {
  readonly tileSize: number;
  readonly resampling: "average" | "nearest";
  readonly coarser: Level | undefined;
}

class Level implements Size {
  readonly width: number;
  readonly height: number;
  readonly byteCounts: number[] = [];
  /** Their sum. */
  bytes = 0;
  readonly #options: LevelOptions;
  readonly #path: string;
  #spool: number | undefined;
  /** Rows that wait for their tiles to be full. */
  readonly #held: Uint8Array;
  #rows = 0;
  #written = 0;
  /** A row that waits for the one below it. */
  #upper: Uint8Array | undefined;

  constructor(path: string, { width, height }: Size, options: LevelOptions) {
    this.width = width;
    this.height = height;
    this.#options = options;
    this.#path = path;
    this.#held = new Uint8Array(Math.min(options.tileSize, height) * width * channels);
    try {
      this.#spool = openSync(path, "wx+");
      unlinkSync(path);
    } catch (error) {
      throw systemFault("could not be written", path, 0, error);
    }
  }

  async write(rows: Uint8Array): Promise<void> {
    const rowBytes = this.width * channels;
    for (let at = 0; at < rows.length; ) {
      const length = Math.min(rows.length - at, this.#held.length - this.#rows * rowBytes);
      this.#held.set(rows.subarray(at, at + length), this.#rows * rowBytes);
      this.#rows += length / rowBytes;
      this.#written += length / rowBytes;
      at += length;
      if (this.#rows === this.#options.tileSize || this.#written === this.height) await this.#packRow();
    }
    const { coarser } = this.#options;
    if (coarser !== undefined) await coarser.write(await this.#halved(rows, coarser.width));
  }

  /** Packs the held rows as a row of tiles; what lies beyond the edge is black. */
  async #packRow(): Promise<void> {
    const { tileSize } = this.#options;
    const columns = Array.from({ length: Math.ceil(this.width / tileSize) }, (_, column) => column);
    const pack = (column: number) => encodeTile(this.#tile(column), tileSize);
    for await (const packed of inOrder(columns, tilesAtOnce, pack)) {
      try {
        writeAll(this.#spool!, packed);
      } catch (error) {
        throw systemFault("could not be written", this.#path, packed.length, error);
      }
      this.byteCounts.push(packed.length);
      this.bytes += packed.length;
    }
    this.#rows = 0;
  }

  #tile(column: number): Uint8Array {
    const { tileSize } = this.#options;
    const tile = new Uint8Array(tileSize * tileSize * channels);
    const length = channels * Math.min(tileSize, this.width - column * tileSize);
    for (let row = 0; row < this.#rows; row++) {
      const start = channels * (row * this.width + column * tileSize);
      tile.set(this.#held.subarray(start, start + length), row * tileSize * channels);
    }
    return tile;
  }

  /** Half as many rows and columns; a last one without partner counts twice. */
  async #halved(rows: Uint8Array, width: number): Promise<Uint8Array> {
    const rowBytes = this.width * channels;
    const whole = this.#upper === undefined ? rows : Buffer.concat([this.#upper, rows]);
    const count = whole.length / rowBytes;
    const ended = this.#written === this.height;
    const pairs = ended ? Math.ceil(count / 2) : Math.floor(count / 2);
    this.#upper = pairs * 2 < count ? new Uint8Array(whole.subarray(pairs * 2 * rowBytes)) : undefined;
    const out = new Uint8Array(pairs * width * channels);
    const nearest = this.#options.resampling === "nearest";
    const turn = pacer();
    for (let y = 0; y < pairs; y++) {
      await turn();
      const upper = 2 * y * rowBytes;
      const lower = Math.min(2 * y + 1, count - 1) * rowBytes;
      for (let x = 0; x < width; x++) {
        const left = 2 * x * channels;
        const right = Math.min(2 * x + 1, this.width - 1) * channels;
        for (let c = 0; c < channels; c++) {
          const first = whole[upper + left + c];
          const others = whole[upper + right + c] + whole[lower + left + c] + whole[lower + right + c];
          out[channels * (y * width + x) + c] = nearest ? first : (first + others + 2) >> 2;
        }
      }
    }
    return out;
  }

  async copyTo(file: number): Promise<void> {
    const buffer = new Uint8Array(copiedBytes);
    const turn = pacer();
    for (let at = 0; ; ) {
      await turn();
      const count = readSync(this.#spool!, buffer, 0, buffer.length, at);
      if (count === 0) return;
      writeAll(file, buffer.subarray(0, count));
      at += count;
    }
  }

  close(): void {
    if (this.#spool !== undefined) closeSync(this.#spool);
    this.#spool = undefined;
  }
}
