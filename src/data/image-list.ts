/** Which images a folder of class folders holds: `train/<class>/…`, and `test/<class>/…` or `val/<class>/…`. */

import { readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { type Fault, fault } from "../errors.ts";

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

const extensions = new Set([".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"]);
const testFolders = ["test", "val"] as const;

/** True if there is a `train` folder with a folder in it. */
export async function isImageFolder(dataDir: string): Promise<boolean> {
  return (await subfolders(join(dataDir, "train"))).length > 0;
}

/**
 * Lists both splits, files sorted by name within each class. Hidden files and other extensions are passed over.
 * @throws input: no `train`, no test split, class folders that differ or are empty
 */
export async function listImages(dataDir: string): Promise<ImageList> {
  const trainFolder = join(dataDir, "train");
  const testFolder = await findTestFolder(dataDir);
  const classes = await subfolders(trainFolder);
  const testClasses = await subfolders(testFolder);
  if (classes.length === 0) {
    throw fault("input", { where: trainFolder, rule: "must hold one folder a class", next: "check --data_dir" });
  }
  checkSameClasses(trainFolder, classes, testFolder, testClasses);
  const faults: Fault[] = [];
  const train = await listSplit(trainFolder, classes, faults);
  const test = await listSplit(testFolder, classes, faults);
  if (faults.length > 0) throw fault("input", faults);
  return { classes, train, test };
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

async function listSplit(folder: string, classes: readonly string[], faults: Fault[]): Promise<ListedImage[]> {
  const images: ListedImage[] = [];
  for (const [label, name] of classes.entries()) {
    const where = join(folder, name);
    const files = (await readdir(where)).filter((file) => !file.startsWith("."));
    const kept = files.filter((file) => extensions.has(extname(file).toLowerCase())).sort();
    if (kept.length === 0) {
      const rule = `must hold at least one image (${[...extensions].join(", ")})`;
      faults.push({ where, rule, got: `${files.length} other files or folders` });
    }
    images.push(...(await Promise.all(kept.map((file) => listImage(join(where, file), label)))));
  }
  return images;
}

async function listImage(path: string, label: number): Promise<ListedImage> {
  const found = await stat(path).catch(() => undefined);
  return { path, label, size: found?.size, modifiedMs: found?.mtimeMs };
}
