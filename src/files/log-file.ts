/** A file that only grows: lines or records appended whole, cut back when an append fails or a run is resumed. */

import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync } from "node:fs";
import { writeAll } from "../utils/write-all.ts";
import { systemFault } from "./atomic.ts";

export class LogFile {
  readonly path: string;
  readonly #file: number;
  #length: number;

  /** Opens the file at its end, or makes it. Throws "system". */
  constructor(path: string) {
    this.path = path;
    try {
      this.#file = openSync(path, "a");
      this.#length = fstatSync(this.#file).size;
    } catch (error) {
      throw systemFault("could not be opened", path, 0, error);
    }
  }

  /** In bytes. */
  get length(): number {
    return this.#length;
  }

  /** Appends all of `bytes`. Throws "system", and then leaves the file as it was. */
  append(bytes: Uint8Array): void {
    try {
      writeAll(this.#file, bytes);
      this.#length += bytes.byteLength;
    } catch (error) {
      try {
        ftruncateSync(this.#file, this.#length);
      } catch {} // the failed write is what the user must hear about
      throw systemFault("could not be written", this.path, bytes.byteLength, error);
    }
  }

  /** Forces what was appended to the disk. Throws "system". */
  sync(): void {
    try {
      fsyncSync(this.#file);
    } catch (error) {
      throw systemFault("could not be written", this.path, 0, error);
    }
  }

  /** Throws "system". */
  close(): void {
    try {
      closeSync(this.#file);
    } catch (error) {
      throw systemFault("could not be written", this.path, 0, error);
    }
  }
}

/** Cuts a file to its first `length` bytes; false if it has fewer. Throws "system". */
export function cutFile(path: string, length: number): boolean {
  let file: number | undefined;
  try {
    file = openSync(path, "r+");
    if (fstatSync(file).size < length) return false;
    ftruncateSync(file, length);
    fsyncSync(file);
    return true;
  } catch (error) {
    throw systemFault("could not be cut", path, 0, error);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
