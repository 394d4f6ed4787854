/**
 * A tiled GeoTIFF with overviews (COG), local or remote, as a source of patches: the low resolution from an overview, then
 * only the tiles of the patches that are asked for. Source: OGC Cloud Optimized GeoTIFF (21-026).
 */

import { chooseRendering, type RenderingOptions } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import type { BandTable } from "../formats/tiff-bands.ts";
import { readTileLayout, type TileLayout } from "../formats/tiff-layout.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { row } from "../utils/rows.ts";
import type { ByteSource } from "./byte-source.ts";
import type { Georeference } from "./georeference.ts";
import {
  type FetchedPatches,
  type LowResolution,
  type PatchSource,
  pickLow,
  type SceneTiles,
  type Window,
  widened,
  within,
} from "./patch-source.ts";
import { leastGap, mostHeldBytes } from "./range-cache.ts";
import { openTiffImage, type TiffImage } from "./tiff-image.ts";
import { TileReader } from "./tile-reader.ts";

export interface CogOptions extends RenderingOptions {
  /** What the pixels are to be; as the file and the choices have it when absent. */
  readonly pixelType?: PixelType | undefined;
  /** What stands for a missing value of each band. */
  readonly missing?: readonly number[] | undefined;
  /** What an item calls each of the bands, in their order: counts where the file has as many, and does not name one so itself. */
  readonly bandNames?: readonly (readonly string[])[] | undefined;
  /** Its part of the memory for bytes and tiles, where several files are read together. */
  readonly memoryShare?: number | undefined;
  /** Whether nothing is read between what is asked for, but a few bytes, also where that takes more requests. */
  readonly isExact?: boolean;
  /** Ends what is under way when it is aborted. */
  readonly signal?: AbortSignal;
  /** Whether another image is looked at: then there need be no overviews, and the low resolution cannot be read. */
  readonly isLookedAtElsewhere?: boolean | undefined;
}

/** An overview that the policy looks at, `factor` times as coarse as the image. */
interface LowReader {
  readonly reader: TileReader;
  readonly factor: number;
}

export class CogSource implements PatchSource {
  readonly georeference: Georeference;
  readonly taken: Date | undefined;
  readonly #bytes: ByteSource;
  readonly #full: TileReader;
  readonly #overview: LowReader | undefined;
  readonly #sizes: LowResolution;
  readonly #signal: AbortSignal | undefined;

  private constructor(
    bytes: ByteSource,
    readers: { full: TileReader; low: LowReader | undefined },
    about: {
      georeference: Georeference;
      taken: Date | undefined;
      sizes: LowResolution;
      signal: AbortSignal | undefined;
    },
  ) {
    this.#bytes = bytes;
    this.#full = readers.full;
    this.#overview = readers.low;
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
    const { memoryShare = 1, isExact = false } = options;
    const limits = { limit: memoryShare * mostHeldBytes, ...(isExact ? { gap: leastGap } : {}) };
    const image = await openTiffImage(bytes, readTileLayout, limits);
    const { cache, full, taken } = image;
    const table = withAliases(image.table, options.bandNames);
    const read = (layout: TileLayout) => {
      const rendering = chooseRendering({ layout, table }, options, bytes.where, options.pixelType);
      return { rendering, missing: options.missing ?? [], memoryShare };
    };
    const low = options.isLookedAtElsewhere ? undefined : await chooseOverview(image, sizes);
    const readers = {
      full: new TileReader(full, cache, "high", read(full)),
      low: low && { reader: new TileReader(low.layout, cache, "low", read(low.layout)), factor: low.factor },
    };
    const georeference = await image.georeference();
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
    return this.#low.reader.dueBytes;
  }

  get tiles(): SceneTiles {
    return this.#full;
  }

  get lowFrom(): string {
    const { imageSize, lowSize } = this.#sizes;
    const { factor } = this.#low;
    const overview = `the overview 1:${factor}`;
    return factor * lowSize === imageSize ? overview : `${overview}, the nearest pixels`;
  }

  async fetchLow(windows: readonly Window[]): Promise<void> {
    this.#low.reader.prefetch(windows.map((window) => inOverview(window, this.#low)));
  }

  async readLow(windows: readonly Window[]): Promise<PixelArray> {
    const { lowSize } = this.#sizes;
    const { reader, factor } = this.#low;
    const parts = windows.map((window) => inOverview(window, this.#low));
    await reader.prefetch(parts).arrived;
    const { type, bands } = reader.form;
    const one = lowSize * lowSize * bands;
    const low = newPixels(type, windows.length * one);
    for (const [i, part] of parts.entries()) {
      this.#signal?.throwIfAborted();
      pickLow(await reader.read(part), factor, this.#sizes, row(low, i, one));
    }
    return low;
  }

  isFree(box: Window): boolean {
    return this.#full.isHeld(within(box, this));
  }

  fetchPatches(boxes: readonly Window[]): FetchedPatches {
    const parts = boxes.map((box) => within(box, this));
    const { requests, bytes, arrived } = this.#full.prefetch(parts);
    const read = async () => {
      await arrived;
      const patches: PixelArray[] = [];
      for (const [i, part] of parts.entries()) {
        this.#signal?.throwIfAborted();
        patches.push(widened(await this.#full.read(part), boxes[i]));
      }
      return patches;
    };
    return { requests, bytes, read, pay: () => parts.map((part) => this.#full.pay(part)) };
  }

  close(): Promise<void> {
    return this.#bytes.close();
  }

  get #low(): LowReader {
    if (this.#overview !== undefined) return this.#overview;
    throw fault("internal", { where: this.where, rule: "must not be looked at where another image is" });
  }
}

/** The part of the overview that shows a window; at least a pixel, where the overview was rounded down. */
function inOverview({ x, y, width, height }: Window, { reader: { layout }, factor }: LowReader): Window {
  const left = Math.min(Math.floor(x / factor), layout.width - 1);
  const top = Math.min(Math.floor(y / factor), layout.height - 1);
  const size = { width: Math.ceil(width / factor), height: Math.ceil(height / factor) };
  return within({ x: left, y: top, ...size }, layout);
}

function withAliases({ bands, nodata }: BandTable, names: CogOptions["bandNames"] = []): BandTable {
  if (names.length !== bands.length) return { bands, nodata };
  return { bands: bands.map((band, at) => ({ ...band, aliases: names[at] })), nodata };
}

/** The coarsest overview that still has a pixel for each of the low resolution. */
async function chooseOverview(image: TiffImage, { imageSize, lowSize }: LowResolution) {
  const wanted = imageSize / lowSize;
  const overviews = await image.overviews();
  const fine = overviews.filter(({ factor }) => factor <= wanted).sort((a, b) => b.factor - a.factor);
  if (fine.length > 0) return { factor: fine[0].factor, layout: await image.layoutOf(fine[0]) };
  // The COG driver makes none of a small image, and no others beside those that are there, unless it is told to.
  const count = Math.max(1, Math.floor(Math.log2(wanted)));
  const options = `-co OVERVIEWS=IGNORE_EXISTING -co OVERVIEW_COUNT=${count}`;
  const found = overviews.map(({ factor }) => `1:${factor}`).join(", ");
  throw fault("input", {
    where: image.tiff.file.where,
    rule: `must have an overview of 1:${Math.floor(wanted)} or finer, so that the policy can look without reading everything`,
    got: found === "" ? "no overviews" : found,
    next: `add them with \`gdal_translate -of COG ${options} IN.tif OUT.tif\``,
  });
}
