/**
 * Files, folders and links that appear whole or not at all: written under a temporary name in the same folder, forced
 * to the disk, renamed, and the rename forced to the disk too. Whoever reads the final name never sees half of it,
 * wherever the writer was stopped, and what had that name before stays until the new one is complete.
 */

import { randomUUID } from "node:crypto";
import {
  accessSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fault, type PatchDropError } from "../errors.ts";
import { makeMissing, nearestExisting } from "../utils/make-missing.ts";
import { remedyFor } from "../utils/system-error.ts";
import { writeAll } from "../utils/write-all.ts";
import { hasEnded, ownerMark } from "./owner.ts";
import { isTooLong, placeBeside } from "./place-beside.ts";

/**
 * Begins the name of every temporary file; its process ends it. So what a crash left can be found, by whoever has the folder to
 * itself ({@link removeTemporaries}) and by whoever writes there next.
 */
export const temporaryPrefix = ".patchdrop-tmp-";
const ownMark = ownerMark();
/** Folders in which this process has looked for what others left. */
const lookedThrough = new Set<string>();

/** Writes a file, or replaces it. Throws "system" with the bytes needed and free, and then changes nothing. */
export function writeFileAtomic(path: string, bytes: Uint8Array): void {
  replace(path, bytes.byteLength, (temporary) => writeNew(temporary, bytes));
}

/** Writes a file if there is none of that name: true for one of several that try at once. Throws "system". */
export function createFileAtomic(path: string, bytes: Uint8Array): boolean {
  const temporary = temporaryName(path);
  try {
    writeNew(temporary, bytes);
    return linkNew(temporary, path);
  } catch (error) {
    throw systemFault("could not be written", path, bytes.byteLength, error);
  } finally {
    discard(temporary);
  }
}

/** Makes a folder and those above it, where they are missing, and their names durable. Throws "system". */
export function makeFolder(path: string): void {
  try {
    makeDurable(path);
  } catch (error) {
    throw systemFault("could not be made", path, 0, error);
  }
}

function makeDurable(path: string): void {
  for (const folder of makeMissing(path)) syncNameOf(folder);
}

/** A folder above that may be written but not read cannot be opened, and is left to the system. */
function syncNameOf(folder: string): void {
  try {
    syncFolder(dirname(folder));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EACCES") throw error;
  }
}

/** Throws "system" where a name is too long: for what gets it after long work, before that begins. */
export function assertNameFits(path: string, next = "give a shorter one"): void {
  if (!isTooLong(path)) return;
  throw fault("system", {
    where: path,
    rule: "is a longer name than the file system takes",
    next,
  });
}

/** Throws "usage" where the folder of `--out` exists, "system" where none can have that name. */
export function assertNew(out: string): void {
  assertNameFits(out);
  if (!existsSync(out)) return;
  throw fault("usage", { where: `--out ${out}`, rule: "must not exist yet", next: "give another folder" });
}

/** Throws "system" unless a file can be made at `path`: for what is written after long work, before that begins. */
export function assertWritable(path: string): void {
  assertNameFits(path);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found !== undefined && !found.isFile()) {
    const kind = found.isDirectory() ? "a folder" : "a pipe or a device";
    throw fault("system", { where: path, rule: `must not be ${kind}`, next: "give the name of a file" });
  }
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw systemFault("could not be written", path, 0, error);
  }
}

/**
 * Writes a new folder of files; `path` must not exist. `files` lists names and bytes in the order of writing. Throws
 * "system" with the bytes needed and free, and then leaves nothing.
 */
export function writeFolderAtomic(path: string, files: ReadonlyMap<string, Uint8Array>): void {
  const needed = [...files.values()].reduce((sum, bytes) => sum + bytes.byteLength, 0);
  replace(path, needed, (temporary) => {
    mkdirSync(temporary);
    for (const [name, bytes] of files) writeNew(join(temporary, name), bytes);
    syncFolder(temporary);
  });
}

/**
 * Makes a new folder whose files take a while: `make` fills a temporary one, which is renamed when it is complete.
 * `path` must not exist. Throws "system", and what `make` throws; then leaves nothing.
 */
export async function makeFolderAtomic(path: string, make: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = temporaryName(path);
  try {
    makeDurable(dirname(path));
    mkdirSync(temporary);
    await make(temporary);
    syncFolder(temporary);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    discard(temporary);
    throw (error as NodeJS.ErrnoException).syscall === undefined
      ? error
      : systemFault("could not be written", path, 0, error);
  }
}

/** Points the symbolic link `path` at `target` (relative to the link's folder), or makes it. Throws "system". */
export function linkAtomic(path: string, target: string): void {
  replace(path, 0, (temporary) => symlinkSync(target, temporary));
}

/** Removes a folder so that its name vanishes at once, not file by file. Throws "system". */
export function removeFolderAtomic(path: string): void {
  const temporary = temporaryName(path);
  try {
    renameSync(path, temporary);
    rmSync(temporary, { recursive: true, force: true });
  } catch (error) {
    throw systemFault("could not be removed", path, 0, error);
  }
}

/** Removes what stopped writers left in `folder`. Only for a folder that no other process writes to. */
export function removeTemporaries(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (name.startsWith(temporaryPrefix)) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/** An error of kind "system" that gives the reason, the bytes needed and the bytes free where `path` lies. */
export function systemFault(what: string, path: string, needed: number, error: unknown): PatchDropError {
  const message = error instanceof Error ? error.message : String(error);
  // The place is said already; what Node names may be a temporary file that nobody knows.
  const reason = message.replace(/ '[^']*'( -> '[^']*')?$/, "");
  if (!holdsFiles(dirname(path))) {
    const rule = `${what} (${reason}): it lies in a file system that holds no files`;
    return fault("system", { where: path, rule, next: "give a place on a disk" }, error);
  }
  const space = needed === 0 ? "" : `; ${needed} bytes needed, ${freeBytes(dirname(path))} free`;
  return fault("system", { where: path, rule: `${what} (${reason})${space}`, next: remedyFor(error) }, error);
}

/** Whether there is room for files at all where a folder is: /proc and its like have none. */
function holdsFiles(folder: string): boolean {
  try {
    return statfsSync(nearestExisting(folder)).blocks > 0;
  } catch {
    return true; // the failure itself says more
  }
}

/** Makes `path` by way of a temporary name, which is removed on failure. */
function replace(path: string, needed: number, make: (temporary: string) => void): void {
  const temporary = temporaryName(path);
  try {
    make(temporary);
    renameSync(temporary, path);
    syncFolder(dirname(path));
  } catch (error) {
    discard(temporary);
    throw systemFault("could not be written", path, needed, error);
  }
}

/** Gives a file a second name. False if that name is taken. */
function linkNew(file: string, name: string): boolean {
  try {
    linkSync(file, name);
    return true;
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case "EEXIST":
        // A server that was asked twice may say so although it has made the link: link(2).
        return (statSync(file, { throwIfNoEntry: false })?.nlink ?? 1) > 1;
      case "ENOENT":
        return false; // whoever holds the folder has removed the temporary file
      case "EPERM":
      case "ENOSYS":
      case "ENOTSUP":
        return copyNew(file, name);
      default:
        throw error;
    }
  }
}

/** For file systems without second names. The copy does not appear all at once, but only one is made. */
function copyNew(file: string, name: string): boolean {
  try {
    copyFileSync(file, name, constants.COPYFILE_EXCL);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/**
 * A new name beside `path`, which says whose it is. What processes that have ended left in that folder is removed first; of those
 * that live, or run elsewhere, nothing is.
 */
export function temporaryName(path: string): string {
  const folder = resolve(dirname(path));
  if (!lookedThrough.has(folder)) removeOrphans(folder);
  lookedThrough.add(folder);
  return placeBeside(path, temporaryPrefix, `-${ownMark}-${randomUUID().slice(0, 8)}`);
}

function removeOrphans(folder: string): void {
  try {
    for (const name of readdirSync(folder)) {
      const mark = name.startsWith(temporaryPrefix) ? /-([^-]+)-[0-9a-f]{8}$/.exec(name)?.[1] : undefined;
      if (mark !== undefined && hasEnded(mark)) discard(join(folder, name));
    }
  } catch {} // what is wrong with the folder shows when something is written there
}

function writeNew(path: string, bytes: Uint8Array): void {
  const file = openSync(path, "wx");
  try {
    writeAll(file, bytes);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes the names in a folder durable, not only the files that they name. Throws what Node throws. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** A failure to clean up matters less than the one being reported, and the prefix lets a later run clean up. */
function discard(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch {}
}

function freeBytes(folder: string): number | string {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return "an unknown number";
  }
}
