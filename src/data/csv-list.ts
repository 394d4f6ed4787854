/**
 * Which images lists name: `train.csv` and `test.csv` with the columns label and location, in the data folder or in `fMoW/`
 * below it, as the authors' code reads them, and a `val.csv` beside them, if there is one. Gives what class folders give
 * (image-list.ts). The lists are parsed as streams; a location may not lead out of the data folder unless that is allowed
 * (links within it are followed). A column low names, for each image, another picture of the same ground: a pair.
 */

import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, extname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { CsvError, type Info, parse } from "csv-parse";
import { type ErrorKind, type Fault, fault } from "../errors.ts";
import { type DataSplits, mapSplits, splitsOf } from "./dataset.ts";
import type { DatasetReader } from "./dataset-reader.ts";
import { firstOf } from "./dataset-rules.ts";
import { fmowCategories } from "./fmow/categories.ts";
import { openListed, pack, withReports } from "./image-folder.ts";
import { type ImageList, type ListedFile, type ListedImage, listNames, validationList } from "./image-list.ts";

export interface CsvListOptions {
  /** Whether locations may lead out of the data folder. */
  allowOutside?: boolean;
}

const fmowFolder = "fMoW";
const mostListed = 10;
/** Bytes of a line: a path has at most 4096 on Linux. */
const longestLine = 1 << 16;
/** Number of files whose size and time are looked up at the same time. */
const statBatch = 256;

export const csvReader: DatasetReader = {
  files: { words: `lists (${listNames.join(" and ")})`, lieIn: isCsvList },
  list: async (dataDir) => pack(await listCsv(dataDir), dataDir),
  open: async (options) => openListed(await listCsv(options.dataDir), withReports(options)),
};

/** True if the lists of training and test are there. */
export async function isCsvList(dataDir: string): Promise<boolean> {
  return (await findLists(dataDir)) !== undefined;
}

/**
 * Lists the splits in the order of their lines. The classes are the lines of a `classes.txt` beside the lists, or fMoW's
 * 62 in a folder named fMoW; otherwise they are the labels from 0 to the largest, and each must occur.
 * @throws input: lists that are not there or not as above, with line and column, or that give an image two labels; unsafe: a
 *   location outside
 */
export async function listCsv(dataDir: string, { allowOutside = false }: CsvListOptions = {}): Promise<ImageList> {
  const folder = await findLists(dataDir);
  if (folder === undefined) {
    const rule = `must hold train.csv and test.csv, or ${fmowFolder}/ with both`;
    throw fault("input", { where: dataDir, rule, next: "check --data_dir" });
  }
  const named = await namedClasses(folder);
  const lists = await listsIn(folder);
  const lines = new Lines({ roots: [folder, dataDir], inside: allowOutside ? undefined : dataDir, classes: named });
  const splits = await mapSplits(lists, (list) => lines.read(list));
  lines.throwFaults();
  refuseHalfPaired(lists, lines);
  const classes = named ?? countedClasses(folder, splitsOf(splits).flat());
  const images = await mapSplits(splits, findImages);
  refuseContradictions(splitsOf(splits).flat(), splitsOf(images).flat());
  const warnings = [...unlearnable(lists.train, images.train, classes), ...sharedImages(lists, images)];
  return { classes, warnings: warnings.length === 0 ? undefined : warnings, ...images };
}

/** Said where training images lack a class. */
function unlearnable(list: string, images: readonly ListedImage[], classes: readonly string[]): readonly string[] {
  const labels = new Set(images.map(({ label }) => label));
  const lacking = classes.filter((_, label) => !labels.has(label));
  if (lacking.length === 0) return [];
  return [`warning: ${list} has no image of ${lacking.length} of the ${classes.length} classes: ${firstOf(lacking)}`];
}

/**
 * Said where two lists name the same image: what is chosen or tested by it was learned from.
 * @throws input: all test images are training images
 */
function sharedImages(lists: DataSplits<string>, images: DataSplits<readonly ListedImage[]>): readonly string[] {
  const files = splitsOf(lists);
  const paths = splitsOf(images).map((split) => new Set(split.map(({ path }) => path)));
  const pairs = files.flatMap((_, b) =>
    files.slice(0, b).map((_, a) => ({ a, b, count: [...paths[b]].filter((path) => paths[a].has(path)).length })),
  );
  const [train, test] = files;
  const [{ count: learned }] = pairs;
  if (learned === paths[1].size) {
    const next = "list images that were held out: `patchdrop data split` divides a folder of class folders";
    throw fault("input", { where: test, rule: `must list images that ${train} does not, but all are in both`, next });
  }
  return pairs.flatMap(({ a, b, count }) => {
    const of = `${count} of the ${paths[b].size} images of ${files[b]}`;
    return count === 0 ? [] : [`warning: ${of} stand in ${basename(files[a])} too`];
  });
}

/**
 * One of two labels of an image is wrong, and no reader can say which.
 * @param images those of the lines
 * @throws input: the two lines of each such image
 */
function refuseContradictions(lines: readonly Line[], images: readonly ListedImage[]): void {
  const firsts = new Map<string, Line>();
  const faults: Fault[] = [];
  for (const [i, line] of lines.entries()) {
    const { path } = images[i];
    const first = firsts.get(path) ?? line;
    firsts.set(path, first);
    if (first.label === line.label || faults.length === mostListed) continue;
    const rule = `must give ${path} the label ${first.label}, as ${placeOf(first)} does`;
    faults.push({ where: placeOf(line), rule, got: line.label, next: "correct one of the two lines" });
  }
  if (faults.length > 0) throw fault("input", faults);
}

function placeOf({ file, number }: Line): string {
  return `${file}:${number}`;
}

async function listsIn(folder: string): Promise<DataSplits<string>> {
  const [train, test] = listNames.map((name) => join(folder, name));
  const val = join(folder, validationList);
  return { train, test, val: (await isFile(val)) ? val : undefined };
}

async function findLists(dataDir: string): Promise<string | undefined> {
  for (const folder of [dataDir, join(dataDir, fmowFolder)]) {
    const found = await Promise.all(listNames.map((name) => isFile(join(folder, name))));
    if (found.every(Boolean)) return folder;
  }
  return undefined;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

async function namedClasses(folder: string): Promise<readonly string[] | undefined> {
  const file = join(folder, "classes.txt");
  if (!(await isFile(file))) return basename(resolve(folder)) === fmowFolder ? fmowCategories : undefined;
  const names = (await readFile(file, "utf8"))
    .replace(/^\ufeff/, "")
    .trim()
    .split(/\r?\n/);
  const empty = names.findIndex((name) => name.trim() === "");
  if (empty !== -1) throw fault("input", { where: `${file}:${empty + 1}`, rule: "must name a class" });
  // As the names of class folders (image-list.ts).
  const classes = names.map((name) => name.trim().normalize("NFC"));
  const twin = classes.findIndex((name, i) => classes.indexOf(name) !== i);
  if (twin === -1) return classes;
  const rule = `must name another class than line ${classes.indexOf(classes[twin]) + 1}`;
  throw fault("input", {
    where: `${file}:${twin + 1}`,
    rule,
    got: classes[twin],
    next: "give each label its own name",
  });
}

/** A line of a list: the image is the first of the places at which there is a file. */
interface Line {
  readonly file: string;
  /** Counted from 1. */
  readonly number: number;
  readonly label: number;
  readonly places: readonly string[];
  /** Those of the low picture, where there is a column for it. */
  readonly low: readonly string[] | undefined;
}

interface Rules {
  /** What a location may be relative to, the first choice first. */
  readonly roots: readonly string[];
  /** The folder that must not be left. */
  readonly inside: string | undefined;
  readonly classes: readonly string[] | undefined;
}

/** Where the fields stand, and how many there are in a line. */
interface Columns {
  readonly label: number;
  readonly location: number;
  /** Of the low picture; undefined where the list has no such column. */
  readonly low?: number | undefined;
  readonly count: number;
}

/** Reads lists, and keeps what is wrong with them, to report it together. */
class Lines {
  readonly #rules: Rules;
  readonly #faults: Fault[] = [];
  readonly #paired = new Set<string>();
  #kind: ErrorKind = "input";

  constructor(rules: Rules) {
    this.#rules = rules;
  }

  async read(file: string): Promise<readonly Line[]> {
    const lines: Line[] = [];
    const before = this.#faults.length;
    let columns: Columns | undefined;
    for await (const { record, number } of parseCsv(file)) {
      const isFirst = columns === undefined;
      const where = `${file}:${number}`;
      columns ??= findColumns(record, where);
      if (columns.low !== undefined) this.#paired.add(file);
      if (isFirst && isHeader(record)) continue;
      const line = this.#line(record, columns, where);
      if (line !== undefined) lines.push({ file, number, ...line });
    }
    if (lines.length === 0 && this.#faults.length === before) {
      this.#refuse({ where: file, rule: "must list at least one image" });
    }
    return lines;
  }

  /** Whether a list that was read has a column for the low picture. */
  isPaired(file: string): boolean {
    return this.#paired.has(file);
  }

  /** Throws if anything was wrong. */
  throwFaults(): void {
    if (this.#faults.length > 0) throw fault(this.#kind, this.#faults);
  }

  #refuse(what: Fault, kind: ErrorKind = "input"): undefined {
    if (this.#faults.length === mostListed) return;
    const isLast = this.#faults.length === mostListed - 1;
    this.#faults.push(isLast ? { ...what, next: "there may be more: only the first ten are listed" } : what);
    if (kind === "unsafe") this.#kind = kind;
  }

  #line(record: readonly string[], columns: Columns, where: string): Omit<Line, "file" | "number"> | undefined {
    if (record.length !== columns.count) {
      return this.#refuse({ where, rule: `must have ${columns.count} columns`, got: record.length });
    }
    const label = this.#label(record[columns.label], `${where}, column ${columns.label + 1} (label)`);
    const placesIn = (column: number, name: string) =>
      this.#places(record[column], `${where}, column ${column + 1} (${name})`);
    const places = placesIn(columns.location, "location");
    const low = columns.low === undefined ? undefined : placesIn(columns.low, "low");
    const isWhole = columns.low === undefined || low !== undefined;
    return label === undefined || places === undefined || !isWhole ? undefined : { label, places, low };
  }

  #label(text: string, where: string): number | undefined {
    const label = isWholeNumber(text) ? Number(text) : Number.NaN;
    const count = this.#rules.classes?.length ?? Number.MAX_SAFE_INTEGER;
    if (label < count) return label;
    const range = this.#rules.classes === undefined ? "" : ` from 0 to ${count - 1}`;
    return this.#refuse({ where, rule: `must be a whole number${range}`, got: text || "nothing" });
  }

  #places(location: string, where: string): readonly string[] | undefined {
    if (location.trim() === "" || location.includes("\0")) {
      return this.#refuse({ where, rule: "must be the path of an image", got: location || "nothing" });
    }
    const { roots, inside } = this.#rules;
    const spelled = spellings(location);
    const places = [...new Set(spelled.flatMap((one) => roots.map((root) => resolve(root, one))))];
    const allowed = inside === undefined ? places : places.filter((place) => isWithin(inside, place));
    if (allowed.length > 0) return allowed;
    return this.#refuse({ where, rule: "must not lead out of the data folder", got: location }, "unsafe");
  }
}

/**
 * What a location may stand for, as it is written first: without the space that follows a comma, with the backslashes of
 * Windows as slashes, with its accents composed or not (NFC, NFD), as the disk has them.
 */
function spellings(location: string): readonly string[] {
  const written = [location, location.trim()];
  const slashed = [...written, ...written.map((one) => one.replaceAll("\\", "/"))];
  return [...slashed, ...slashed.flatMap((one) => [one.normalize("NFC"), one.normalize("NFD")])];
}

/** The lines of a file as fields, and their numbers. Throws "input" with the line for what is not CSV. */
async function* parseCsv(
  file: string,
): AsyncGenerator<{ readonly record: readonly string[]; readonly number: number }> {
  const parser = parse({
    bom: true,
    info: true,
    relax_column_count: true,
    skip_empty_lines: true,
    max_record_size: longestLine,
  });
  const source = createReadStream(file).on("error", (error) => parser.destroy(error));
  try {
    for await (const { record, info } of source.pipe(parser) as AsyncIterable<{ record: string[]; info: Info }>) {
      yield { record, number: info.lines };
    }
  } catch (error) {
    const got = (error as Error).message;
    if (!(error instanceof CsvError)) throw fault("system", { where: file, rule: "must be readable", got }, error);
    throw fault("input", { where: `${file}:${error.lines}`, rule: "must be CSV", got }, error);
  } finally {
    source.destroy();
  }
}

/** What other programs put in the place of commas. */
const separators: Readonly<Record<string, string>> = { ";": "semicolons", "\t": "tabs" };

/** From the names in a header; without one, the label comes first. */
function findColumns(first: readonly string[], where: string): Columns {
  const [only] = first;
  const separator = first.length === 1 ? Object.keys(separators).find((one) => only.includes(one)) : undefined;
  if (separator !== undefined) {
    const rule = "must have its columns separated by commas";
    throw fault("input", { where, rule, got: separators[separator], next: "save the list with commas" });
  }
  const names = columnNames(first);
  if (!hasNames(names)) return { label: 0, location: 1, count: 2 };
  const [label, location, low] = ["label", "location", "low"].map((name) => names.indexOf(name));
  const found = { label, location, low: low === -1 ? undefined : low, count: names.length };
  if (label !== -1 && location !== -1) return found;
  throw fault("input", { where, rule: "must name the columns label and location", got: first.join(",") });
}

/** A first line is a header if it says so, or if it has neither a label nor the name of a file. */
function isHeader(first: readonly string[]): boolean {
  return hasNames(columnNames(first)) || (!isWholeNumber(first[0]) && extname(first[1] ?? "") === "");
}

function columnNames(first: readonly string[]): readonly string[] {
  return first.map((name) => name.trim().toLowerCase());
}

function hasNames(names: readonly string[]): boolean {
  return names.includes("label") || names.includes("location");
}

function isWholeNumber(text: string): boolean {
  return /^\s*\d+\s*$/.test(text);
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(resolve(folder), path);
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

/** @throws input: a list without a column for the low picture beside one that has it */
function refuseHalfPaired(lists: DataSplits<string>, lines: Lines): void {
  const files = splitsOf(lists);
  const paired = files.find((file) => lines.isPaired(file));
  const other = files.find((file) => !lines.isPaired(file));
  if (paired === undefined || other === undefined) return;
  const next = "give all lists the column, or none";
  throw fault("input", { where: other, rule: `must have a column low, as ${basename(paired)} has`, next });
}

/** One class for each label from 0 to the largest; fMoW's names if there are 62. */
function countedClasses(folder: string, lines: readonly Line[]): readonly string[] {
  const labels = new Set(lines.map(({ label }) => label));
  for (let label = 0; label < labels.size; label++) {
    if (labels.has(label)) continue;
    const rule = "must have every label from 0 to the largest";
    const next = "number the labels without gaps, or name the classes in classes.txt";
    throw fault("input", { where: folder, rule, got: `no ${label}`, next });
  }
  return labels.size === fmowCategories.length ? fmowCategories : Array.from(labels, (_, label) => String(label));
}

async function findImages(lines: readonly Line[]): Promise<readonly ListedImage[]> {
  const images: ListedImage[] = [];
  for (let start = 0; start < lines.length; start += statBatch) {
    images.push(...(await Promise.all(lines.slice(start, start + statBatch).map(findImage))));
  }
  return images;
}

async function findImage({ label, places, low }: Line): Promise<ListedImage> {
  return { ...(await findFile(places)), label, low: low && (await findFile(low)) };
}

async function findFile(places: readonly string[]): Promise<ListedFile> {
  for (const path of places) {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) return { path, size: found.size, modifiedMs: found.mtimeMs };
  }
  return { path: places[0], size: undefined, modifiedMs: undefined };
}
