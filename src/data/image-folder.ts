/**
 * A data set of image files: class folders, as in torchvision's ImageFolder, or a list. Small images of a set that fits
 * into memory are decoded once and kept as bytes; all others are read from their files each time.
 */

import { basename, relative } from "node:path";
import { fault } from "../errors.ts";
import { nowAndThen } from "../utils/now-and-then.ts";
import { newPixels } from "../utils/pixel-array.ts";
import { BadFiles, type SkippedFile } from "./bad-files.ts";
import {
  channelsOf,
  type DataSplits,
  type ImageForm,
  imageLength,
  mapSplits,
  pixelStatistics,
  splitsOf,
} from "./dataset.ts";
import type { DatasetReader, ReadOptions } from "./dataset-reader.ts";
import { DecodePool } from "./decode-pool.ts";
import { type DecodeListOptions, type DecodeProgress, decodeAll } from "./decoded-images.ts";
import { FileList } from "./file-list.ts";
import { formOf } from "./image-form.ts";
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
import { fillMissing } from "./normalizations.ts";
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
  /** What the images are to be; found out from those of training when absent. */
  form?: ImageForm | undefined;
  /** Takes a line of text now and then. */
  say?: ((text: string) => void) | undefined;
  /** Most bytes that the decoded images may take in memory. */
  memoryLimit?: number;
}

const defaultMemoryLimit = 256 * 2 ** 20;

/** @throws input: folders that are not as {@link listFiles} takes them; unreadable files, see {@link openListed} */
export async function openImageFolder(options: ImageFolderOptions): Promise<DataSplits> {
  const files = await listFiles(options.dataDir);
  sayLeftOut(files, options);
  const form = await formOfListed(files, options);
  if (fitsMemory(files, form, options)) return keep(await lookAt(files), form, options);
  return stream(files, form, options);
}

/**
 * @param list images in `options.dataDir`
 * @throws input: more than `skipBad` unreadable files; the data set's `read` throws it where the images are not kept
 */
export async function openListed(list: ImageList, options: ImageFolderOptions): Promise<DataSplits> {
  sayLeftOut(list, options);
  const files = await pack(list, options.dataDir);
  const form = await formOfListed(files, options);
  return fitsMemory(list, form, options) ? keep(list, form, options) : stream(files, form, options);
}

function formOfListed({ train }: ListedFiles, options: ImageFolderOptions): Promise<ImageForm> {
  return formOf(train, options.transform ?? "cifar", options);
}

function sayLeftOut(found: LeftOut, { dataDir, onPassedOver }: ImageFolderOptions): void {
  for (const text of leftOutTexts(found)) onPassedOver?.(`${dataDir}: ${text}`);
}

/** The list by name alone, relative to `dataDir`. */
export async function pack({ classes, warnings, ...splits }: ImageList, dataDir: string): Promise<ListedFiles> {
  const packed = (images: readonly ListedImage[]): FileList => {
    const labels = Int32Array.from(images, ({ label }) => label);
    const listed = (paths: readonly string[], low?: FileList) =>
      FileList.of(
        dataDir,
        paths.map((path) => relative(dataDir, path)),
        labels,
        low,
      );
    const lows = images.flatMap(({ low }) => low?.path ?? []);
    const low = lows.length === 0 ? undefined : listed(lows);
    return listed(
      images.map(({ path }) => path),
      low,
    );
  };
  return { classes, warnings, ...(await mapSplits(splits, packed)) };
}

function fitsMemory(
  list: DataSplits<{ readonly length: number }>,
  form: ImageForm,
  { imageSize, transform = "cifar", memoryLimit = defaultMemoryLimit }: ImageFolderOptions,
): boolean {
  const images = splitsOf(list).reduce((sum, { length }) => sum + length, 0);
  const bytes = images * imageSize * imageSize * channelsOf(form) * newPixels(form.pixelType, 0).BYTES_PER_ELEMENT;
  return transform === "cifar" && bytes <= memoryLimit;
}

async function keep(
  { classes, ...splits }: ImageList,
  form: ImageForm,
  options: ImageFolderOptions,
): Promise<DataSplits> {
  const { dataDir, imageSize, transform = "cifar", onSkip } = options;
  const { pixelType, ...seen } = form;
  const shared = { name: basename(dataDir), classes, imageSize, transform, ...seen };
  const { images, skipped } = await decodeAll(splitsOf(splits).flat(), { ...options, pixelType });
  fillMissing(images, pixelStatistics(form).mean);
  for (const file of skipped) onSkip?.(file);
  const bad = new Set(skipped.map(({ path }) => path));
  let start = 0;
  const split = (files: readonly ListedImage[]): MemoryDataset => {
    const readable = files.filter(({ path }) => !bad.has(path));
    if (readable.length === 0) {
      throw fault("input", { where: dataDir, rule: "must hold readable images in every split" });
    }
    const labels = Int32Array.from(readable, ({ label }) => label);
    const own = images.subarray(start, start + labels.length * imageLength({ imageSize, ...form }));
    start += own.length;
    return new MemoryDataset({ ...shared, labels, images: own });
  };
  return mapSplits(splits, split);
}

function stream(
  { classes, ...splits }: ListedFiles,
  form: ImageForm,
  options: ImageFolderOptions,
): Promise<DataSplits> {
  const { dataDir, imageSize, transform = "cifar", skipBad = 0, onSkip, parallel, maxImageBytes } = options;
  const { rendering } = options;
  const { pixelType } = form;
  const isPaired = form.low !== undefined;
  const reading = { imageSize, transform, rendering, pixelType, isPaired, missing: pixelStatistics(form).mean };
  const pool = new DecodePool({ ...reading, threads: parallel, maxImageBytes });
  const bad = new BadFiles(skipBad, onSkip);
  const split = (files: FileList): StreamingDataset =>
    new StreamingDataset({ name: basename(dataDir), classes, imageSize, files, transform, ...form, pool, bad });
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
