/**
 * Reads bytes from front to back; every length is checked against the bytes that are left before anything is made of it.
 */

import { fault, type PatchDropError } from "../errors.ts";

export class ByteReader {
  /** Names the file in errors. */
  readonly where: string;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(bytes: Uint8Array, where: string) {
    this.where = where;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  /** The next `length` bytes, as a view: never a Buffer, whose `slice` would not copy. */
  take(length: number): Uint8Array {
    const start = this.#advance(length);
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + start, length);
  }

  uint8(): number {
    return this.#view.getUint8(this.#advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#advance(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#advance(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#advance(4), true);
  }

  /** A length of 8 bytes: refused where it counts more bytes than are left. */
  length64(): number {
    const length = this.#view.getBigUint64(this.#advance(8), true);
    if (length > this.remaining) throw this.#tooShort(length);
    return Number(length);
  }

  float64BigEndian(): number {
    return this.#view.getFloat64(this.#advance(8), false);
  }

  /** The bytes up to the next newline, which is skipped. */
  line(): Uint8Array {
    const end = this.#bytes.indexOf(0x0a, this.#offset);
    if (end < 0) throw this.malformed("the line must end");
    const line = this.#bytes.subarray(this.#offset, end);
    this.#offset = end + 1;
    return line;
  }

  /** An error of kind "input" that names the byte that is read next. */
  malformed(rule: string, got?: unknown): PatchDropError {
    return fault("input", { where: `${this.where}: byte ${this.#offset}`, rule, got });
  }

  #advance(length: number): number {
    if (length > this.remaining) throw this.#tooShort(length);
    this.#offset += length;
    return this.#offset - length;
  }

  #tooShort(length: number | bigint): PatchDropError {
    return this.malformed(`${length} more bytes must follow`, `${this.remaining}; is the file whole?`);
  }
}
