/**
 * A data set of class folders, as torchvision's ImageFolder: `train/<class>/…`, and `test/<class>/…` or `val/<class>/…`.
 * All images are decoded once, resized to the model's size (shorter side, then the middle), and kept in memory as bytes.
 */

import { totalmem } from "node:os";
import { basename } from "node:path";
import { type Fault, fault } from "../errors.ts";
import type { DataSplits, Normalization } from "./dataset.ts";
import { decodeImage } from "./decode.ts";
import { cacheKey, readCached, writeCached } from "./image-cache.ts";
import { type ListedImage, listImages } from "./image-list.ts";
import { MemoryDataset } from "./memory-dataset.ts";
import { imageNetNormalization } from "./normalizations.ts";

/** A file that could not be read and was left out. */
export interface SkippedFile {
  readonly path: string;
  readonly reason: string;
}

export interface OpenedData extends DataSplits {
  readonly skipped: readonly SkippedFile[];
}

export interface DataProgress {
  /** Images ready. */
  done: number;
  total: number;
}

export interface ImageFolderOptions {
  dataDir: string;
  /** Side of the images that the model takes. */
  imageSize: number;
  normalization?: Normalization;
  /** So many files may be unreadable and are left out. */
  skipBad?: number;
  /** So many files are decoded side by side. */
  parallel?: number;
  onProgress?: (progress: DataProgress) => void;
  /** Where decoded images are kept for the next run; absent: nowhere. */
  cacheDir?: string;
  /** Most bytes that the decoded images may take. */
  memoryLimit?: number;
}

/** Enough to keep libuv's four threads busy. */
const defaultParallel = 8;
const mostListed = 10;

/**
 * @throws input: folders that are not as above, more than `skipBad` files that can't be decoded;
 *   resource: more bytes than `memoryLimit`
 */
export async function openImageFolder(options: ImageFolderOptions): Promise<OpenedData> {
  const { dataDir, imageSize, normalization = imageNetNormalization } = options;
  const { classes, train, test } = await listImages(dataDir);
  const listed = [...train, ...test];
  checkMemory(options, listed.length);
  const { images, skipped } = await decodeAll(options, listed);
  const bad = new Set(skipped.map(({ path }) => path));
  const imageBytes = imageSize * imageSize * 3;
  let start = 0;
  const split = (files: readonly ListedImage[]): MemoryDataset => {
    const labels = Int32Array.from(
      files.filter(({ path }) => !bad.has(path)),
      ({ label }) => label,
    );
    const bytes = images.subarray(start, start + labels.length * imageBytes);
    start += bytes.length;
    return new MemoryDataset({ name: basename(dataDir), classes, imageSize, labels, images: bytes, normalization });
  };
  const splits = { train: split(train), test: split(test) };
  checkNotEmpty(dataDir, splits);
  return { ...splits, skipped };
}

function checkMemory({ dataDir, imageSize, memoryLimit = totalmem() / 2 }: ImageFolderOptions, count: number): void {
  const bytes = count * imageSize * imageSize * 3;
  if (bytes <= memoryLimit) return;
  const rule = `${count} images of ${imageSize} × ${imageSize} must fit into ${Math.floor(memoryLimit)} bytes of memory`;
  throw fault("resource", { where: dataDir, rule, got: bytes, next: "use fewer images or more memory" });
}

function checkNotEmpty(dataDir: string, { train, test }: DataSplits): void {
  if (train.length > 0 && test.length > 0) return;
  throw fault("input", { where: dataDir, rule: "must hold readable images for training and test" });
}

interface Decoded {
  /** [N, size, size, 3] of the files that could be read, in the list's order. */
  readonly images: Uint8Array;
  readonly skipped: readonly SkippedFile[];
}

async function decodeAll(options: ImageFolderOptions, listed: readonly ListedImage[]): Promise<Decoded> {
  const { imageSize, cacheDir } = options;
  const bytes = listed.length * imageSize * imageSize * 3;
  if (cacheDir === undefined) return decodeList(options, listed);
  const key = cacheKey(listed, imageSize);
  const cached = await readCached(cacheDir, key, bytes);
  if (cached !== undefined) return { images: cached, skipped: [] };
  const decoded = await decodeList(options, listed);
  if (decoded.skipped.length === 0) await writeCached(cacheDir, key, decoded.images);
  return decoded;
}

async function decodeList(options: ImageFolderOptions, listed: readonly ListedImage[]): Promise<Decoded> {
  const { imageSize, skipBad = 0, parallel = defaultParallel, onProgress } = options;
  const imageBytes = imageSize * imageSize * 3;
  const images = new Uint8Array(listed.length * imageBytes);
  const decode = async (index: number): Promise<void> => {
    images.set(await decodeListed(listed[index], imageSize), index * imageBytes);
  };
  const failed: number[] = [];
  let next = 0;
  let done = 0;
  const work = async (): Promise<void> => {
    while (next < listed.length && failed.length <= skipBad + mostListed) {
      const index = next++;
      await decode(index).catch(() => failed.push(index));
      onProgress?.({ done: ++done, total: listed.length });
    }
  };
  await Promise.all(Array.from({ length: Math.max(parallel, 1) }, work));
  const bad = await decodeAgain(failed, decode);
  const skipped = [...bad].map(([index, reason]) => ({ path: listed[index].path, reason }));
  if (skipped.length > skipBad) throw tooManyBad(skipped, skipBad);
  return { images: closeGaps(images, imageBytes, bad), skipped };
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

async function decodeListed({ path, size }: ListedImage, imageSize: number): Promise<Uint8Array> {
  if (size === undefined) throw new Error("a link to a file that is not there");
  if (size === 0) throw new Error("an empty file");
  return decodeImage(path, imageSize);
}

function tooManyBad(skipped: readonly SkippedFile[], skipBad: number): Error {
  const faults: Fault[] = skipped
    .slice(0, mostListed)
    .map(({ path, reason }) => ({ where: path, rule: "must be a whole image", got: reason }));
  const rest = skipped.length - faults.length;
  const and = rest > 0 ? `these and at least ${rest} more` : `${skipped.length} in all`;
  const last = faults[faults.length - 1];
  faults[faults.length - 1] = { ...last, next: `${and}, --skip_bad allows ${skipBad}: replace the files or raise it` };
  return fault("input", faults);
}

/** Moves the images together where some are missing, in place. */
function closeGaps(images: Uint8Array, imageBytes: number, bad: ReadonlyMap<number, string>): Uint8Array {
  if (bad.size === 0) return images;
  let to = 0;
  for (let from = 0; from < images.length / imageBytes; from++) {
    if (bad.has(from)) continue;
    images.copyWithin(to * imageBytes, from * imageBytes, (from + 1) * imageBytes);
    to++;
  }
  return images.subarray(0, to * imageBytes);
}
