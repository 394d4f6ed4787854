/** Opens the data set that a command names, or the one that lies in its folder. */

import { stat } from "node:fs/promises";
import { join } from "node:path";
import { fault } from "../errors.ts";
import { cacheFolder } from "../utils/cache-folder.ts";
import type { DownloadProgress } from "../utils/download.ts";
import { openCifar } from "./cifar.ts";
import { type CifarName, cifarLayouts, findCifar } from "./cifar-files.ts";
import { downloadCifar } from "./download.ts";
import { type DataProgress, type OpenedData, openImageFolder } from "./image-folder.ts";
import { isImageFolder } from "./image-list.ts";
import { cifarNormalization, imageNetNormalization } from "./normalizations.ts";
import { makeSynthetic } from "./synthetic.ts";

export const datasetNames = ["synthetic", "cifar10", "cifar100", "folder"] as const;
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
  /** So many unreadable images of a folder are left out. */
  skipBad?: number;
  /** So many images of a folder are decoded side by side. */
  parallel?: number;
  /** Where decoded images of a folder are kept for the next run. */
  cacheDir?: string;
  /** Fetch CIFAR into `dataDir` if it is not there. */
  download?: boolean;
  /** Takes a line of text now and then: how far decoding or a download is. */
  say?: (text: string) => void;
}

/** CIFAR's and the synthetic images are not resized. */
const fixedSize = 32;
const sayEveryMs = 5000;

/**
 * Opens training and test split.
 * @throws usage: no folder named, images of another size than the model's; input: nothing found, or damaged;
 *   system: a download that fails
 */
export async function openDataSplits(options: OpenDataOptions): Promise<OpenedData> {
  const { imageSize, seed, preferred = "cifar10" } = options;
  if (options.download) await fetchMissing(options, options.dataset ?? preferred);
  const dataset = options.dataset ?? (await detect(options));
  if (dataset !== "folder" && imageSize !== fixedSize) {
    const rule = `has images of ${fixedSize} × ${fixedSize}, the model takes ${imageSize} × ${imageSize}`;
    throw fault("usage", { where: `--dataset ${dataset}`, rule, next: "choose another model or data set" });
  }
  if (dataset === "synthetic") return { ...makeSynthetic({ seed }), skipped: [] };
  const dataDir = await existing(options);
  if (dataset !== "folder") return { ...(await openCifar(dataset, dataDir)), skipped: [] };
  return openFolder(options, dataDir);
}

async function openFolder(options: OpenDataOptions, dataDir: string): Promise<OpenedData> {
  const { imageSize, skipBad, parallel, say } = options;
  const normalization = imageSize === fixedSize ? cifarNormalization : imageNetNormalization;
  const cacheDir = options.cacheDir ?? join(cacheFolder(), "images");
  const onProgress = nowAndThen<DataProgress>(say, ({ done, total }) => `decoded ${done} of ${total} images`);
  return openImageFolder({ dataDir, imageSize, normalization, skipBad, parallel, cacheDir, onProgress });
}

/** Downloads CIFAR unless the folder holds it. */
async function fetchMissing({ dataDir, say }: OpenDataOptions, dataset: DatasetName): Promise<void> {
  if (dataset !== "cifar10" && dataset !== "cifar100") {
    throw fault("usage", { where: "--download", rule: "must go with cifar10 or cifar100", got: dataset });
  }
  if (dataDir === undefined) {
    throw fault("usage", { where: "--download", rule: "must go with --data_dir, the folder to download into" });
  }
  if ((await findCifar(dataDir)).some(({ layout }) => layout.name === dataset)) return;
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  const onProgress = nowAndThen<DownloadProgress>(say, ({ received, total }) => {
    return `downloaded ${megabytes(received)}${total === undefined ? "" : ` of ${megabytes(total)}`} MB`;
  });
  await downloadCifar(dataset, dataDir, { onProgress });
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

/** What lies in the folder: CIFAR before class folders, and of two CIFARs the preferred one. */
async function detect(options: OpenDataOptions): Promise<DatasetName> {
  const dataDir = await existing(options);
  const names = (await findCifar(dataDir)).map(({ layout }) => layout.name);
  if (options.preferred !== undefined && names.includes(options.preferred)) return options.preferred;
  if (names.length > 0) return names[0];
  if (await isImageFolder(dataDir)) return "folder";
  const looked = cifarLayouts.flatMap(({ folder, archive }) => [`${folder}/`, archive]);
  const rule = `must hold CIFAR (${looked.join(", ")} or their files) or class folders (train/<class>/)`;
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
