/** Which images a folder of class folders holds: `train/<class>/…`, and `test/<class>/…` or `val/<class>/…`. */

import { readdir, stat } from "node:fs/promises";
import { basename, extname, join } from "node:path";
import { type Fault, fault } from "../errors.ts";
import { FileList } from "./file-list.ts";
import { inOrder } from "./in-order.ts";

export interface ListedImage {
  readonly path: string;
  readonly label: number;
  /** undefined where the file can't be found: a broken link. */
  readonly size: number | undefined;
  readonly modifiedMs: number | undefined;
}

export interface ImageList {
  /** Sorted by name, in the order of code units. */
  readonly classes: readonly string[];
  readonly train: readonly ListedImage[];
  readonly test: readonly ListedImage[];
}

/** Both splits by name alone: a million files are listed in a second, since none of them is looked at. */
export interface ListedFiles {
  /** As in {@link ImageList}. */
  readonly classes: readonly string[];
  readonly train: FileList;
  readonly test: FileList;
}

/** Number of files or folders that are looked at at the same time. */
const parallel = 64;
const extensions = new Set([".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"]);
const testFolders = ["test", "val"] as const;

/** True if there is a `train` folder with a folder in it. */
export async function isImageFolder(dataDir: string): Promise<boolean> {
  return (await subfolders(join(dataDir, "train"))).length > 0;
}

/**
 * Lists both splits, files sorted by name within each class. Hidden files and other extensions are skipped.
 * @throws input: no `train`, no test split, class folders that differ or are empty
 */
export async function listFiles(dataDir: string): Promise<ListedFiles> {
  const trainFolder = join(dataDir, "train");
  const testFolder = await findTestFolder(dataDir);
  const classes = await subfolders(trainFolder);
  const testClasses = await subfolders(testFolder);
  if (classes.length === 0) {
    throw fault("input", { where: trainFolder, rule: "must hold one folder per class", next: "check --data_dir" });
  }
  checkSameClasses(trainFolder, classes, testFolder, testClasses);
  const faults: Fault[] = [];
  const train = await listSplit(dataDir, basename(trainFolder), classes, faults);
  const test = await listSplit(dataDir, basename(testFolder), classes, faults);
  if (faults.length > 0) throw fault("input", faults);
  return { classes, train, test };
}

/** As {@link listFiles}, and looks at each file. */
export async function listImages(dataDir: string): Promise<ImageList> {
  return lookAt(await listFiles(dataDir));
}

export async function lookAt({ classes, train, test }: ListedFiles): Promise<ImageList> {
  return { classes, train: await lookAtSplit(train), test: await lookAtSplit(test) };
}

async function findTestFolder(dataDir: string): Promise<string> {
  for (const name of testFolders) {
    const folder = join(dataDir, name);
    if ((await subfolders(folder)).length > 0) return folder;
  }
  throw fault("input", {
    where: dataDir,
    rule: `must hold test images in ${testFolders.map((name) => `${name}/<class>/`).join(" or ")}`,
  });
}

async function subfolders(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw fault("system", { where: folder, rule: "must be readable", got: error.message }, error);
  });
  const kept: string[] = [];
  for (const name of names) {
    const found = name.startsWith(".") ? undefined : await stat(join(folder, name)).catch(() => undefined);
    if (found?.isDirectory()) kept.push(name);
  }
  return kept.sort();
}

function checkSameClasses(
  trainFolder: string,
  classes: readonly string[],
  testFolder: string,
  testClasses: readonly string[],
): void {
  const faults: Fault[] = [];
  const compare = (where: string, has: readonly string[], needs: readonly string[]): void => {
    const missing = needs.filter((name) => !has.includes(name));
    if (missing.length === 0) return;
    faults.push({
      where,
      rule: "train and test must have the same classes",
      got: `no folder for ${missing.join(", ")}`,
    });
  };
  compare(trainFolder, classes, testClasses);
  compare(testFolder, testClasses, classes);
  if (faults.length > 0) throw fault("input", faults);
}

async function listSplit(
  dataDir: string,
  split: string,
  classes: readonly string[],
  faults: Fault[],
): Promise<FileList> {
  const parts: FileList[] = [];
  const read = async (name: string) => ({ name, files: await readdir(join(dataDir, split, name)) });
  for await (const { name, files } of inOrder(classes, parallel, read)) {
    const visible = files.filter((file) => !file.startsWith("."));
    const kept = visible.filter((file) => extensions.has(extname(file).toLowerCase())).sort();
    if (kept.length === 0) {
      const rule = `must hold at least one image (${[...extensions].join(", ")})`;
      faults.push({ where: join(dataDir, split, name), rule, got: `${visible.length} other files or folders` });
    }
    const names = kept.map((file) => join(split, name, file));
    parts.push(FileList.of(dataDir, names, new Int32Array(kept.length).fill(parts.length)));
  }
  return FileList.concat(dataDir, parts);
}

async function lookAtSplit(files: FileList): Promise<ListedImage[]> {
  const look = async (index: number): Promise<ListedImage> => {
    const path = files.path(index);
    const found = await stat(path).catch(() => undefined);
    return { path, label: files.labels[index], size: found?.size, modifiedMs: found?.mtimeMs };
  };
  const images: ListedImage[] = [];
  for await (const image of inOrder(files.labels.keys(), parallel, look)) images.push(image);
  return images;
}
