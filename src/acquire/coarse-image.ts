/**
 * A GeoTIFF that is only looked at, local or remote: another sensor's image of the scene. It is small, and so may be in strips
 * and without overviews; what it has no data of is told apart.
 */

import { chooseRendering, type Rendering, type RenderingOptions } from "../data/rendering.ts";
import { type Fault, fault, PatchDropError } from "../errors.ts";
import type { Tiff, TiffDirectory } from "../formats/tiff.ts";
import { readLayout, type TileLayout } from "../formats/tiff-layout.ts";
import type { PixelType } from "../utils/pixel-array.ts";
import type { FloatRaster } from "./bilinear.ts";
import type { ByteSource } from "./byte-source.ts";
import type { Georeference } from "./georeference.ts";
import { type OpenOptions, openBytes } from "./open-source.ts";
import type { Window } from "./patch-source.ts";
import type { Fetching } from "./range-cache.ts";
import { openTiffImage, type TiffImage } from "./tiff-image.ts";
import { TileReader } from "./tile-reader.ts";

/** Of an unpacked tile or strip. */
const mostTileBytes = 64 * 2 ** 20;
/** ExtraSamples' numbers of transparency, associated and not. */
const transparent = [1, 2];

export interface CoarseOptions extends OpenOptions {
  /** Which bands, and which values are black and white. */
  readonly rendering: RenderingOptions;
  /** What its pixels are to be, and how many bands the run has. */
  readonly pixelType: PixelType;
  readonly bands: number;
}

export class CoarseImage {
  readonly georeference: Georeference;
  readonly #bytes: ByteSource;
  readonly #image: TiffImage;
  readonly #options: CoarseOptions;
  /** The band of transparency. */
  readonly #alpha: number | undefined;

  private constructor(
    bytes: ByteSource,
    image: TiffImage,
    about: { georeference: Georeference; alpha: number | undefined; options: CoarseOptions },
  ) {
    this.#bytes = bytes;
    this.#image = image;
    this.georeference = about.georeference;
    this.#alpha = about.alpha;
    this.#options = about.options;
  }

  /**
   * Reads the header of what --low names.
   * @throws input: no such file, no GeoTIFF, without georeference; usage: bands that need a choice, or are not as many as the run's
   */
  static async open(argument: string, options: CoarseOptions): Promise<CoarseImage> {
    const bytes = await openBytes(argument, "--low", options);
    try {
      const image = await openTiffImage(bytes, readBoundedLayout);
      const georeference = await image.georeference();
      const coarse = new CoarseImage(bytes, image, { georeference, alpha: await transparencyOf(image), options });
      coarse.#rendering(image.full);
      return coarse;
    } catch (error) {
      await bytes.close();
      throw error;
    }
  }

  get where(): string {
    return this.#bytes.where;
  }

  get width(): number {
    return this.#image.full.width;
  }

  get height(): number {
    return this.#image.full.height;
  }

  get taken(): Date | undefined {
    return this.#image.taken;
  }

  /** The coarsest copy of which so many pixels of the full resolution are a pixel or more; else the full resolution. */
  async levelFor(pixels: number): Promise<CoarseLevel> {
    const { full } = this.#image;
    const overviews = await this.#image.overviews();
    const fine = overviews.filter(({ factor }) => factor <= pixels * (1 + 1e-6)).sort((a, b) => b.factor - a.factor);
    if (fine.length === 0) return new CoarseLevel(this.#readers(full), 1);
    return new CoarseLevel(this.#readers(await this.#image.layoutOf(fine[0])), fine[0].factor);
  }

  close(): Promise<void> {
    return this.#bytes.close();
  }

  #rendering(layout: TileLayout): Rendering {
    const { rendering, pixelType, bands } = this.#options;
    const chosen = namingLow(() =>
      chooseRendering({ layout, table: this.#image.table }, rendering, this.where, pixelType),
    );
    if (chosen.bands.length === bands) return chosen;
    const rule = `must name as many bands of ${this.where} as the run has, ${bands}`;
    throw fault("usage", { where: "--low_bands", rule, got: chosen.bands.length });
  }

  #readers(layout: TileLayout): LevelReaders {
    const { cache, table } = this.#image;
    const rendering = this.#rendering(layout);
    const read = (one: Rendering) => new TileReader(layout, cache, "low", { rendering: one });
    // Of a colour table it is a number that stands for no data, and only its colours are seen here.
    const nodata = layout.coding.colourTable === undefined ? table.nodata : undefined;
    const canLack = rendering.type === "uint8" && (nodata !== undefined || layout.type === "float32");
    if (this.#alpha === undefined && !canLack) return { values: read(rendering), stored: undefined };
    const bands = [...rendering.bands, ...(this.#alpha === undefined ? [] : [this.#alpha])];
    const measured = bands.map(() => ({ scale: 1, offset: 0 }));
    const stored = read({ type: "float32", bands, measured, nodata });
    return { values: read(rendering), stored, hasAlpha: this.#alpha !== undefined };
  }
}

interface LevelReaders {
  readonly values: TileReader;
  /** What is stored, NaN where it stands for no data, with the transparency behind; where the values do not say it themselves. */
  readonly stored: TileReader | undefined;
  readonly hasAlpha?: boolean;
}

/** One copy of the image, from which pixels are read. */
export class CoarseLevel {
  /** How many times as coarse as the image. */
  readonly factor: number;
  readonly #readers: LevelReaders;

  constructor(readers: LevelReaders, factor: number) {
    this.#readers = readers;
    this.factor = factor;
  }

  get width(): number {
    return this.#readers.values.layout.width;
  }

  get height(): number {
    return this.#readers.values.layout.height;
  }

  prefetch(windows: readonly Window[]): Fetching {
    return this.#readers.values.prefetch(windows);
  }

  /** The pixels of a window that lies within it. Of a picture a pixel is missing as a whole, where all of its bands are. */
  async read(window: Window): Promise<FloatRaster> {
    const { values: reader, stored, hasAlpha = false } = this.#readers;
    const { pixels } = await reader.read(window);
    const { bands } = reader.form;
    const values = Float32Array.from(pixels);
    if (stored !== undefined) {
      const said = (await stored.read(window)).pixels;
      const each = stored.form.bands;
      for (let at = 0; at < values.length / bands; at++) {
        const own = said.subarray(at * each, at * each + bands);
        const isMissing = (hasAlpha && said[at * each + bands] === 0) || own.every(Number.isNaN);
        if (isMissing) values.fill(Number.NaN, at * bands, (at + 1) * bands);
      }
    }
    return { width: window.width, height: window.height, bands, values };
  }
}

/** Strips may be as large as the image. */
async function readBoundedLayout(tiff: Tiff, directory: TiffDirectory): Promise<TileLayout> {
  const layout = await readLayout(tiff, directory);
  const { tileWidth, tileHeight, samples, separate, coding } = layout;
  const bytes = tileWidth * tileHeight * (separate ? 1 : samples) * coding.sample.from.BYTES_PER_ELEMENT;
  if (bytes <= mostTileBytes) return layout;
  const rule = `its strips must unpack to at most ${mostTileBytes} bytes`;
  const next = "make tiles of them with `gdal_translate -of COG IN.tif OUT.tif`";
  throw fault("input", { where: tiff.file.where, rule, got: bytes, next });
}

async function transparencyOf({ tiff, first, full }: TiffImage): Promise<number | undefined> {
  if (full.coding.colourTable !== undefined) return undefined;
  const extra = (await tiff.numbers(first, "ExtraSamples", full.samples)) ?? new Float64Array();
  const at = extra.findIndex((kind) => transparent.includes(kind));
  return at === -1 ? undefined : full.samples - extra.length + at;
}

/** What is said of --bands and --scale is meant for --low_bands and --low_scale. */
function namingLow<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof PatchDropError)) throw error;
    const named = (text: string) => text.replaceAll(/--(bands|scale)\b/g, "--low_$1");
    const faults = error.faults.map(
      (one): Fault => ({ ...one, where: named(one.where), next: one.next === undefined ? undefined : named(one.next) }),
    );
    throw fault(error.kind, faults, error);
  }
}
