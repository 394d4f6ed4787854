/** A file whose bytes are read by ranges, wherever it is; and one on this machine. */

import { type FileHandle, open } from "node:fs/promises";
import { fault } from "../errors.ts";
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
  /** Exactly the bytes of a range that lies within the file. @throws input, system */
  fetch(range: ByteRange, purpose: Purpose): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** A file on this machine. If there is a ledger, reads count in it as requests. */
export class LocalFile implements ByteSource {
  readonly where: string;
  readonly size: number;
  readonly #file: FileHandle;
  readonly #ledger: Ledger | undefined;

  private constructor(where: string, size: number, file: FileHandle, ledger: Ledger | undefined) {
    this.where = where;
    this.size = size;
    this.#file = file;
    this.#ledger = ledger;
  }

  /** @throws input: no such file, or one that can't be read */
  static async open(path: string, ledger?: Ledger, where: string = path): Promise<LocalFile> {
    try {
      const file = await open(path, "r");
      return new LocalFile(where, (await file.stat()).size, file, ledger);
    } catch (error) {
      const got = (error as Error).message;
      throw fault("input", { where, rule: "must be an image file that can be read", got }, error);
    }
  }

  async fetch({ start, end }: ByteRange, purpose: Purpose): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    this.#ledger?.request(purpose);
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, start + done).catch((error) => {
        throw systemFault("could not be read", this.where, 0, error);
      });
      if (bytesRead === 0) {
        const rule = `must still have ${this.size} bytes`;
        throw fault("input", { where: this.where, rule, got: start + done, next: "did it change while it was read?" });
      }
      this.#ledger?.received(purpose, bytesRead);
      done += bytesRead;
    }
    return bytes;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
