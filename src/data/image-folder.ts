/**
 * A data set of image files: class folders, as in torchvision's ImageFolder, or a list. Small images of a set that fits
 * into memory are decoded once and kept as bytes; all others are read from their files each time.
 */

import { basename, relative } from "node:path";
import { fault } from "../errors.ts";
import { nowAndThen } from "../utils/now-and-then.ts";
import { BadFiles, type SkippedFile } from "./bad-files.ts";
import { type DataSplits, mapSplits, splitsOf } from "./dataset.ts";
import type { DatasetReader, ReadOptions } from "./dataset-reader.ts";
import { DecodePool } from "./decode-pool.ts";
import { type DecodeListOptions, type DecodeProgress, decodeAll } from "./decoded-images.ts";
import { FileList } from "./file-list.ts";
import {
  type ImageList,
  isImageFolder,
  type LeftOut,
  type ListedFiles,
  type ListedImage,
  leftOutTexts,
  listFiles,
  lookAt,
} from "./image-list.ts";
import { MemoryDataset } from "./memory-dataset.ts";
import { normalizationFor } from "./normalizations.ts";
import { StreamingDataset } from "./streaming-dataset.ts";
import type { TransformName } from "./transforms.ts";

export interface ImageFolderOptions extends DecodeListOptions {
  dataDir: string;
  /** "cifar" if absent; only its images can be kept in memory, since what its crops are cut from is small. */
  transform?: TransformName;
  /** Told about each unreadable file that is left out: at once, or when it is first met. */
  onSkip?: (file: SkippedFile) => void;
  /** Told in words what lies in the folder and is not read (what is no image by its name, other folders), and warnings. */
  onPassedOver?: (text: string) => void;
  /** Most bytes that the decoded images may take in memory. */
  memoryLimit?: number;
}

const defaultMemoryLimit = 256 * 2 ** 20;

/** @throws input: folders that are not as {@link listFiles} takes them; unreadable files, see {@link openListed} */
export async function openImageFolder(options: ImageFolderOptions): Promise<DataSplits> {
  const files = await listFiles(options.dataDir);
  sayLeftOut(files, options);
  if (fitsMemory(files, options)) return keep(await lookAt(files), options);
  return stream(files, options);
}

/**
 * @param list images in `options.dataDir`
 * @throws input: more than `skipBad` unreadable files; the data set's `read` throws it where the images are not kept
 */
export async function openListed(list: ImageList, options: ImageFolderOptions): Promise<DataSplits> {
  sayLeftOut(list, options);
  if (fitsMemory(list, options)) return keep(list, options);
  return stream(await pack(list, options.dataDir), options);
}

function sayLeftOut(found: LeftOut, { dataDir, onPassedOver }: ImageFolderOptions): void {
  for (const text of leftOutTexts(found)) onPassedOver?.(`${dataDir}: ${text}`);
}

/** The list by name alone, relative to `dataDir`. */
export async function pack({ classes, warnings, ...splits }: ImageList, dataDir: string): Promise<ListedFiles> {
  const packed = (images: readonly ListedImage[]): FileList => {
    const names = images.map(({ path }) => relative(dataDir, path));
    return FileList.of(
      dataDir,
      names,
      Int32Array.from(images, ({ label }) => label),
    );
  };
  return { classes, warnings, ...(await mapSplits(splits, packed)) };
}

function fitsMemory(
  list: DataSplits<{ readonly length: number }>,
  { imageSize, transform = "cifar", memoryLimit = defaultMemoryLimit }: ImageFolderOptions,
): boolean {
  const images = splitsOf(list).reduce((sum, { length }) => sum + length, 0);
  return transform === "cifar" && images * imageSize * imageSize * 3 <= memoryLimit;
}

async function keep({ classes, ...splits }: ImageList, options: ImageFolderOptions): Promise<DataSplits> {
  const { dataDir, imageSize, transform = "cifar", onSkip } = options;
  const shared = { name: basename(dataDir), classes, imageSize, transform, normalization: normalizationFor(transform) };
  const { images, skipped } = await decodeAll(splitsOf(splits).flat(), options);
  for (const file of skipped) onSkip?.(file);
  const bad = new Set(skipped.map(({ path }) => path));
  let start = 0;
  const split = (files: readonly ListedImage[]): MemoryDataset => {
    const readable = files.filter(({ path }) => !bad.has(path));
    if (readable.length === 0) {
      throw fault("input", { where: dataDir, rule: "must hold readable images in every split" });
    }
    const labels = Int32Array.from(readable, ({ label }) => label);
    const bytes = images.subarray(start, start + labels.length * imageSize * imageSize * 3);
    start += bytes.length;
    return new MemoryDataset({ ...shared, labels, images: bytes });
  };
  return mapSplits(splits, split);
}

function stream({ classes, ...splits }: ListedFiles, options: ImageFolderOptions): Promise<DataSplits> {
  const { dataDir, imageSize, transform = "cifar", skipBad = 0, onSkip, parallel, maxImageBytes } = options;
  const { rendering } = options;
  const pool = new DecodePool({ imageSize, transform, threads: parallel, maxImageBytes, rendering });
  const bad = new BadFiles(skipBad, onSkip);
  const split = (files: FileList): StreamingDataset =>
    new StreamingDataset({ name: basename(dataDir), classes, imageSize, files, transform, pool, bad });
  return mapSplits(splits, split);
}

export const imageFolderReader: DatasetReader = {
  files: { words: "class folders (train/<class>/)", lieIn: isImageFolder },
  list: listFiles,
  open: (options) => openImageFolder(withReports(options)),
};

/** What a reader of image files is given, with its progress in words. */
export function withReports(options: ReadOptions): ImageFolderOptions {
  const { say } = options;
  return {
    ...options,
    onProgress: nowAndThen(say, ({ done, total }: DecodeProgress) => `decoded ${done} of ${total} images`),
    onSkip: ({ path, reason }) => say?.(`skipped ${path}: ${reason}`),
    onPassedOver: (text) => say?.(text),
  };
}
