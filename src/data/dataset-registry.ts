/**
 * The data sets that `--dataset` names, in the order in which they are looked for in a folder. A new data set is its
 * reader and one entry here. The list is cheap: a reader is loaded when it is asked for.
 */

import { dirname, resolve } from "node:path";
import { fault } from "../errors.ts";
import type { DatasetReader } from "./dataset-reader.ts";

interface Entry {
  readonly name: string;
  load(): Promise<DatasetReader>;
}

const entries = [
  { name: "synthetic", load: async () => (await import("./synthetic.ts")).syntheticReader },
  { name: "synthetic_bands", load: async () => (await import("./synthetic-bands.ts")).syntheticBandsReader },
  { name: "cifar10", load: async () => (await import("./cifar.ts")).cifarReaders.cifar10 },
  { name: "cifar100", load: async () => (await import("./cifar.ts")).cifarReaders.cifar100 },
  { name: "cifar100_coarse", load: async () => (await import("./cifar.ts")).cifarReaders.cifar100_coarse },
  { name: "csv", load: async () => (await import("./csv-list.ts")).csvReader },
  { name: "folder", load: async () => (await import("./image-folder.ts")).imageFolderReader },
] as const satisfies readonly Entry[];

/** A data set, as `--dataset` names it. */
export type DatasetName = (typeof entries)[number]["name"];
/** What `--dataset` takes. */
export const datasetNames: readonly DatasetName[] = entries.map(({ name }) => name);

export function isDatasetName(name: string): name is DatasetName {
  return entries.some((entry) => entry.name === name);
}

/** Whether it is made by the program, and needs no files. */
export function isGenerated(name: string | undefined): boolean {
  return name === "synthetic" || name === "synthetic_bands";
}

export function readerOf(name: DatasetName): Promise<DatasetReader> {
  return entries.find((entry) => entry.name === name)!.load();
}

/** A data set by name. */
export interface NamedReader {
  readonly name: DatasetName;
  readonly reader: DatasetReader;
}

/** All data sets in their order, the preferred one before the others. */
export async function readersFrom(preferred?: DatasetName): Promise<NamedReader[]> {
  const names = new Set([...datasetNames.filter((name) => name === preferred), ...datasetNames]);
  return Promise.all(Array.from(names, async (name) => ({ name, reader: await readerOf(name) })));
}

async function datasetIn(dataDir: string, among: readonly NamedReader[]): Promise<NamedReader | undefined> {
  for (const candidate of among) {
    if (await candidate.reader.files?.lieIn(dataDir)) return candidate;
  }
  return undefined;
}

/** The first of the data sets that lies in a folder. @throws input: none of them */
export async function findDataset(dataDir: string, among: readonly NamedReader[]): Promise<NamedReader> {
  const found = await datasetIn(dataDir, among);
  if (found !== undefined) return found;
  const above = dirname(resolve(dataDir));
  if ((await datasetIn(above, among)) !== undefined) {
    throw fault("input", { where: dataDir, rule: "must be a data set, and is a part of one", next: `give ${above}` });
  }
  const words = [...new Set(among.flatMap(({ reader }) => reader.files?.words ?? []))];
  const rule = `must hold ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
  const free = among.find(({ reader }) => reader.files === undefined);
  const divide = `divide its images: patchdrop data split --data_dir ${dataDir}`;
  const { isUndivided } = await import("./image-list.ts");
  const first = (await isUndivided(dataDir)) ? divide : "check --data_dir";
  const next = free === undefined ? first : `${first}, or use --dataset ${free.name}`;
  throw fault("input", { where: dataDir, rule, next });
}
