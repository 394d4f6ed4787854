/**
 * CIFAR-10 and CIFAR-100, with its fine or its coarse labels, in the official binary and Python formats.
 * Source: https://www.cs.toronto.edu/~kriz/cifar.html, "Dataset layout" and "Binary version".
 */

import { type Fault, fault } from "../errors.ts";
import { readPickle } from "../formats/pickle.ts";
import { NumpyArray } from "../formats/pickle-numpy.ts";
import type { DownloadProgress } from "../utils/download.ts";
import { nowAndThen } from "../utils/now-and-then.ts";
import { cifar10Classes, cifar100Classes, cifar100CoarseClasses } from "./cifar-classes.ts";
import { type CifarSource, cifarLayouts, findCifar, readCifarFiles } from "./cifar-files.ts";
import type { DataSplits } from "./dataset.ts";
import type { DatasetReader } from "./dataset-reader.ts";
import { downloadCifar } from "./download-cifar.ts";
import { MemoryDataset } from "./memory-dataset.ts";
import { cifarNormalization } from "./normalizations.ts";

const imageSize = 32;
const planeBytes = imageSize * imageSize;
const imageBytes = 3 * planeBytes;

/**
 * What distinguishes them: the files, the label bytes before each image and which of them counts, the key in the pickle.
 */
const kinds = {
  cifar10: {
    files: "cifar10",
    title: "CIFAR-10",
    classes: cifar10Classes,
    labelBytes: 1,
    labelByte: 0,
    labelKey: "labels",
  },
  cifar100: {
    files: "cifar100",
    title: "CIFAR-100",
    classes: cifar100Classes,
    labelBytes: 2,
    labelByte: 1,
    labelKey: "fine_labels",
  },
  cifar100_coarse: {
    files: "cifar100",
    title: "CIFAR-100",
    classes: cifar100CoarseClasses,
    labelBytes: 2,
    labelByte: 0,
    labelKey: "coarse_labels",
  },
} as const;

/** CIFAR, and which of its labels. */
export type CifarKind = keyof typeof kinds;

const otherKind = { cifar10: "cifar100", cifar100: "cifar10", cifar100_coarse: "cifar10" } as const;

/** What one file holds: labels [N], and images [N, 32, 32, 3]. */
interface Part {
  readonly labels: Uint8Array;
  readonly images: Uint8Array;
}

/**
 * Reads CIFAR from a folder or an archive, both splits into memory (184 MB).
 * @throws input: nothing found, files missing, damaged or of the other CIFAR
 */
export async function openCifar(name: CifarKind, dataDir: string): Promise<DataSplits> {
  const sources = await findCifar(dataDir);
  const source = sources.find(holds(name));
  if (source === undefined) throw notFound(name, dataDir, sources);
  const { layout } = source;
  const parts = new Map<string, Part>();
  await readCifarFiles(source, (file, where, bytes) => {
    parts.set(file, layout.format === "binary" ? binaryPart(name, where, bytes) : pythonPart(name, where, bytes));
  });
  const split = (files: readonly string[]): MemoryDataset =>
    datasetOf(
      name,
      files.map((file) => parts.get(file)!),
    );
  return { train: split(layout.train), test: split(layout.test) };
}

/** Whether a source holds a kind. */
function holds(name: CifarKind): (source: CifarSource) => boolean {
  return ({ layout }) => layout.name === kinds[name].files;
}

function notFound(name: CifarKind, dataDir: string, sources: readonly CifarSource[]): Error {
  const other = otherKind[name];
  const { title } = kinds[name];
  if (sources.some(({ layout }) => layout.name === other)) {
    const next = `use --dataset ${other}, or the folder of ${title}`;
    return fault("input", { where: dataDir, rule: `must hold ${title}`, got: kinds[other].title, next });
  }
  const looked = cifarLayouts.filter((layout) => layout.name === kinds[name].files);
  const names = looked.map(({ folder, archive, train }) => `${folder}/, ${archive} or ${train[0]}`).join(", ");
  return fault("input", { where: dataDir, rule: `must hold ${title}: ${names}`, next: "check --data_dir" });
}

/** Records of label bytes and an image [3, 32, 32]. */
function binaryPart(name: CifarKind, where: string, bytes: Uint8Array): Part {
  const { title, labelBytes, labelByte } = kinds[name];
  const recordBytes = labelBytes + imageBytes;
  const length = bytes.length / recordBytes;
  if (length === 0 || !Number.isInteger(length)) throw wrongSize(name, where, bytes.length);
  const labels = new Uint8Array(length);
  const images = new Uint8Array(length * imageBytes);
  for (let record = 0; record < length; record++) {
    const start = record * recordBytes;
    labels[record] = bytes[start + labelByte];
    toRows(bytes.subarray(start + labelBytes, start + recordBytes), images, record * imageBytes);
  }
  checkLabels(name, where, labels, `is it ${title}'s file?`);
  return { labels, images };
}

function wrongSize(name: CifarKind, where: string, size: number): Error {
  const { title, labelBytes } = kinds[name];
  const recordBytes = labelBytes + imageBytes;
  const other = otherKind[name];
  const records = Math.floor(size / recordBytes);
  const isOther = size > 0 && size % (kinds[other].labelBytes + imageBytes) === 0;
  return fault("input", {
    where,
    rule: `must have a multiple of ${recordBytes} bytes (${title}'s record), at least one`,
    got: `${size} bytes: ${records} records and ${size % recordBytes} bytes`,
    next: isOther
      ? `it fits ${kinds[other].title}: use --dataset ${other}`
      : "the file is cut or damaged: copy it again",
  });
}

/** A dict of `data`, uint8 [N, 3072], and the labels, a list of N. */
function pythonPart(name: CifarKind, where: string, bytes: Uint8Array): Part {
  const { title, labelKey } = kinds[name];
  const dict = readPickle(bytes, where);
  if (!(dict instanceof Map)) throw fault("input", { where, rule: `must be a pickled dict, as ${title}'s batches` });
  const list = dict.get(labelKey);
  const data = dict.get("data");
  const other = otherKind[name];
  if (list === undefined && dict.has(kinds[other].labelKey)) {
    const next = `use --dataset ${other}`;
    throw fault("input", { where, rule: `must have ${title}'s key "${labelKey}"`, got: kinds[other].labelKey, next });
  }
  const faults: Fault[] = [];
  if (!Array.isArray(list)) faults.push({ where, rule: `must have a list "${labelKey}"` });
  if (!isImageArray(data))
    faults.push({ where, rule: `must have "data", uint8 [N, ${imageBytes}]`, got: shapeOf(data) });
  if (!Array.isArray(list) || !isImageArray(data)) throw fault("input", faults);
  const length = data.shape[0];
  if (list.length !== length || length === 0) {
    const rule = `"data" and "${labelKey}" must have the same number of records, at least one`;
    throw fault("input", { where, rule, got: `${length} and ${list.length}` });
  }
  checkLabels(name, where, list, `is it ${title}'s file?`);
  const images = new Uint8Array(length * imageBytes);
  for (let record = 0; record < length; record++) {
    toRows(data.data.subarray(record * imageBytes, (record + 1) * imageBytes), images, record * imageBytes);
  }
  return { labels: Uint8Array.from(list as number[]), images };
}

function isImageArray(value: unknown): value is NumpyArray {
  if (!(value instanceof NumpyArray)) return false;
  return value.dtype === "u1" && value.shape.length === 2 && value.shape[1] === imageBytes;
}

function shapeOf(value: unknown): string | undefined {
  return value instanceof NumpyArray ? `${value.dtype} [${value.shape.join(", ")}]` : undefined;
}

function checkLabels(name: CifarKind, where: string, labels: ArrayLike<unknown>, next: string): void {
  const { length } = kinds[name].classes;
  for (let record = 0; record < labels.length; record++) {
    const label = labels[record];
    if (typeof label === "number" && Number.isInteger(label) && label >= 0 && label < length) continue;
    throw fault("input", {
      where: `${where}: record ${record}`,
      rule: `label must be in 0..${length - 1}`,
      got: label,
      next,
    });
  }
}

/** Copies an image from planes [3, 32, 32] to rows of pixels [32, 32, 3]. */
function toRows(planes: Uint8Array, out: Uint8Array, at: number): void {
  for (let pixel = 0; pixel < planeBytes; pixel++) {
    out[at + 3 * pixel] = planes[pixel];
    out[at + 3 * pixel + 1] = planes[pixel + planeBytes];
    out[at + 3 * pixel + 2] = planes[pixel + 2 * planeBytes];
  }
}

function datasetOf(name: CifarKind, parts: readonly Part[]): MemoryDataset {
  const { title, classes } = kinds[name];
  const length = parts.reduce((sum, { labels }) => sum + labels.length, 0);
  const labels = new Int32Array(length);
  const images = new Uint8Array(length * imageBytes);
  let at = 0;
  for (const part of parts) {
    labels.set(part.labels, at);
    images.set(part.images, at * imageBytes);
    at += part.labels.length;
  }
  return new MemoryDataset({ name: title, classes, imageSize, labels, images, normalization: cifarNormalization });
}

export const cifarReaders: Readonly<Record<CifarKind, DatasetReader>> = {
  cifar10: reader("cifar10"),
  cifar100: reader("cifar100"),
  cifar100_coarse: reader("cifar100_coarse"),
};

function reader(name: CifarKind): DatasetReader {
  const { files, title, classes } = kinds[name];
  const isThere = async (dataDir: string): Promise<boolean> => (await findCifar(dataDir)).some(holds(name));
  const looked = cifarLayouts.filter((layout) => layout.name === files);
  const names = looked.flatMap(({ folder, archive }) => [`${folder}/`, archive]).join(", ");
  return {
    imageSize,
    classes,
    files: { words: `${title} (${names} or their files)`, lieIn: isThere },
    open: ({ dataDir }) => openCifar(name, dataDir),
    async fetch(dataDir, say) {
      if (await isThere(dataDir)) return;
      await downloadCifar(files, dataDir, { onProgress: nowAndThen(say, received) });
    },
  };
}

function received({ received, total }: DownloadProgress): string {
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0);
  return `downloaded ${megabytes(received)}${total === undefined ? "" : ` of ${megabytes(total)}`} MB`;
}
