/**
 * Walks fMoW-rgb as it is distributed: `train/` and `val/` with `<category>/<category>_<n>/<…>_rgb.jpg`, `test/` and `seq/`
 * with `<number>/<…>_rgb.jpg`, and a `.json` beside each image. The challenge hid the categories of `test` and `seq`; they
 * are in the archive `groundtruth.tar.bz2`, unpacked into the same folder: `test_gt/<category>/…` and `test_gt_mapping.json`.
 * One folder is held in memory at a time.
 */

import type { Dirent } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { fault } from "../../errors.ts";
import { parsePythonJson } from "../../files/json.ts";

export const fmowSplits = ["train", "val", "test", "seq"] as const;
export type FmowSplit = (typeof fmowSplits)[number];

export interface FmowImage {
  readonly split: FmowSplit;
  /** Folder and name without ending, from the input folder, with "/": "train/airport/airport_0/airport_0_0_rgb". */
  readonly name: string;
  /** undefined where only the annotation is there. */
  readonly image: string | undefined;
  readonly annotation: string;
}

/** Folders below a split: category and sequence. */
const deepest = 2;
const ending = /^([^.].*_rgb)\.(jpg|json)$/;
const largestMapping = 64 << 20;

/**
 * All images in a fixed order: by split, then by names.
 * @throws input: a mapping of the ground truth that can't be read; system: a folder that can't be read
 */
export async function* fmowImages(input: string): AsyncGenerator<FmowImage> {
  for (const split of fmowSplits) {
    const truths = await readMapping(input, split);
    yield* walk({ input, split, truths }, split, deepest);
  }
}

interface SplitFolder {
  readonly input: string;
  readonly split: FmowSplit;
  readonly truths: ReadonlyMap<string, string>;
}

/** The images in a folder of a split, and in those up to `depth` below it. */
async function* walk(whole: SplitFolder, folder: string, depth: number): AsyncGenerator<FmowImage> {
  const { input, split, truths } = whole;
  const entries = await readFolder(join(input, folder));
  const names = new Set(entries.map(({ name }) => name));
  for (const stem of new Set([...names].sort().flatMap((name) => ending.exec(name)?.[1] ?? []))) {
    const image = names.has(`${stem}.jpg`) ? join(input, folder, `${stem}.jpg`) : undefined;
    yield { split, name: `${folder}/${stem}`, image, annotation: join(input, annotationOf(folder, stem, truths)) };
  }
  if (depth === 0) return;
  for (const name of await subfolders(join(input, folder), entries)) {
    yield* walk(whole, `${folder}/${name}`, depth - 1);
  }
}

/** The file beside the image, or the ground truth's: test/0000007/0000007_0_rgb → test_gt/barn/barn_4/barn_4_0_rgb. */
function annotationOf(folder: string, stem: string, truths: ReadonlyMap<string, string>): string {
  const truth = truths.get(folder);
  if (truth === undefined) return `${folder}/${stem}.json`;
  return `${truth}/${stem.replace(basename(folder), basename(truth))}.json`;
}

/** Nothing where there is no such folder: not everybody has all splits. */
async function readFolder(folder: string): Promise<Dirent[]> {
  return readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw fault("system", { where: folder, rule: "must be a folder that can be read", got: error.message }, error);
  });
}

/** Links are followed. */
async function subfolders(folder: string, entries: readonly Dirent[]): Promise<string[]> {
  const kept: string[] = [];
  for (const entry of entries) {
    if (entry.name.startsWith(".") || ending.test(entry.name)) continue;
    const target = entry.isSymbolicLink() ? await stat(join(folder, entry.name)).catch(() => entry) : entry;
    if (target.isDirectory()) kept.push(entry.name);
  }
  return kept.sort();
}

/** From a folder of images ("test/0000007") to that of its ground truth ("test_gt/barn/barn_4"); empty without one. */
async function readMapping(input: string, split: FmowSplit): Promise<ReadonlyMap<string, string>> {
  const file = join(input, `${split}_gt_mapping.json`);
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return new Map();
  if (found.size > largestMapping) {
    throw fault("resource", { where: file, rule: `must have at most ${largestMapping} bytes`, got: found.size });
  }
  const rule = `must be a list of {"input": "${split}_gt/<category>/<name>", "output": "${split}/<name>"}`;
  try {
    return new Map((parsePythonJson(await readFile(file, "utf8")) as unknown[]).map((entry) => mapped(entry, split)));
  } catch (error) {
    throw fault("input", { where: file, rule, got: (error as Error).message }, error);
  }
}

/** Only plain names pass: a mapping must not lead out of the input folder. */
function mapped(entry: unknown, split: FmowSplit): [images: string, truth: string] {
  const { input, output } = entry as { readonly input: unknown; readonly output: unknown };
  const isPlain = new RegExp(`^${split}_gt/[\\w-]+/[\\w-]+$`).test(String(input));
  if (!isPlain || !new RegExp(`^${split}/[\\w-]+$`).test(String(output))) throw new Error(JSON.stringify(entry));
  return [String(output), String(input)];
}
