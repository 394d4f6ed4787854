/** Reading a whole file. */
import { readFileSync } from "node:fs";
import { systemFault } from "./atomic.ts";

/** Throws "system" for a file that cannot be read, or is not there. */
export function readBytes(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw systemFault("could not be read", path, 0, error);
  }
}

/** Undefined where there is no such file. Throws "system" for one that cannot be read. */
export function readBytesIfAny(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw systemFault("could not be read", path, 0, error);
  }
}
