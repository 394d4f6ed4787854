/** Decodes a list of images once, for a data set that is kept in memory, or takes them from the cache of decoded images. */

import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { type SkippedFile, tooManyBad } from "./bad-files.ts";
import { type Decoding, decodeImage } from "./decode.ts";
import { DecodeMemory } from "./decode-memory.ts";
import { cacheKey, readCached, writeCached } from "./image-cache.ts";
import type { ListedImage } from "./image-list.ts";
import { namesOf, type RenderingOptions } from "./rendering.ts";

export interface DecodeProgress {
  /** Images ready. */
  done: number;
  total: number;
}

export interface DecodeListOptions {
  /** Side of the images: the shorter side is resized to it, and the middle taken. */
  imageSize: number;
  /** Number of unreadable files to leave out before giving up. */
  skipBad?: number;
  /** Number of files that are decoded at the same time. */
  parallel?: number;
  onProgress?: (progress: DecodeProgress) => void;
  /** Where decoded images are kept for the next run; absent: nowhere. */
  cacheDir?: string;
  /** Most bytes that decoding one image may take, and all under way together. */
  maxImageBytes?: number | undefined;
  /** What the values of the files mean; as the files say when absent. */
  rendering?: RenderingOptions | undefined;
  /** Bytes when absent. */
  pixelType?: PixelType | undefined;
}

export interface DecodedImages {
  /** [N, size, size, bands], of pairs with twice as many bands, of the files that could be read, in the list's order; measured values that are missing are NaN. */
  readonly images: PixelArray;
  readonly skipped: readonly SkippedFile[];
}

/** Enough to keep libuv's four threads busy. */
const defaultParallel = 8;
/** With this many more than allowed, the rest is not tried. */
const mostBeyond = 10;

function lengthOfOne([first]: readonly ListedImage[], { imageSize, rendering = {} }: DecodeListOptions): number {
  const pictures = first?.low === undefined ? 1 : 2;
  return imageSize * imageSize * namesOf(rendering).length * pictures;
}

/** @throws input: more than `skipBad` files that can't be decoded */
export async function decodeAll(listed: readonly ListedImage[], options: DecodeListOptions): Promise<DecodedImages> {
  const { imageSize, cacheDir, pixelType } = options;
  if (cacheDir === undefined) return decodeList(listed, options);
  const key = cacheKey(listed, imageSize, options);
  const cached = await readCached(cacheDir, key, listed.length * lengthOfOne(listed, options), pixelType);
  if (cached !== undefined) return { images: cached, skipped: [] };
  const decoded = await decodeList(listed, options);
  if (decoded.skipped.length === 0) await writeCached(cacheDir, key, decoded.images);
  return decoded;
}

async function decodeList(listed: readonly ListedImage[], options: DecodeListOptions): Promise<DecodedImages> {
  const { imageSize, skipBad = 0, parallel = defaultParallel, onProgress, rendering, pixelType = "uint8" } = options;
  const each = lengthOfOne(listed, options);
  const decoding = { memory: new DecodeMemory(options.maxImageBytes), rendering, pixelType };
  const images = newPixels(pixelType, listed.length * each);
  const decode = async (index: number): Promise<void> => {
    images.set(await decodeListed(listed[index], imageSize, decoding), index * each);
  };
  const failed: number[] = [];
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (next < listed.length && failed.length <= skipBad + mostBeyond) {
      const index = next++;
      await decode(index).catch(() => failed.push(index));
      onProgress?.({ done: ++done, total: listed.length });
    }
  };
  await Promise.all(Array.from({ length: Math.max(parallel, 1) }, work));
  const bad = await decodeAgain(failed, decode);
  const skipped = [...bad].map(([index, reason]) => ({ path: listed[index].path, reason }));
  if (skipped.length > skipBad) throw tooManyBad(skipped, skipBad, "in all");
  return { images: closeGaps(images, each, bad), skipped };
}

/** One after the other: libvips has one error text for all threads, so the reason is only sure when a file is alone. */
async function decodeAgain(
  failed: readonly number[],
  decode: (index: number) => Promise<void>,
): Promise<ReadonlyMap<number, string>> {
  const bad = new Map<number, string>();
  for (const index of failed.toSorted((a, b) => a - b)) {
    await decode(index).catch((error: Error) => bad.set(index, error.message));
  }
  return bad;
}

async function decodeListed(
  { path, size, low }: ListedImage,
  imageSize: number,
  decoding: Decoding,
): Promise<PixelArray> {
  if (size === undefined) throw new Error("a link to a file that is not there");
  return decodeImage(path, imageSize, decoding, low?.path);
}

/** Moves the images together where some are missing, in place. */
function closeGaps(images: PixelArray, each: number, bad: ReadonlyMap<number, string>): PixelArray {
  if (bad.size === 0) return images;
  let to = 0;
  for (let from = 0; from < images.length / each; from++) {
    if (bad.has(from)) continue;
    images.copyWithin(to * each, from * each, (from + 1) * each);
    to++;
  }
  return images.subarray(0, to * each);
}
