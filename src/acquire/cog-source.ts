/**
 * A tiled GeoTIFF with overviews (COG), local or remote, as a source of patches: the low resolution from an overview, then
 * only the tiles of the patches that are asked for. Source: OGC Cloud Optimized GeoTIFF (21-026).
 */

import { chooseRendering, type RenderingOptions } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import { Tiff, type TiffDirectory, tags } from "../formats/tiff.ts";
import { readBands } from "../formats/tiff-bands.ts";
import { readTileLayout, type TileLayout } from "../formats/tiff-layout.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { row } from "../utils/rows.ts";
import type { ByteSource } from "./byte-source.ts";
import { type Georeference, readGeoreference } from "./georeference.ts";
import {
  type LowResolution,
  type Patch,
  type PatchSource,
  pickLow,
  type SceneTiles,
  type Window,
  widened,
  within,
} from "./patch-source.ts";
import { leastGap, RangeCache } from "./range-cache.ts";
import { TileReader } from "./tile-reader.ts";

/** The header is read in blocks of this size, since its parts lie close together. */
const headerBlock = 16_384;
/** Bits of NewSubfileType. */
const [reduced, mask] = [1, 4];

/** A smaller copy of the image, `factor` times as coarse. */
interface Overview {
  readonly factor: number;
  readonly directory: TiffDirectory;
}

export interface CogOptions extends RenderingOptions {
  /** What the pixels are to be; as the file and the choices have it when absent. */
  readonly pixelType?: PixelType | undefined;
  /** What stands for a missing value of each band. */
  readonly missing?: readonly number[] | undefined;
  /** Whether nothing is read between what is asked for, but a few bytes, also where that takes more requests. */
  readonly isExact?: boolean;
  /** Ends what is under way when it is aborted. */
  readonly signal?: AbortSignal;
}

export class CogSource implements PatchSource {
  readonly georeference: Georeference;
  readonly taken: Date | undefined;
  readonly #bytes: ByteSource;
  readonly #full: TileReader;
  readonly #low: TileReader;
  readonly #factor: number;
  readonly #sizes: LowResolution;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    bytes: ByteSource,
    readers: { full: TileReader; low: TileReader; factor: number },
    about: {
      georeference: Georeference;
      taken: Date | undefined;
      sizes: LowResolution;
      signal: AbortSignal | undefined;
    },
  ) {
    this.#bytes = bytes;
    this.#full = readers.full;
    this.#low = readers.low;
    this.#factor = readers.factor;
    this.#sizes = about.sizes;
    this.#signal = about.signal;
    this.georeference = about.georeference;
    this.taken = about.taken;
  }

  /**
   * Reads the header: everything that can be wrong with the file's kind shows here.
   * @throws input: no such file, without overviews or georeference, or in strips; usage: bands that need a choice
   */
  static async open(bytes: ByteSource, sizes: LowResolution, options: CogOptions): Promise<CogSource> {
    const cache = new RangeCache(bytes, options.isExact === true ? { gap: leastGap } : {});
    const tiff = await Tiff.open({ where: bytes.where, size: bytes.size, read: headerReader(cache) });
    const [first] = tiff.directories;
    const full = await readTileLayout(tiff, first);
    const table = await readBands(tiff, first, full);
    const read = (layout: TileLayout) => {
      const rendering = chooseRendering({ layout, table }, options, bytes.where, options.pixelType);
      return { rendering, missing: options.missing ?? [] };
    };
    const { factor, directory } = await chooseOverview(tiff, full, sizes);
    const low = await readTileLayout(tiff, directory);
    if (low.samples !== full.samples || low.type !== full.type) {
      throw fault("input", { where: bytes.where, rule: "overviews must have the bands of the image", got: low.type });
    }
    const readers = {
      full: new TileReader(full, cache, "high", read(full)),
      low: new TileReader(low, cache, "low", read(low)),
      factor,
    };
    const taken = dateOf(await tiff.text(first, "DateTime"));
    const georeference = await readGeoreference(tiff, first, full);
    return new CogSource(bytes, readers, { georeference, taken, sizes, signal: options.signal });
  }

  get where(): string {
    return this.#bytes.where;
  }

  get width(): number {
    return this.#full.layout.width;
  }

  get height(): number {
    return this.#full.layout.height;
  }

  get wholeBytes(): number {
    return this.#full.bytes;
  }

  get lowBytes(): number {
    return this.#low.dueBytes;
  }

  get tiles(): SceneTiles {
    return this.#full;
  }

  get lowFrom(): string {
    const { imageSize, lowSize } = this.#sizes;
    const overview = `the overview 1:${this.#factor}`;
    return this.#factor * lowSize === imageSize ? overview : `${overview}, the nearest pixels`;
  }

  async readLow(windows: readonly Window[]): Promise<PixelArray> {
    const { lowSize } = this.#sizes;
    const parts = windows.map((window) => this.#inOverview(window));
    await this.#low.prefetch(parts);
    const { type, bands } = this.#low.form;
    const one = lowSize * lowSize * bands;
    const low = newPixels(type, windows.length * one);
    for (const [i, part] of parts.entries()) {
      this.#signal?.throwIfAborted();
      pickLow(await this.#low.read(part), this.#factor, this.#sizes, row(low, i, one));
    }
    return low;
  }

  isFree(box: Window): boolean {
    return this.#full.isHeld(within(box, this));
  }

  async readPatches(boxes: readonly Window[]): Promise<Patch[]> {
    const parts = boxes.map((box) => within(box, this));
    await this.#full.prefetch(parts);
    const patches: Patch[] = [];
    for (const [i, part] of parts.entries()) {
      this.#signal?.throwIfAborted();
      const pixels = widened(await this.#full.read(part), boxes[i]);
      patches.push({ pixels, bytes: this.#full.pay(part) });
    }
    return patches;
  }

  close(): Promise<void> {
    return this.#bytes.close();
  }

  /** The part of the overview that shows a window; at least a pixel, where the overview was rounded down. */
  #inOverview({ x, y, width, height }: Window): Window {
    const { layout } = this.#low;
    const left = Math.min(Math.floor(x / this.#factor), layout.width - 1);
    const top = Math.min(Math.floor(y / this.#factor), layout.height - 1);
    const size = { width: Math.ceil(width / this.#factor), height: Math.ceil(height / this.#factor) };
    return within({ x: left, y: top, ...size }, layout);
  }
}

function headerReader(cache: RangeCache): (offset: number, length: number) => Promise<Uint8Array> {
  const { size } = cache.source;
  return async (offset, length) => {
    const start = Math.floor(offset / headerBlock) * headerBlock;
    const end = Math.min(size, Math.ceil((offset + length) / headerBlock) * headerBlock);
    await cache.prefetch([{ start, end }], "header");
    return cache.read({ start: offset, end: offset + length }, "header");
  };
}

/** The coarsest overview that still has a pixel for each of the low resolution. */
async function chooseOverview(tiff: Tiff, full: TileLayout, { imageSize, lowSize }: LowResolution): Promise<Overview> {
  const wanted = imageSize / lowSize;
  const overviews = await overviewsOf(tiff, full);
  const fine = overviews.filter(({ factor }) => factor <= wanted).sort((a, b) => b.factor - a.factor);
  if (fine.length > 0) return fine[0];
  // The COG driver makes none of a small image, and no others beside those that are there, unless it is told to.
  const count = Math.max(1, Math.floor(Math.log2(wanted)));
  const options = `-co OVERVIEWS=IGNORE_EXISTING -co OVERVIEW_COUNT=${count}`;
  const found = overviews.map(({ factor }) => `1:${factor}`).join(", ");
  throw fault("input", {
    where: tiff.file.where,
    rule: `must have an overview of 1:${Math.floor(wanted)} or finer, so that the policy can look without reading everything`,
    got: found === "" ? "no overviews" : found,
    next: `add them with \`gdal_translate -of COG ${options} IN.tif OUT.tif\``,
  });
}

/**
 * The smaller copies by a whole factor, which the longer side tells best. Sides may be rounded either way, and some programs
 * write a pixel more than that.
 */
async function overviewsOf(tiff: Tiff, full: TileLayout): Promise<Overview[]> {
  const overviews: Overview[] = [];
  for (const directory of tiff.directories.slice(1)) {
    const kind = (await tiff.number(directory, "NewSubfileType")) ?? 0;
    if ((kind & reduced) === 0 || (kind & mask) !== 0 || !directory.has(tags.TileOffsets)) continue;
    const width = (await tiff.number(directory, "ImageWidth")) ?? 0;
    const height = (await tiff.number(directory, "ImageLength")) ?? 0;
    const factor = Math.round(Math.max(full.width, full.height) / Math.max(width, height, 1));
    const fits = (whole: number, part: number) => Math.abs(whole / factor - part) <= 1;
    if (factor > 1 && fits(full.width, width) && fits(full.height, height)) overviews.push({ factor, directory });
  }
  return overviews;
}

/** TIFF's form: "2025:06:30 10:11:12", of an unknown time zone, taken as UTC. */
function dateOf(text = ""): Date | undefined {
  const [, year, month, day, time] = /^(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)$/.exec(text) ?? [];
  const date = new Date(`${year}-${month}-${day}T${time}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
