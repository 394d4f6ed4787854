/**
 * Zip archives whose entries are stored, not compressed, which is how PyTorch writes its files: an entry read is a view of
 * the archive's bytes, so none can unpack to more than the file holds. Compressed and encrypted entries are refused.
 * Source: PKWARE's APPNOTE.TXT, sections 4.3 (records) and 4.5.3 (the 64-bit extra field).
 */

import { fault, type PatchDropError } from "../errors.ts";
import { crc32 } from "./crc32.ts";

const signatures = { local: 0x04034b50, entry: 0x02014b50, end: 0x06054b50, end64: 0x06064b50, locator64: 0x07064b50 };
/** Bytes of each record without its names, extra fields and comments. */
const lengths = { local: 30, entry: 46, end: 22, end64: 56, locator64: 20 };
const maxCommentBytes = 0xffff;
/** In a field of 32 bits: the value is in the 64-bit extra field. */
const elsewhere = 0xffffffff;
const extraField64 = 1;
/** Bit 0 of an entry's flags. */
const encrypted = 1;
const namesAreUtf8 = 0x0800;

/** The entries by name, as views of `bytes`; `where` names the archive in errors. Throws "input". */
export function readStoredZip(bytes: Uint8Array, where: string): Map<string, Uint8Array> {
  const archive = new Archive(bytes, where);
  const entries = new Map<string, Uint8Array>();
  let unpacked = 0;
  for (const entry of archive.directory()) {
    unpacked += entry.bytes;
    if (unpacked > bytes.length) throw archive.malformed("entries must not share their bytes", entry.name);
    if (entries.has(entry.name)) throw archive.malformed("each entry must have a name of its own", entry.name);
    entries.set(entry.name, archive.content(entry));
  }
  return entries;
}

interface Entry {
  readonly name: string;
  readonly flags: number;
  readonly method: number;
  readonly checksum: number;
  readonly packedBytes: number;
  readonly bytes: number;
  /** Where its local header lies. */
  readonly offset: number;
}

class Archive {
  readonly #bytes: Uint8Array;
  readonly #where: string;

  constructor(bytes: Uint8Array, where: string) {
    this.#bytes = bytes;
    this.#where = where;
  }

  malformed(rule: string, got?: unknown): PatchDropError {
    return fault("input", { where: this.#where, rule, got, next: "is the file whole?" });
  }

  /** What the central directory lists. */
  *directory(): Generator<Entry> {
    const { count, start } = this.#end();
    let offset = start;
    for (let i = 0; i < count; i++) {
      const { entry, next } = this.#entry(offset);
      yield entry;
      offset = next;
    }
  }

  /** The content of a stored entry, whose local header must agree with the directory. */
  content({ name, flags, method, checksum, packedBytes, bytes, offset }: Entry): Uint8Array {
    if (method !== 0 || (flags & encrypted) !== 0 || packedBytes !== bytes) {
      throw this.malformed("every entry must be stored, neither compressed nor encrypted, as torch.save does", name);
    }
    const local = this.#record("local", offset);
    const nameStart = offset + lengths.local;
    const nameBytes = local.getUint16(26, true);
    if (this.#text(nameStart, nameBytes) !== name) {
      throw this.malformed("an entry's name must be the same in the directory and in its header", name);
    }
    const content = this.#view(nameStart + nameBytes + local.getUint16(28, true), bytes);
    // Zero: torch.save was told not to compute any.
    if (checksum !== 0 && crc32(content) !== checksum)
      throw this.malformed("every entry must match its checksum", name);
    return content;
  }

  /** How many entries the directory has, and where it starts: from the record at the file's end. */
  #end(): { count: number; start: number } {
    const offset = this.#endOffset();
    const locator = offset - lengths.locator64;
    if (locator >= 0 && this.#uint32(locator) === signatures.locator64) {
      const end64 = this.#record("end64", this.#integer64(this.#record("locator64", locator), 8));
      return { count: this.#integer64(end64, 32), start: this.#integer64(end64, 48) };
    }
    const end = this.#record("end", offset);
    return { count: end.getUint16(10, true), start: end.getUint32(16, true) };
  }

  /** The end record lies as far from the file's end as its comment is long. */
  #endOffset(): number {
    const last = this.#bytes.length - lengths.end;
    for (let offset = last; offset >= Math.max(0, last - maxCommentBytes); offset--) {
      if (this.#uint32(offset) !== signatures.end) continue;
      if (offset + this.#record("end", offset).getUint16(20, true) === last) return offset;
    }
    throw this.malformed("a zip archive must end with its directory");
  }

  #entry(offset: number): { entry: Entry; next: number } {
    const record = this.#record("entry", offset);
    const nameBytes = record.getUint16(28, true);
    const extraBytes = record.getUint16(30, true);
    const extraStart = offset + lengths.entry + nameBytes;
    // The fields that are too small for their values, in the order in which the extra field holds them.
    const [bytes, packedBytes, local] = this.#wide(
      [record.getUint32(24, true), record.getUint32(20, true), record.getUint32(42, true)],
      this.#view(extraStart, extraBytes),
    );
    const entry = {
      name: this.#text(offset + lengths.entry, nameBytes),
      flags: record.getUint16(8, true),
      method: record.getUint16(10, true),
      checksum: record.getUint32(16, true),
      packedBytes,
      bytes,
      offset: local,
    };
    return { entry, next: extraStart + extraBytes + record.getUint16(32, true) };
  }

  #wide(fields: readonly number[], extra: Uint8Array): number[] {
    if (!fields.includes(elsewhere)) return [...fields];
    const view = viewOf(extra);
    for (let at = 0; at + 4 <= extra.length; at += 4 + view.getUint16(at + 2, true)) {
      if (view.getUint16(at, true) !== extraField64) continue;
      let next = at + 4;
      return fields.map((field) => {
        if (field !== elsewhere) return field;
        if (next + 8 > extra.length) throw this.malformed("an entry's 64-bit sizes must be there");
        next += 8;
        return this.#integer64(view, next - 8);
      });
    }
    throw this.malformed("an entry's 64-bit sizes must be there");
  }

  #record(kind: keyof typeof signatures, offset: number): DataView {
    const record = viewOf(this.#view(offset, lengths[kind]));
    const found = record.getUint32(0, true);
    if (found !== signatures[kind]) throw this.malformed(`a zip record must start at byte ${offset}`);
    return record;
  }

  /** A number that must lie within the file, as every size, offset and count does. */
  #integer64(view: DataView, offset: number): number {
    const value = view.getBigUint64(offset, true);
    if (value > this.#bytes.length) throw this.malformed("a zip archive's numbers must lie within it", value);
    return Number(value);
  }

  #uint32(offset: number): number {
    return viewOf(this.#view(offset, 4)).getUint32(0, true);
  }

  #text(offset: number, length: number): string {
    return new TextDecoder().decode(this.#view(offset, length));
  }

  #view(offset: number, length: number): Uint8Array {
    if (offset < 0 || offset + length > this.#bytes.length) {
      throw this.malformed(`${length} bytes must lie at byte ${offset}`, `${this.#bytes.length} bytes in all`);
    }
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + offset, length);
  }
}

/** Each entry's content starts at a multiple of this many bytes, as in PyTorch's files. */
const alignment = 64;
/** The extra field with which PyTorch pads a local header. */
const paddingField = 0x4246;

/** An archive of the entries, in their order. Throws "resource" for more than 4 GiB. */
export function writeStoredZip(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [name, content] of entries) {
    const path = new TextEncoder().encode(name);
    const unpadded = offset + lengths.local + path.length + 4;
    const padding = new Uint8Array(4 + ((alignment - (unpadded % alignment)) % alignment));
    viewOf(padding).setUint16(0, paddingField, true);
    viewOf(padding).setUint16(2, padding.length - 4, true);
    const common = commonFields(path, content);
    parts.push(localHeader(common, padding), path, padding, content);
    directory.push(directoryEntry(common, offset), path);
    offset = unpadded - 4 + padding.length + content.length;
  }
  const directoryBytes = total(directory);
  if (offset + directoryBytes >= elsewhere) {
    throw fault("resource", { where: "zip archive", rule: "must have less than 4 GiB", got: offset });
  }
  return concat([...parts, ...directory, endRecord(entries.size, directoryBytes, offset)]);
}

/** What local header and directory say alike: version, flags, method 0, time, date, checksum, sizes, the name's length. */
function commonFields(path: Uint8Array, content: Uint8Array): Uint8Array {
  const fields = new Uint8Array(24);
  const view = viewOf(fields);
  view.setUint16(0, 20, true);
  view.setUint16(2, namesAreUtf8, true);
  view.setUint32(10, crc32(content), true);
  view.setUint32(14, content.length, true);
  view.setUint32(18, content.length, true);
  view.setUint16(22, path.length, true);
  return fields;
}

function localHeader(common: Uint8Array, extra: Uint8Array): Uint8Array {
  const header = new Uint8Array(lengths.local);
  viewOf(header).setUint32(0, signatures.local, true);
  header.set(common, 4);
  viewOf(header).setUint16(28, extra.length, true);
  return header;
}

function directoryEntry(common: Uint8Array, offset: number): Uint8Array {
  const entry = new Uint8Array(lengths.entry);
  viewOf(entry).setUint32(0, signatures.entry, true);
  entry.set(common, 6);
  viewOf(entry).setUint32(42, offset, true);
  return entry;
}

function endRecord(count: number, directoryBytes: number, directoryStart: number): Uint8Array {
  const end = new Uint8Array(lengths.end);
  const view = viewOf(end);
  view.setUint32(0, signatures.end, true);
  view.setUint16(8, count, true);
  view.setUint16(10, count, true);
  view.setUint32(12, directoryBytes, true);
  view.setUint32(16, directoryStart, true);
  return end;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

function total(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(total(parts));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
