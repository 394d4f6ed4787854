/** Opens the data set that a command names, or the one in its folder. */

import { stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { fault } from "../errors.ts";
import { cacheFolder } from "../utils/cache-folder.ts";
import { refuseUnknown } from "../utils/refuse-unknown.ts";
import type { DataSplits, ImageForm } from "./dataset.ts";
import type { DatasetReader } from "./dataset-reader.ts";
import {
  type DatasetName,
  findDataset,
  isDatasetName,
  type NamedReader,
  readerOf,
  readersFrom,
} from "./dataset-registry.ts";
import { sizeFault } from "./dataset-rules.ts";
import { namesOf, type RenderingOptions, refuseRendering } from "./rendering.ts";
import type { TransformName } from "./transforms.ts";

/** Which data set is meant, and where it is. */
export interface DataPlace {
  /** Absent: the one in `dataDir`. */
  dataset?: DatasetName | undefined;
  /** Where the files are; "synthetic" and "synthetic_bands" need none. */
  dataDir?: string | undefined;
  /** Which data set is meant if there are several in `dataDir`. */
  preferred?: DatasetName | undefined;
  /** Fetch it into `dataDir` if it is not there; CIFAR-10 if nothing says which. */
  download?: boolean | undefined;
}

/** Which data set is opened, and how its images are read. */
export interface OpenDataOptions extends DataPlace {
  /** Side of the images that the model takes. */
  imageSize: number;
  /** Of the synthetic scenes. */
  seed?: number | undefined;
  /** How image files are made inputs of the model; absent: "cifar" for images of 32 pixels, else "imagenet". */
  transform?: TransformName | undefined;
  /** Number of unreadable image files to leave out before giving up. */
  skipBad?: number | undefined;
  /** Number of image files that are decoded at the same time. */
  parallel?: number | undefined;
  /** Most bytes that decoding one image may take, and all under way together; 512 MiB when absent. */
  maxImageBytes?: number | undefined;
  /**
   * What the values of TIFF files mean, where they are no colours: which bands are taken (counted from 1; of three, the first is red), and
   * which values become black and white; where these are not said of values that are no bytes, they stay as they were measured.
   */
  rendering?: RenderingOptions | undefined;
  /** Which bands, bytes or values, and statistics the images are to have, such as a run's; found out from those of training when absent. */
  form?: ImageForm | undefined;
  /** Where decoded images are kept for the next run. */
  cacheDir?: string | undefined;
  /** Takes a line of text now and then: how far decoding or a download is, which file was left out and why. */
  say?: ((text: string) => void) | undefined;
}

const optionNames = Object.keys({
  ...{ dataDir: true, dataset: true, download: true, preferred: true },
  ...{ imageSize: true, seed: true, transform: true, skipBad: true, parallel: true },
  ...{ maxImageBytes: true, rendering: true, form: true, cacheDir: true, say: true },
} satisfies Record<keyof OpenDataOptions, true>);

/** Images of this side get CIFAR's transform unless another is named. */
const cifarSize = 32;

/**
 * Opens the splits: training, test and, where the data have one, validation.
 * @throws usage: no folder named, images of another size than the model's, a rendering of images that are no files; input: nothing found, or damaged;
 *   unsafe: a list that leads out of the folder; system: a download that fails
 */
export async function openDataSplits(options: OpenDataOptions): Promise<DataSplits> {
  refuseUnknown(options, optionNames, "openDataSplits");
  const { imageSize, transform = imageSize === cifarSize ? "cifar" : "imagenet", say } = options;
  const { name, reader } = await namedOrFound(options);
  if (reader.imageSize !== undefined && reader.imageSize !== imageSize) {
    throw fault("usage", { where: `--dataset ${name}`, ...sizeFault(reader.imageSize, imageSize) });
  }
  if (reader.files === undefined && options.dataDir !== undefined) throw unneeded(name, options.dataDir);
  if (reader.list === undefined && options.rendering !== undefined) {
    const known = reader.measure === undefined ? "images are RGB" : "bands are known";
    refuseRendering(options.rendering, `must be left out with --dataset ${name}, whose ${known}`);
  }
  if (reader.list !== undefined && options.form !== undefined) checkBands(options.rendering ?? {}, options.form);
  if (options.download) await fetchMissing(name, reader, options);
  const dataDir = reader.files === undefined ? "" : await existing(options.dataDir);
  const { cacheDir = imageCache(), seed, skipBad, parallel, maxImageBytes, rendering, form } = options;
  const files = { skipBad, parallel, maxImageBytes, rendering, form, cacheDir };
  return reader.open({ dataDir, imageSize, transform, seed, ...files, say });
}

/**
 * The data set that is named, or else the one to be downloaded, or the one in the folder.
 * @throws usage: no folder named; input: nothing found
 */
export async function namedOrFound({ dataset, dataDir, preferred, download }: DataPlace): Promise<NamedReader> {
  if (dataset !== undefined) return { name: dataset, reader: await readerOf(dataset) };
  const readers = await readersFrom(preferred);
  const fetched = download ? readers.find(({ reader }) => reader.fetch !== undefined) : undefined;
  return fetched ?? findDataset(await existing(dataDir), readers);
}

/** What a model takes, which says how its data set is opened. */
export interface ModelInput {
  /** The data set that the model was made for. */
  readonly dataset: string;
  readonly imageSize: number;
  readonly transform: TransformName;
}

/** The data options of a command, under their flags' names. */
export interface DataFlags extends RenderingOptions {
  readonly dataset?: DatasetName | undefined;
  readonly data_dir?: string | undefined;
  readonly seed?: number | undefined;
  readonly skip_bad?: number | undefined;
  readonly num_workers?: number | undefined;
  readonly max_image_bytes?: number | undefined;
  readonly download?: boolean | undefined;
}

/** The data set that flags name for a model; a model of the synthetic scenes needs no flag. */
export function datasetFor(model: ModelInput, { dataset, data_dir }: DataFlags): DatasetName | undefined {
  return dataset ?? (model.dataset === "synthetic" && data_dir === undefined ? "synthetic" : undefined);
}

/** {@link openDataSplits} for a model, by a command's flags. @param form that of a run which they are for */
export function openDataFor(
  model: ModelInput,
  flags: DataFlags,
  say?: (text: string) => void,
  form?: ImageForm,
): Promise<DataSplits> {
  const { imageSize, transform } = model;
  return openDataSplits({
    imageSize,
    transform,
    dataset: datasetFor(model, flags),
    dataDir: flags.data_dir,
    seed: flags.seed,
    skipBad: flags.skip_bad,
    parallel: flags.num_workers,
    maxImageBytes: flags.max_image_bytes,
    rendering: { bands: flags.bands, scale: flags.scale },
    form,
    download: flags.download,
    say,
    preferred: isDatasetName(model.dataset) ? model.dataset : undefined,
  });
}

/** @throws usage: other bands than those of the run that the images are for; numbers may be those of other files */
function checkBands(rendering: RenderingOptions, { bands }: ImageForm): void {
  const asked = namesOf(rendering);
  const isNamed = rendering.bands?.every((band) => typeof band === "string");
  if (asked.length === bands.length && (!isNamed || String(asked) === String(bands))) return;
  const rule = `must be the bands that the run has learned from: ${bands.join(", ")}`;
  throw fault("usage", { where: "--bands", rule, got: asked.join(", ") });
}

/** Where decoded images, and what was measured of them, are kept for the next run. */
export const imageCache = () => join(cacheFolder(), "images");

export function unneeded(name: DatasetName, dataDir: string) {
  const rule = `must be left out with --dataset ${name}, which needs no files`;
  return fault("usage", { where: "--data_dir", rule, got: dataDir, next: "or give --dataset folder, csv or cifar10" });
}

async function fetchMissing(name: DatasetName, reader: DatasetReader, { dataDir, say }: OpenDataOptions) {
  if (reader.fetch === undefined) {
    const fetched = (await readersFrom()).filter(({ reader }) => reader.fetch !== undefined);
    const rule = `works only with ${fetched.map(({ name }) => name).join(", ")}`;
    throw fault("usage", { where: "--download", rule, got: name });
  }
  if (dataDir === undefined) {
    throw fault("usage", { where: "--download", rule: "needs --data_dir, the folder to download into" });
  }
  await reader.fetch(dataDir, say);
}

/** The folder that a flag names, if it can be read. @throws usage: none is named; input: it is not there */
export async function existing(dataDir: string | undefined, flag = "--data_dir"): Promise<string> {
  if (dataDir === undefined) {
    const next = "give it, or use --dataset synthetic, which needs no files";
    throw fault("usage", { where: flag, rule: "must name the folder of the data set", next });
  }
  const found = await stat(dataDir).catch((error: NodeJS.ErrnoException) => error);
  if (!(found instanceof Error)) return dataDir;
  const got = found.code === "ENOENT" ? "no such folder" : found.message;
  // A run remembers the folder as it was given.
  const next = isAbsolute(dataDir) ? `check ${flag}` : `check ${flag}: it is looked for in ${process.cwd()}`;
  throw fault("input", { where: dataDir, rule: "must be a folder that can be read", got, next });
}
