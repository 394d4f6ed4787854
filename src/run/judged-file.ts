/**
 * What a frozen classifier said of the images of an epoch (`judged.bin` in a run folder), so that a later epoch, which goes through
 * the same images under the same masks, need not ask it again. Records have one size and a place each: the file is written and read
 * a batch at a time, in any order, and memory does not grow with the data set.
 *
 *     record of image i of epoch e, at byte (e · N + i) · 4 (C + 1):   C float32 | CRC-32, uint32   (little endian)
 *
 * The CRC is of what was judged and how, of e, i and the numbers. A record that is not whole, or another run's, is as good as none: what it
 * would say is found out again.
 */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { crc32 } from "../formats/crc32.ts";

export const judgedName = "judged.bin";

/** Some images of an epoch, one after another in its order. */
export interface EpochPart {
  readonly epoch: number;
  /** Position of the first. */
  readonly first: number;
  readonly count: number;
}

export class JudgedFile {
  readonly path: string;
  readonly #images: number;
  readonly #numbers: number;
  /** What of the CRC comes first. */
  readonly #identity: number;
  #file: number | undefined;

  /**
   * @param images N, of an epoch
   * @param numbers C, said of each image
   * @param identity of what is judged and how: other texts, other records
   */
  constructor(
    folder: string,
    { images, numbers, identity }: { readonly images: number; readonly numbers: number; readonly identity: string },
  ) {
    this.path = join(folder, judgedName);
    this.#images = images;
    this.#numbers = numbers;
    this.#identity = crc32(new TextEncoder().encode(identity));
  }

  /** What was said of the images, [count × C]; undefined unless it is there for all of them. @throws system */
  read(part: EpochPart): Float32Array | undefined {
    const bytes = this.#bytes(part);
    if (this.#each("read", (file) => readSync(file, bytes, 0, bytes.length, this.#offset(part))) < bytes.length) return;
    const said = new Float32Array(part.count * this.#numbers);
    for (let i = 0; i < part.count; i++) {
      const record = this.#record(bytes, i);
      if (record.getUint32(4 * this.#numbers, true) !== this.#checksum(record, part.epoch, part.first + i)) return;
      for (let n = 0; n < this.#numbers; n++) said[i * this.#numbers + n] = record.getFloat32(4 * n, true);
    }
    return said;
  }

  /** @param said [count × C] @throws system */
  write(part: EpochPart, said: Float32Array): void {
    const bytes = this.#bytes(part);
    for (let i = 0; i < part.count; i++) {
      const record = this.#record(bytes, i);
      for (let n = 0; n < this.#numbers; n++) record.setFloat32(4 * n, said[i * this.#numbers + n], true);
      record.setUint32(4 * this.#numbers, this.#checksum(record, part.epoch, part.first + i), true);
    }
    this.#each("written", (file) => writeSync(file, bytes, 0, bytes.length, this.#offset(part)));
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #each(what: "read" | "written", use: (file: number) => number): number {
    const file = this.#opened();
    try {
      return use(file);
    } catch (error) {
      throw systemFault(`could not be ${what}`, this.path, 0, error);
    }
  }

  /** The folder of a run is made after what the run learns, so that the file is opened when it is first used. */
  #opened(): number {
    if (this.#file !== undefined) return this.#file;
    const file = this.#open();
    if (!fstatSync(file).isFile()) {
      closeSync(file);
      throw this.#noFile();
    }
    this.#file = file;
    return file;
  }

  #open(): number {
    try {
      return openSync(this.path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ELOOP" || code === "EISDIR") throw this.#noFile(error);
      throw systemFault("could not be opened", this.path, 0, error);
    }
  }

  #noFile(error?: unknown): PatchDropError {
    const next = "remove it: what it would hold is found out again";
    return fault("system", { where: this.path, rule: "must be an ordinary file", next }, error);
  }

  get #recordBytes(): number {
    return 4 * (this.#numbers + 1);
  }

  #bytes({ count }: EpochPart): Uint8Array {
    return new Uint8Array(count * this.#recordBytes);
  }

  #offset({ epoch, first }: EpochPart): number {
    return (epoch * this.#images + first) * this.#recordBytes;
  }

  #record({ buffer }: Uint8Array, i: number): DataView {
    return new DataView(buffer, i * this.#recordBytes, this.#recordBytes);
  }

  /** Of a record's numbers at its place, so that one that was moved is not taken for another. */
  #checksum({ buffer, byteOffset }: DataView, epoch: number, image: number): number {
    const numbers = new Uint8Array(buffer, byteOffset, 4 * this.#numbers);
    return crc32(Buffer.concat([new Uint8Array(Uint32Array.of(this.#identity, epoch, image).buffer), numbers]));
  }
}
