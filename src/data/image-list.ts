/**
 * Which images a folder of class folders holds: `train/<class>/…`, `test/<class>/…` and, to choose by, `val/<class>/…`; where
 * there is no `test`, `val` takes its place.
 */

import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { type Fault, fault } from "../errors.ts";
import { type DataSplits, mapSplits, splitsOf } from "./dataset.ts";
import { FileList } from "./file-list.ts";
import { imageEndings, isImageName, type PassedOver, passedOverText, passOver } from "./image-names.ts";
import { inOrder } from "./in-order.ts";

export interface ListedFile {
  readonly path: string;
  /** undefined where the file can't be found: a broken link. */
  readonly size: number | undefined;
  readonly modifiedMs: number | undefined;
}

export interface ListedImage extends ListedFile {
  readonly label: number;
  /** Of a pair: the other picture of the same ground, which the low resolution is made of. */
  readonly low?: ListedFile | undefined;
}

/** What lies in a data folder and is not read, and what else its user should know of it. */
export interface LeftOut {
  /** Of class folders, where there is something; lists say which images are meant. */
  readonly passedOver?: PassedOver | undefined;
  /** Names of folders beside the splits; undefined where there are none. */
  readonly otherFolders?: readonly string[] | undefined;
  /** What may be meant so and may be a mistake, a line each. */
  readonly warnings?: readonly string[] | undefined;
}

export interface ImageList extends DataSplits<readonly ListedImage[]>, LeftOut {
  /** Sorted by name, in the order of code units; é is one of them (NFC), whichever way the folder's name spells it. */
  readonly classes: readonly string[];
}

/** The splits by name alone: a million files are listed in a second, since none of them is looked at. */
export interface ListedFiles extends DataSplits<FileList>, LeftOut {
  /** As in {@link ImageList}. */
  readonly classes: readonly string[];
}

/** A split as it lies in the data folder. */
interface ClassFolders {
  readonly folder: string;
  readonly classes: readonly string[];
  /** The name of each class's folder as it is spelled there: archives unpacked on macOS may spell é as e and an accent (NFD). */
  readonly spelled: ReadonlyMap<string, string>;
  /** Names that lie beside the class folders. */
  readonly others: readonly string[];
}

/** The images of a folder that is not divided into splits. */
export interface UndividedFiles {
  readonly classes: readonly string[];
  readonly files: FileList;
  readonly passedOver: PassedOver;
}

/** Number of files or folders that are looked at at the same time. */
const parallel = 64;
const splitNames = ["train", "test", "val"] as const;
/** Lists in the place of class folders (csv-list.ts): these two, and one that there may be. */
export const listNames: readonly string[] = ["train.csv", "test.csv"];
export const validationList = "val.csv";
/** What others call "val". */
const namesOfVal = ["valid", "validation"];
/** Number of folders that are named where some are passed over. */
const mostFolders = 5;
/** What to do where a split really has no image of a class. */
const lists =
  "add images of it, or name all in train.csv and test.csv with a classes.txt, where a split may lack a class";

/** True if there is a `train` folder with a folder in it. */
export async function isImageFolder(dataDir: string): Promise<boolean> {
  return (await visibleIn(join(dataDir, "train"))).folders.length > 0;
}

/**
 * Lists the splits, files sorted by name within each class. Hidden files are skipped; other extensions, too, and counted.
 * @throws input: no `train`, no test split, class folders that differ or are empty
 */
export async function listFiles(dataDir: string): Promise<ListedFiles> {
  const found = await findSplits(dataDir);
  const { classes } = found.train;
  if (classes.length === 0) {
    throw fault("input", {
      where: found.train.folder,
      rule: "must hold one folder per class",
      next: "check --data_dir",
    });
  }
  checkSameClasses(splitsOf(found));
  const faults: Fault[] = [];
  const passedOver = new Map<string, number>();
  const splits = await mapSplits(found, ({ folder, spelled, others }) => {
    const folders = classes.map((name) => spelled.get(name)!);
    for (const name of others) passOver(passedOver, name, besideClasses);
    return listSplit({ dataDir, split: basename(folder), folders }, { faults, passedOver });
  });
  if (faults.length > 0) throw fault("input", faults);
  const counts = passedOver.size === 0 ? undefined : Object.fromEntries(passedOver);
  const { folders, others } = await besideSplits(dataDir);
  return { classes, passedOver: counts, otherFolders: folders, warnings: strayLists(others), ...splits };
}

/** Lists that are not read, since one of the two that there must be is not there. */
function strayLists(files: readonly string[]): readonly string[] | undefined {
  const found = [...listNames, validationList].filter((name) => files.includes(name)).sort();
  if (found.length === 0 || listNames.every((name) => found.includes(name))) return undefined;
  return [`warning: passed over: ${found.join(", ")}; lists are read where ${listNames.join(" and ")} are both there`];
}

const besideClasses = " beside the class folders";

/** A line each: what was passed over among the images, "passed over: 12 .bmp, 1 .txt; …", and beside the splits; warnings. */
export function leftOutTexts({ passedOver = {}, otherFolders = [], warnings = [] }: LeftOut): string[] {
  const files = passedOverText(passedOver, "images lie in class folders and end in");
  return [files, otherFoldersText(otherFolders), ...warnings].filter((text) => text !== undefined);
}

function otherFoldersText(folders: readonly string[]): string | undefined {
  if (folders.length === 0) return undefined;
  const shown = folders.slice(0, mostFolders).map((name) => `${name}/`);
  const more = folders.length > mostFolders ? [`${folders.length - mostFolders} others`] : [];
  const named = new Intl.ListFormat("en-GB").format([...shown, ...more]);
  const meant = folders.find((name) => namesOfVal.includes(name));
  const next = meant === undefined ? "" : `; to choose by the images in ${meant}/, call it val/`;
  return `passed over beside train/: ${named}; images lie in train/, test/ and val/${next}`;
}

/** True if there are two folders or more with an image in them, as of classes, and none is a split. */
export async function isUndivided(dataDir: string): Promise<boolean> {
  return listUndivided(dataDir).then(
    () => true,
    () => false,
  );
}

/**
 * Lists the images of a folder of class folders that is not divided into splits, sorted by name within each class.
 * @throws input: fewer than two class folders; one that is empty, or looks like a split
 */
export async function listUndivided(dataDir: string): Promise<UndividedFiles> {
  const visible = await visibleIn(dataDir);
  const { classes, spelled } = classesOf(visible.folders, dataDir);
  const split = splitNames.find((name) => spelled.has(name));
  if (split !== undefined) {
    const rule = "must be a folder of class folders that is not divided yet";
    throw fault("input", { where: dataDir, rule, got: `a folder ${split}/`, next: "use it as it is: --data_dir" });
  }
  if (classes.length < 2) {
    const rule = "must hold one folder for each of two classes or more";
    const next =
      "put the images of each class into a folder of its own, <class>/…, and give the folder that holds these";
    throw fault("input", { where: dataDir, rule, got: `${classes.length} folders`, next });
  }
  const faults: Fault[] = [];
  const folders = classes.map((name) => spelled.get(name)!);
  const passedOver = new Map<string, number>();
  for (const name of visible.others) passOver(passedOver, name, besideClasses);
  const files = await listSplit({ dataDir, split: "", folders }, { faults, passedOver });
  if (faults.length > 0) throw fault("input", faults);
  return { classes, files, passedOver: Object.fromEntries(passedOver) };
}

/** As {@link listFiles}, and looks at each file. */
export async function listImages(dataDir: string): Promise<ImageList> {
  return lookAt(await listFiles(dataDir));
}

export async function lookAt({
  classes,
  passedOver,
  otherFolders,
  warnings,
  ...splits
}: ListedFiles): Promise<ImageList> {
  return { classes, passedOver, otherFolders, warnings, ...(await mapSplits(splits, lookAtSplit)) };
}

async function findSplits(dataDir: string): Promise<DataSplits<ClassFolders>> {
  const look = async (name: string): Promise<ClassFolders> => {
    const folder = join(dataDir, name);
    const { folders, others } = await visibleIn(folder);
    return { folder, others, ...classesOf(folders, folder) };
  };
  const train = await look("train");
  // Without the first of the two, the second is what there is to test on.
  const [test, val] = [await look("test"), await look("val")].filter(({ classes }) => classes.length > 0);
  if (test !== undefined) return { train, test, val };
  const meant = (await besideSplits(dataDir)).folders?.find((name) => namesOfVal.includes(name));
  throw fault("input", {
    where: dataDir,
    rule: "must hold test images in test/<class>/ or val/<class>/",
    ...(meant !== undefined && { got: `${meant}/`, next: `rename it to val/` }),
  });
}

/** Names of the folders beside the splits, undefined where there are none, and of the files there. */
async function besideSplits(dataDir: string): Promise<{ folders: string[] | undefined; others: readonly string[] }> {
  const splits: readonly string[] = splitNames;
  const { folders, others } = await visibleIn(dataDir);
  const beside = folders.filter((name) => !splits.includes(name));
  return { folders: beside.length === 0 ? undefined : beside.sort(), others };
}

/** @throws input: two folders of one class, which look alike in any list of them */
function classesOf(folders: readonly string[], where: string): Pick<ClassFolders, "classes" | "spelled"> {
  const spelled = new Map<string, string>();
  for (const folder of folders) {
    const name = folder.normalize("NFC");
    if (spelled.has(name)) {
      const rule = "must have one folder for each class";
      const got = `two spellings of ${name}, with composed characters (NFC) and without (NFD)`;
      throw fault("input", { where, rule, got, next: "move the images of both into one" });
    }
    spelled.set(name, folder);
  }
  return { classes: [...spelled.keys()].sort(), spelled };
}

/** The folders in a folder and the other names there, hidden ones left out; none of either where it is not there. */
async function visibleIn(folder: string): Promise<{ readonly folders: string[]; readonly others: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw fault("system", { where: folder, rule: "must be readable", got: error.message }, error);
  });
  const [folders, others]: [string[], string[]] = [[], []];
  for (const entry of entries.filter(({ name }) => !name.startsWith("."))) {
    // A link, or one of a file system that does not say, is what it leads to.
    const found = entry.isFile() ? entry : await stat(join(folder, entry.name)).catch(() => undefined);
    (found?.isDirectory() ? folders : others).push(entry.name);
  }
  return { folders, others };
}

function checkSameClasses(splits: readonly ClassFolders[]): void {
  const all = [...new Set(splits.flatMap(({ classes }) => classes))].sort();
  const names = new Intl.ListFormat("en-GB").format(splits.map(({ folder }) => basename(folder)));
  const faults = splits.flatMap(({ folder, classes }): Fault[] => {
    const own = new Set(classes);
    const missing = all.filter((name) => !own.has(name));
    if (missing.length === 0) return [];
    return [
      {
        where: folder,
        rule: `${names} must have the same classes`,
        got: `no folder for ${missing.join(", ")}`,
        next: lists,
      },
    ];
  });
  if (faults.length > 0) throw fault("input", faults);
}

/**
 * @param folders of the classes, in their order
 * @param found gets what is wrong and what is passed over
 */
async function listSplit(
  { dataDir, split, folders }: { dataDir: string; split: string; folders: readonly string[] },
  { faults, passedOver }: { faults: Fault[]; passedOver: Map<string, number> },
): Promise<FileList> {
  const parts: FileList[] = [];
  const read = async (name: string) => ({ name, files: await readdir(join(dataDir, split, name)) });
  for await (const { name, files } of inOrder(folders, parallel, read)) {
    const visible = files.filter((file) => !file.startsWith("."));
    const kept = visible.filter(isImageName).sort();
    for (const other of visible.filter((file) => !isImageName(file))) passOver(passedOver, other);
    if (kept.length === 0) {
      const rule = `must hold at least one image (${imageEndings})`;
      const where = join(dataDir, split, name);
      faults.push({ where, rule, got: `${visible.length} other files or folders`, next: lists });
    }
    const names = kept.map((file) => join(split, name, file));
    parts.push(FileList.of(dataDir, names, new Int32Array(kept.length).fill(parts.length)));
  }
  return FileList.concat(dataDir, parts);
}

async function lookAtSplit(files: FileList): Promise<ListedImage[]> {
  const look = async (index: number): Promise<ListedImage> => {
    const low = files.low && (await lookAtFile(files.low.path(index)));
    return { ...(await lookAtFile(files.path(index))), label: files.labels[index], low };
  };
  const images: ListedImage[] = [];
  for await (const image of inOrder(files.labels.keys(), parallel, look)) images.push(image);
  return images;
}

async function lookAtFile(path: string): Promise<ListedFile> {
  const found = await stat(path).catch(() => undefined);
  return { path, size: found?.size, modifiedMs: found?.mtimeMs };
}
