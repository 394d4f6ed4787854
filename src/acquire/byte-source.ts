/** A file whose bytes are read by ranges, wherever it is; and one on this machine. */

import type { BigIntStats } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";
import { fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import type { Ledger, Purpose } from "./ledger.ts";
import type { ByteRange } from "./plan.ts";

export interface ByteSource {
  /** Path or address, without what may be secret in it. */
  readonly where: string;
  /** In bytes. */
  readonly size: number;
  /** Bytes that came with opening, from the file's beginning. */
  readonly first?: Uint8Array;
  /** Exactly the bytes of a range that lies within the file. @throws input: also where the file has changed; system */
  fetch(range: ByteRange, purpose: Purpose): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** What tells two versions of a file apart, as far as the file system says it. */
export type FileStamp = Pick<BigIntStats, "dev" | "ino" | "size" | "mtimeNs">;

/** @throws input: the file was written to, or replaced, between the two looks */
export function mustBeSame(where: string, before: FileStamp, now: FileStamp): void {
  const keys = ["dev", "ino", "size", "mtimeNs"] as const;
  if (keys.every((key) => before[key] === now[key])) return;
  const changed = before.ino === now.ino && before.dev === now.dev ? "it was written to" : "it was replaced";
  const rule = "must not change while it is read";
  throw fault("input", { where, rule, got: changed, next: "run the command again when the file is complete" });
}

/**
 * Opens a file to be read. A pipe would hold up the thread that opens it until someone writes there, also past the end of the
 * command: nothing but a file is opened.
 * @throws input
 */
export async function openToRead(path: string, where: string = path): Promise<FileHandle> {
  try {
    if (!(await stat(path)).isFile()) throw new Error("not a file, but a folder, a pipe or a device");
    return await open(path, "r");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const got = code === "ENOENT" ? "no such file" : message;
    throw fault("input", { where, rule: "must be an image file that can be read", got }, error);
  }
}

/** A file on this machine. If there is a ledger, reads count in it as requests. */
export class LocalFile implements ByteSource {
  readonly where: string;
  readonly size: number;
  readonly #file: FileHandle;
  readonly #stamp: FileStamp;
  readonly #ledger: Ledger | undefined;

  private constructor(where: string, stamp: FileStamp, file: FileHandle, ledger: Ledger | undefined) {
    this.where = where;
    this.size = Number(stamp.size);
    this.#file = file;
    this.#stamp = stamp;
    this.#ledger = ledger;
  }

  /** @throws input: no such file, or one that can't be read */
  static async open(path: string, ledger?: Ledger, where: string = path): Promise<LocalFile> {
    const file = await openToRead(path, where);
    return new LocalFile(where, await file.stat({ bigint: true }), file, ledger);
  }

  async fetch({ start, end }: ByteRange, purpose: Purpose): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    this.#ledger?.request(purpose);
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, start + done).catch((error) => {
        throw systemFault("could not be read", this.where, 0, error);
      });
      if (bytesRead === 0) throw await this.#ended(start + done);
      this.#ledger?.received(purpose, bytesRead);
      done += bytesRead;
    }
    // A file that was written to before these bytes were read says so now. One that was renamed over is still the old one here.
    await this.#mustBeUnchanged();
    return bytes;
  }

  /** Bytes that were there when it was opened are not. */
  async #ended(at: number): Promise<PatchDropError> {
    await this.#mustBeUnchanged();
    return fault("input", { where: this.where, rule: `must have ${this.size} bytes`, got: at });
  }

  async #mustBeUnchanged(): Promise<void> {
    mustBeSame(this.where, this.#stamp, await this.#file.stat({ bigint: true }));
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
