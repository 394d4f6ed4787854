/**
 * The files of a split, packed: their names as one run of bytes, where each begins, and their labels. A million names take
 * 50 MB this way; as objects, half a gigabyte. Says nothing about the files themselves: they have not been looked at.
 */

import { join } from "node:path";
import { sha256 } from "../utils/sha256.ts";

export class FileList {
  /** The folder that the names are relative to. */
  readonly root: string;
  /** [N] */
  readonly labels: Int32Array;
  /** Of pairs: the low picture of each. */
  readonly low: FileList | undefined;
  /** UTF-8, with a zero byte after each name. */
  readonly #names: Buffer;
  /** Where each name begins, and where one more would: [N + 1]. */
  readonly #starts: Uint32Array;

  private constructor(root: string, names: Buffer, starts: Uint32Array, labels: Int32Array, low?: FileList) {
    this.root = root;
    this.low = low;
    this.labels = labels;
    this.#names = names;
    this.#starts = starts;
  }

  static of(root: string, names: readonly string[], labels: Int32Array, low?: FileList): FileList {
    const starts = new Uint32Array(names.length + 1);
    for (const [index, name] of names.entries()) starts[index + 1] = starts[index] + Buffer.byteLength(name) + 1;
    return new FileList(root, Buffer.from(names.map((name) => `${name}\0`).join("")), starts, labels, low);
  }

  /** The lists one after the other, all of the same root: a large one is made of parts, whose names are then released. */
  static concat(root: string, parts: readonly FileList[]): FileList {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const starts = new Uint32Array(length + 1);
    const labels = new Int32Array(length);
    let count = 0;
    for (const part of parts) {
      const offset = starts[count];
      labels.set(part.labels, count);
      for (const [index, start] of part.#starts.entries()) starts[count + index] = offset + start;
      count += part.length;
    }
    return new FileList(root, Buffer.concat(parts.map((part) => part.#names)), starts, labels);
  }

  get length(): number {
    return this.labels.length;
  }

  /** Relative to the root. */
  name(index: number): string {
    return this.#names.toString("utf8", this.#starts[index], this.#starts[index + 1] - 1);
  }

  path(index: number): string {
    return join(this.root, this.name(index));
  }

  /** SHA-256 (hex) over names and labels: the same wherever the folder lies. */
  digest(): string {
    return sha256(this.#names, this.labels, ...(this.low === undefined ? [] : [this.low.#names]));
  }
}
