/**
 * Writes a large image row by row as a tiled GeoTIFF, with overviews or without. One row of tiles of each level is held in
 * memory; packed tiles wait in unlinked temporary files, one per level, since a COG begins with its coarsest pixels.
 */

import { closeSync, fsyncSync, openSync, readSync, unlinkSync } from "node:fs";
import { inOrder } from "../data/in-order.ts";
import { systemFault } from "../files/atomic.ts";
import {
  encodeHeader,
  encodeTile,
  newWritten,
  type WrittenForm,
  type WrittenPixels,
  type WrittenTiff,
  writtenPicture,
} from "../formats/tiff-writer.ts";
import { pacer } from "../utils/pacer.ts";
import { writeAll } from "../utils/write-all.ts";
import type { Size } from "./scene.ts";

/** zlib works on the four threads of libuv. */
const tilesAtOnce = 4;
const copiedBytes = 2 ** 20;

export interface RasterOptions extends Size {
  readonly georeference?: WrittenTiff["georeference"];
  /** A picture when absent. */
  readonly form?: WrittenForm | undefined;
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
  readonly #form: WrittenForm;
  readonly #levels: Level[] = [];
  #headerBytes = 0;

  /** @throws system */
  constructor(path: string, options: RasterOptions) {
    const { width, height, overviews = 0, resampling = "average", georeference } = options;
    const { tileSize = tileSizeFor(options), form = writtenPicture } = options;
    this.#path = path;
    this.#tileSize = tileSize;
    this.#georeference = georeference;
    this.#form = form;
    for (let n = overviews; n >= 0; n--) {
      const size = { width: Math.ceil(width / 2 ** n), height: Math.ceil(height / 2 ** n) };
      this.#levels.unshift(new Level(`${path}.${n}`, size, { tileSize, resampling, form, coarser: this.#levels[0] }));
    }
  }

  /** The next rows, [n, width, bands]. @throws system */
  write(rows: WrittenPixels): Promise<void> {
    return this.#levels[0].write(rows);
  }

  /** Writes the file when all rows have come. @throws system */
  async finish(): Promise<void> {
    const header = encodeHeader({
      levels: this.#levels,
      tileSize: this.#tileSize,
      form: this.#form,
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
  readonly form: WrittenForm;
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
  readonly #held: WrittenPixels;
  #rows = 0;
  #written = 0;
  /** A row that waits for the one below it. */
  #upper: WrittenPixels | undefined;

  constructor(path: string, { width, height }: Size, options: LevelOptions) {
    this.width = width;
    this.height = height;
    this.#options = options;
    this.#path = path;
    this.#held = this.#zeros(Math.min(options.tileSize, height) * width * this.#bands);
    try {
      this.#spool = openSync(path, "wx+");
      unlinkSync(path);
    } catch (error) {
      throw systemFault("could not be written", path, 0, error);
    }
  }

  get #bands(): number {
    return this.#options.form.bands.length;
  }

  #zeros(length: number): WrittenPixels {
    return newWritten(this.#options.form, length);
  }

  async write(rows: WrittenPixels): Promise<void> {
    const rowLength = this.width * this.#bands;
    for (let at = 0; at < rows.length; ) {
      const length = Math.min(rows.length - at, this.#held.length - this.#rows * rowLength);
      this.#held.set(rows.subarray(at, at + length), this.#rows * rowLength);
      this.#rows += length / rowLength;
      this.#written += length / rowLength;
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

  #tile(column: number): WrittenPixels {
    const { tileSize } = this.#options;
    const bands = this.#bands;
    const tile = this.#zeros(tileSize * tileSize * bands);
    const length = bands * Math.min(tileSize, this.width - column * tileSize);
    for (let row = 0; row < this.#rows; row++) {
      const start = bands * (row * this.width + column * tileSize);
      tile.set(this.#held.subarray(start, start + length), row * tileSize * bands);
    }
    return tile;
  }

  /** Half as many rows and columns; a last one without partner counts twice. */
  async #halved(rows: WrittenPixels, width: number): Promise<WrittenPixels> {
    const bands = this.#bands;
    const rowLength = this.width * bands;
    const whole = this.#upper === undefined ? rows : this.#joined(this.#upper, rows);
    const count = whole.length / rowLength;
    const ended = this.#written === this.height;
    const pairs = ended ? Math.ceil(count / 2) : Math.floor(count / 2);
    this.#upper = pairs * 2 < count ? whole.slice(pairs * 2 * rowLength) : undefined;
    const out = this.#zeros(pairs * width * bands);
    const nearest = this.#options.resampling === "nearest";
    const meanOf = this.#options.form.type === "float32" ? quarter : roundedQuarter;
    const turn = pacer();
    for (let y = 0; y < pairs; y++) {
      await turn();
      const upper = 2 * y * rowLength;
      const lower = Math.min(2 * y + 1, count - 1) * rowLength;
      for (let x = 0; x < width; x++) {
        const left = 2 * x * bands;
        const right = Math.min(2 * x + 1, this.width - 1) * bands;
        for (let c = 0; c < bands; c++) {
          const first = whole[upper + left + c];
          const others = whole[upper + right + c] + whole[lower + left + c] + whole[lower + right + c];
          out[bands * (y * width + x) + c] = nearest ? first : meanOf(first + others);
        }
      }
    }
    return out;
  }

  #joined(upper: WrittenPixels, rows: WrittenPixels): WrittenPixels {
    const whole = this.#zeros(upper.length + rows.length);
    whole.set(upper);
    whole.set(rows, upper.length);
    return whole;
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

const quarter = (sum: number) => sum / 4;
const roundedQuarter = (sum: number) => (sum + 2) >> 2;
