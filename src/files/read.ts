/** Reading a whole file, or its beginning. */
import { closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { systemFault } from "./atomic.ts";

/** Throws "system" for a file that cannot be read, or is not there. */
export function readBytes(path: string): Buffer {
  try {
    return readRegular(path);
  } catch (error) {
    throw systemFault("could not be read", path, 0, error);
  }
}

/** Undefined where there is no such file. Throws "system" for one that cannot be read. */
export function readBytesIfAny(path: string): Buffer | undefined {
  try {
    return readRegular(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw systemFault("could not be read", path, 0, error);
  }
}

/** Whether there is something of that name. Throws "system" where the disk does not say, which does not mean that there is not. */
export function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    throw systemFault("could not be read", path, 0, error);
  }
}

/** A pipe may never end, and a device never does. Throws what Node throws, and an Error for these. */
export function readRegular(path: string): Buffer {
  const found = statSync(path);
  if (!found.isFile() && !found.isDirectory()) throw new Error("neither a file nor a folder, but a pipe or a device");
  return readFileSync(path);
}

/** A file's first bytes, `count` at most. Throws what Node throws. */
export function readBeginning(path: string, count: number): Buffer {
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(count);
    return bytes.subarray(0, readSync(file, bytes, 0, count, 0));
  } finally {
    closeSync(file);
  }
}
