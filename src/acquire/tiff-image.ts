/** What a TIFF's header says of its image and of the smaller copies beside it: what every reader of rasters begins with. */

import { fault } from "../errors.ts";
import { Tiff, type TiffDirectory, tags } from "../formats/tiff.ts";
import { type BandTable, readBands } from "../formats/tiff-bands.ts";
import type { TileLayout } from "../formats/tiff-layout.ts";
import type { ByteSource } from "./byte-source.ts";
import { type Georeference, readGeoreference } from "./georeference.ts";
import { type CacheLimits, RangeCache } from "./range-cache.ts";

/** The header is read in blocks of this size, since its parts lie close together. */
const headerBlock = 16_384;
/** Bits of NewSubfileType. */
const [reduced, mask] = [1, 4];

/** A smaller copy of the image, `factor` times as coarse. */
export interface Overview {
  readonly factor: number;
  readonly directory: TiffDirectory;
}

export interface TiffImage {
  readonly cache: RangeCache;
  readonly tiff: Tiff;
  /** The directory of the full resolution, and what it says. */
  readonly first: TiffDirectory;
  readonly full: TileLayout;
  readonly table: BandTable;
  readonly taken: Date | undefined;
  /** @throws input: no georeference, or one that is not supported here */
  georeference(): Promise<Georeference>;
  overviews(): Promise<Overview[]>;
  /** @throws input: other bands than the image has; what is not read here */
  layoutOf(overview: Overview): Promise<TileLayout>;
}

/**
 * @param layoutOf reads how a directory's pixels lie
 * @param limits of what is read and held of the file
 * @throws input: no TIFF, or one that is not read here; what the source throws
 */
export async function openTiffImage(
  bytes: ByteSource,
  layoutOf: (tiff: Tiff, directory: TiffDirectory) => Promise<TileLayout>,
  limits?: CacheLimits,
): Promise<TiffImage> {
  const cache = new RangeCache(bytes, limits);
  const tiff = await Tiff.open({ where: bytes.where, size: bytes.size, read: headerReader(cache) });
  const [first] = tiff.directories;
  const full = await layoutOf(tiff, first);
  return {
    ...{ cache, tiff, first, full },
    table: await readBands(tiff, first, full),
    taken: dateOf(await tiff.text(first, "DateTime")),
    georeference: () => readGeoreference(tiff, first, full),
    overviews: () => overviewsOf(tiff, full),
    async layoutOf({ directory }) {
      const layout = await layoutOf(tiff, directory);
      if (layout.samples === full.samples && layout.type === full.type) return layout;
      const rule = "overviews must have the bands of the image";
      throw fault("input", { where: bytes.where, rule, got: layout.type });
    },
  };
}

function headerReader(cache: RangeCache): (offset: number, length: number) => Promise<Uint8Array> {
  const { size } = cache.source;
  return async (offset, length) => {
    const start = Math.floor(offset / headerBlock) * headerBlock;
    const end = Math.min(size, Math.ceil((offset + length) / headerBlock) * headerBlock);
    await cache.prefetch([{ start, end }], "header").arrived;
    return cache.read({ start: offset, end: offset + length }, "header");
  };
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
    const fits = (whole: number, part: number) =>
      part >= Math.floor(whole / factor) - 1 && part <= Math.ceil(whole / factor) + 1;
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
