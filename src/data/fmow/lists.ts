/**
 * The lists that a crop run writes: `train.csv` and `test.csv` (label, location), `unlabelled.csv` (location) and
 * `skipped.csv` (file, reason), with `classes.txt` beside them. They grow under a temporary folder, row by row, and get
 * their names when all are complete.
 */

import { type FileHandle, open, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { csvLine } from "../csv-line.ts";
import { fmowCategories } from "./categories.ts";

const headers = {
  train: ["label", "location"],
  test: ["label", "location"],
  unlabelled: ["location"],
  skipped: ["file", "reason"],
} as const;

export type ListName = keyof typeof headers;
const listNames = Object.keys(headers) as ListName[];

export class CropLists {
  readonly #folder: string;
  readonly #files: ReadonlyMap<ListName, FileHandle>;

  private constructor(folder: string, files: ReadonlyMap<ListName, FileHandle>) {
    this.#folder = folder;
    this.#files = files;
  }

  /** Starts the lists in a folder that must exist; it must be on the disk that they will be moved to. */
  static async start(folder: string): Promise<CropLists> {
    const files = new Map<ListName, FileHandle>();
    for (const name of listNames) files.set(name, await open(join(folder, `${name}.csv`), "w"));
    const lists = new CropLists(folder, files);
    for (const name of listNames) await lists.add(name, headers[name]);
    return lists;
  }

  async add(name: ListName, fields: readonly (string | number)[]): Promise<void> {
    await this.#files.get(name)?.appendFile(csvLine(fields));
  }

  /** Moves all lists to where they are read from. */
  async publish(target: string): Promise<void> {
    for (const file of this.#files.values()) await file.sync();
    await writeFile(join(this.#folder, "classes.txt"), `${fmowCategories.join("\n")}\n`, { flush: true });
    for (const name of ["classes.txt", ...listNames.map((list) => `${list}.csv`)]) {
      await rename(join(this.#folder, name), join(target, name));
    }
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close();
  }
}
