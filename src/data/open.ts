/** Opens the data set that a command names, or the one that lies in its folder. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fault } from "../errors.ts";
import { cacheFolder } from "../utils/cache-folder.ts";
import type { DownloadProgress } from "../utils/download.ts";
import { cifarFiles, isCifar, openCifar } from "./cifar.ts";
import { type CifarName, cifarLayouts, findCifar } from "./cifar-files.ts";
import { isCsvList, listCsv } from "./csv-list.ts";
import type { DataSplits } from "./dataset.ts";
import type { DecodeProgress } from "./decoded-images.ts";
import { downloadCifar } from "./download-cifar.ts";
import { type ImageFolderOptions, openImageFolder, openListed } from "./image-folder.ts";
import { isImageFolder } from "./image-list.ts";
import { normalizationFor } from "./normalizations.ts";
import { makeSynthetic } from "./synthetic.ts";
import type { TransformName } from "./transforms.ts";

export const datasetNames = ["synthetic", "cifar10", "cifar100", "cifar100_coarse", "folder", "csv"] as const;
export type DatasetName = (typeof datasetNames)[number];

export interface OpenDataOptions {
  /** Absent: what lies in `dataDir`. */
  dataset?: DatasetName;
  /** Where the files are; only "synthetic" needs none. */
  dataDir?: string;
  /** Side of the images that the model takes. */
  imageSize: number;
  /** Which CIFAR is meant where both lie in `dataDir`. */
  preferred?: CifarName;
  /** Of the synthetic scenes. */
  seed?: number;
  /** How image files are made inputs of the model; absent: "cifar" for images of 32 pixels, else "imagenet". */
  transform?: TransformName;
  /** So many unreadable image files are left out. */
  skipBad?: number;
  /** So many image files are decoded side by side. */
  parallel?: number;
  /** Where decoded images are kept for the next run. */
  cacheDir?: string;
  /** Fetch CIFAR into `dataDir` if it is not there. */
  download?: boolean;
  /** Takes a line of text now and then: how far decoding or a download is, which file was left out and why. */
  say?: (text: string) => void;
}

/** CIFAR's and the synthetic images are not resized. */
const fixedSize = 32;
const sayEveryMs = 5000;

/**
 * Opens training and test split.
 * @throws usage: no folder named, images of another size than the model's; input: nothing found, or damaged;
 *   unsafe: a list that leads out of the folder; system: a download that fails
 */
export async function openDataSplits(options: OpenDataOptions): Promise<DataSplits> {
  const { imageSize, seed, preferred = "cifar10" } = options;
  if (options.download) await fetchMissing(options, options.dataset ?? preferred);
  const dataset = options.dataset ?? (await detect(options));
  const ofFiles = dataset === "folder" || dataset === "csv";
  if (!ofFiles && imageSize !== fixedSize) {
    const rule = `has images of ${fixedSize} × ${fixedSize}, the model takes ${imageSize} × ${imageSize}`;
    throw fault("usage", { where: `--dataset ${dataset}`, rule, next: "choose another model or data set" });
  }
  if (dataset === "synthetic") return makeSynthetic({ seed });
  const dataDir = await existing(options);
  if (dataset === "folder") return openImageFolder(fileOptions(options, dataDir));
  if (dataset === "csv") return openListed(await listCsv(dataDir), fileOptions(options, dataDir));
  return openCifar(dataset, dataDir);
}

/** What a model takes, which says how its data set is opened. */
export interface ModelInput {
  /** The data set that the model was made for. */
  readonly dataset: string;
  readonly imageSize: number;
  readonly transform: TransformName;
}

/** The data options of a command, under their flags' names. */
export interface DataFlags {
  readonly dataset?: DatasetName | undefined;
  readonly data_dir?: string | undefined;
  readonly seed?: number | undefined;
  readonly skip_bad?: number | undefined;
  readonly num_workers?: number | undefined;
  readonly download?: boolean | undefined;
}

/** The data set that flags name for a model; a model of the synthetic scenes needs no flag. */
export function datasetFor(model: ModelInput, { dataset, data_dir }: DataFlags): DatasetName | undefined {
  return dataset ?? (model.dataset === "synthetic" && data_dir === undefined ? "synthetic" : undefined);
}

/** {@link openDataSplits} for a model, by a command's flags. */
export function openDataFor(model: ModelInput, flags: DataFlags, say?: (text: string) => void): Promise<DataSplits> {
  const { imageSize, transform } = model;
  return openDataSplits({
    imageSize,
    transform,
    dataset: datasetFor(model, flags),
    dataDir: flags.data_dir,
    seed: flags.seed,
    skipBad: flags.skip_bad,
    parallel: flags.num_workers,
    download: flags.download,
    say,
    preferred: model.dataset.startsWith("cifar") ? (model.dataset as CifarName) : undefined,
  });
}

function fileOptions(options: OpenDataOptions, dataDir: string): ImageFolderOptions {
  const { imageSize, skipBad, parallel, say, transform = imageSize === fixedSize ? "cifar" : "imagenet" } = options;
  return {
    dataDir,
    imageSize,
    transform,
    normalization: normalizationFor(transform),
    skipBad,
    parallel,
    cacheDir: options.cacheDir ?? join(cacheFolder(), "images"),
    onProgress: nowAndThen<DecodeProgress>(say, ({ done, total }) => `decoded ${done} of ${total} images`),
    onSkip: ({ path, reason }) => say?.(`skipped ${path}: ${reason}`),
  };
}

/** Downloads CIFAR unless the folder holds it. */
async function fetchMissing({ dataDir, say }: OpenDataOptions, dataset: DatasetName): Promise<void> {
  if (!isCifar(dataset)) {
    throw fault("usage", { where: "--download", rule: "must go with cifar10 or cifar100", got: dataset });
  }
  const files = cifarFiles(dataset);
  if (dataDir === undefined) {
    throw fault("usage", { where: "--download", rule: "must go with --data_dir, the folder to download into" });
  }
  if ((await findCifar(dataDir)).some(({ layout }) => layout.name === files)) return;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  const onProgress = nowAndThen<DownloadProgress>(say, ({ received, total }) => {
    return `downloaded ${megabytes(received)}${total === undefined ? "" : ` of ${megabytes(total)}`} MB`;
  });
  await downloadCifar(files, dataDir, { onProgress });
}

/** Turns a flood of progress into a line every few seconds. */
function nowAndThen<T>(say: OpenDataOptions["say"], text: (progress: T) => string): (progress: T) => void {
  let last = performance.now();
  return (progress) => {
    if (performance.now() - last < sayEveryMs) return;
    last = performance.now();
    say?.(text(progress));
  };
}

/** What lies in the folder: CIFAR before lists, lists before class folders, and of two CIFARs the preferred one. */
async function detect(options: OpenDataOptions): Promise<DatasetName> {
  const dataDir = await existing(options);
  const names = (await findCifar(dataDir)).map(({ layout }) => layout.name);
  if (options.preferred !== undefined && names.includes(options.preferred)) return options.preferred;
  if (names.length > 0) return names[0];
  if (await isCsvList(dataDir)) return "csv";
  if (await isImageFolder(dataDir)) return "folder";
  const looked = cifarLayouts.flatMap(({ folder, archive }) => [`${folder}/`, archive]);
  const files = `${looked.join(", ")} or their files`;
  const rule = `must hold CIFAR (${files}), lists (train.csv and test.csv) or class folders (train/<class>/)`;
  throw fault("input", { where: dataDir, rule, next: "check --data_dir, or use --dataset synthetic" });
}

async function existing({ dataDir }: OpenDataOptions): Promise<string> {
  if (dataDir === undefined) {
    const next = "give it, or use --dataset synthetic, which needs no files";
    throw fault("usage", { where: "--data_dir", rule: "must name the folder of the data set", next });
  }
  const found = await stat(dataDir).catch((error: NodeJS.ErrnoException) => error);
  if (!(found instanceof Error)) return dataDir;
  const got = found.code === "ENOENT" ? "no such folder" : found.message;
  throw fault("input", { where: dataDir, rule: "must be a folder that can be read", got, next: "check --data_dir" });
}
