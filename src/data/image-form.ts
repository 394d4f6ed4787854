/** What the images of a data set of files are: which bands, bytes or measured values, and how a network is to see them. */
import { readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { z } from "zod";
import { writeFileAtomic } from "../files/atomic.ts";
import { makeMissing } from "../utils/make-missing.ts";
import { nowAndThen } from "../utils/now-and-then.ts";
import type { PixelType } from "../utils/pixel-array.ts";
import { sha256 } from "../utils/sha256.ts";
import { measureBands, normalizationOf, stretchOf } from "./band-statistics.ts";
import type { BandStatistics, ImageForm } from "./dataset.ts";
import { DecodeMemory } from "./decode-memory.ts";
import type { FileList } from "./file-list.ts";
import { normalizationFor } from "./normalizations.ts";
import { isChosen, namesOf, type RenderingOptions, rgb } from "./rendering.ts";
import { openTiff } from "./tiff-picture.ts";
import type { TransformName } from "./transforms.ts";

export interface FormOptions {
  /** As a run has seen images: what it says is not measured again. */
  readonly form?: ImageForm | undefined;
  readonly rendering?: RenderingOptions | undefined;
  readonly maxImageBytes?: number | undefined;
  readonly parallel?: number | undefined;
  /** Where what was measured is kept for the next run; absent: nowhere. */
  readonly cacheDir?: string | undefined;
  readonly say?: ((text: string) => void) | undefined;
}

/**
 * Colours as bytes have the statistics in common use; of all others they are measured over the training images. Of pairs, those of the low
 * pictures are always measured: another sensor's colours are in nobody's use.
 */
export async function formOf(train: FileList, transform: TransformName, options: FormOptions): Promise<ImageForm> {
  // A form that is given may be a whole description of a run.
  const known = options.form ?? (await formOfImages(train, transform, options));
  const { bands, pixelType, normalization, stretch, low: knownLow } = known;
  const own = { bands, pixelType, normalization, ...(stretch && { stretch }) };
  if (train.low === undefined) return own;
  const low = knownLow ?? normalizationOf(await measuredLow(train.low, own.pixelType, options));
  return { ...own, low };
}

async function formOfImages(train: FileList, transform: TransformName, options: FormOptions): Promise<ImageForm> {
  const { rendering = {} } = options;
  const bands = namesOf(rendering);
  const pixelType = await pixelTypeOfFiles(train, rendering);
  if (pixelType === "uint8" && String(bands) === String(rgb)) {
    return { bands, pixelType, normalization: normalizationFor(transform) };
  }
  const statistics = await measured(train, pixelType, options);
  // Bytes are shown as they are.
  const stretch = pixelType === "uint8" ? {} : { stretch: stretchOf(statistics) };
  return { bands, pixelType, normalization: normalizationOf(statistics), ...stretch };
}

/** Number of files that are looked at for one that can be read. */
const mostLookedAt = 64;

/** That of the first file that can be read: all others must have it, too. */
async function pixelTypeOfFiles(files: FileList, rendering: RenderingOptions): Promise<PixelType> {
  if (!isChosen(rendering)) return "uint8";
  for (let index = 0; index < Math.min(files.length, mostLookedAt); index++) {
    const opened = await openTiff(files.path(index), rendering).catch(() => undefined);
    await opened?.close();
    if (opened !== undefined) return opened.pixelType;
  }
  return "uint8";
}

/**
 * Of each band of the files, measured, or as it was measured before of the same files; of pairs, behind them those of the low pictures.
 * @throws as {@link measureBands}
 */
export async function statisticsOf(files: FileList, options: FormOptions): Promise<BandStatistics[]> {
  const pixelType = await pixelTypeOfFiles(files, options.rendering ?? {});
  const own = await measured(files, pixelType, options);
  return files.low === undefined ? own : [...own, ...(await measuredLow(files.low, pixelType, options))];
}

/** Their bands are called "low red" and so on. */
async function measuredLow(files: FileList, pixelType: PixelType, options: FormOptions): Promise<BandStatistics[]> {
  const statistics = await measured(files, pixelType, options);
  return statistics.map((one) => ({ ...one, band: `low ${one.band}` }));
}

async function measured(files: FileList, pixelType: PixelType, options: FormOptions): Promise<BandStatistics[]> {
  const { rendering = {}, maxImageBytes, parallel, cacheDir, say } = options;
  const bands = namesOf(rendering);
  const paths = Array.from({ length: files.length }, (_, index) => files.path(index));
  const kept = cacheDir && join(cacheDir, `${await keyOf(paths, { rendering, pixelType })}.bands.json`);
  const known = await readKept(kept);
  if (known?.length === bands.length) return known;
  const onProgress = nowAndThen(say, ({ done, total }: { done: number; total: number }) => {
    return `measured the bands of ${done} of ${total} images`;
  });
  const memory = new DecodeMemory(maxImageBytes);
  const statistics = await measureBands(paths, bands, { memory, rendering, pixelType, parallel, onProgress });
  keep(kept, statistics);
  return statistics;
}

/** Raised whenever measuring gives other numbers. */
const measureVersion = 2;

async function keyOf(paths: readonly string[], target: object): Promise<string> {
  const about: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    about.push(JSON.stringify([path, found?.size, found?.mtimeMs]));
  }
  return sha256(JSON.stringify([measureVersion, target]), ...about);
}

const keptSchema = z.array(
  z.strictObject({
    ...{ band: z.string(), mean: z.number(), std: z.number(), least: z.number(), most: z.number() },
    ...{ p2: z.number(), p98: z.number() },
    ...{ pixels: z.int().positive(), missing: z.int().min(0) },
  }),
);

/** What can't be read, or is damaged, is measured again. */
async function readKept(path: string | undefined): Promise<BandStatistics[] | undefined> {
  try {
    return path === undefined ? undefined : keptSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return undefined;
  }
}

function keep(path: string | undefined, measured: readonly BandStatistics[]): void {
  if (path === undefined) return;
  try {
    makeMissing(dirname(path));
    writeFileAtomic(path, Buffer.from(JSON.stringify(measured)));
  } catch {
    // Then it is measured again next time.
  }
}
