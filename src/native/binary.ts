/**
 * What the headers of a shared library say without loading it: whether it is complete and for this processor, and which
 * libraries it needs. Loading a truncated file would end the process with a bus error, so the file is checked first.
 *
 * Sources: System V ABI (ELF-64 header, program headers, dynamic section), Apple's mach-o/loader.h and mach-o/fat.h.
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

/** What is wrong with a library file; the message is a half-sentence such as "is cut short". */
export class BadLibrary extends Error {}

export interface LibraryHeaders {
  /** Names of the libraries that it needs (ELF's DT_NEEDED); empty for Mach-O. */
  readonly needed: readonly string[];
  /** Folders in which the loader looks for them first, `$ORIGIN` not yet replaced (DT_RPATH or DT_RUNPATH). */
  readonly searchPath: readonly string[];
}

const noDependencies: LibraryHeaders = { needed: [], searchPath: [] };

/**
 * Reads a 64-bit shared library's headers.
 * @throws {BadLibrary} if the file is empty, cut short, not a shared library, or for another processor.
 */
export function readLibraryHeaders(file: string, arch: string = process.arch): LibraryHeaders {
  const fd = openSync(file, "r");
  try {
    const reader = new Reader(fd);
    if (reader.size === 0) throw new BadLibrary("is empty (half copied?)");
    const magic = reader.bytes(0, 4).readUInt32BE();
    if (magic === 0x7f454c46) return readElf(reader, arch);
    if (magic === 0xcffaedfe) return readMachO(reader, 0, reader.size, arch);
    if (magic === 0xcafebabe) return readUniversal(reader, arch);
    throw new BadLibrary("is not a shared library");
  } finally {
    closeSync(fd);
  }
}

/** Reads at absolute positions; what lies past the end of the file is an error, never zeros. */
class Reader {
  readonly #fd: number;
  readonly size: number;

  constructor(fd: number) {
    this.#fd = fd;
    this.size = fstatSync(fd).size;
  }

  bytes(offset: number, length: number): Buffer {
    this.mustHold(offset, length);
    const buffer = Buffer.alloc(length);
    if (readSync(this.#fd, buffer, 0, length, offset) !== length) throw new BadLibrary("cannot be read to its end");
    return buffer;
  }

  mustHold(offset: number, length: number, limit = this.size): void {
    // Offsets beyond 2^53 lose bits, but remain far beyond any file's size.
    if (offset + length > limit) throw new BadLibrary(`is cut short at ${this.size} bytes (half copied?)`);
  }
}

const elfMachines: Readonly<Record<string, number>> = { x64: 62, arm64: 183 };

function readElf(reader: Reader, arch: string): LibraryHeaders {
  const header = reader.bytes(0, 64);
  // Class 2: 64 bits; data 1: little-endian; type 3: shared object.
  if (header[4] !== 2 || header[5] !== 1 || header.readUInt16LE(16) !== 3) {
    throw new BadLibrary("is not a 64-bit shared library");
  }
  const machine = header.readUInt16LE(18);
  if (machine !== elfMachines[arch])
    throw new BadLibrary(`is for another processor (${elfName(machine)}, not ${arch})`);
  const segments = readSegments(reader, header);
  for (const { type, offset, fileSize } of segments) if (type === loadSegment) reader.mustHold(offset, fileSize);
  const dynamic = segments.find(({ type }) => type === dynamicSegment);
  return dynamic === undefined ? noDependencies : readDynamic(reader, dynamic, segments);
}

function elfName(machine: number): string {
  const known = Object.entries(elfMachines).find(([, value]) => value === machine);
  return known === undefined ? `ELF machine ${machine}` : known[0];
}

const loadSegment = 1;
const dynamicSegment = 2;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly fileSize: number;
}

function readSegments(reader: Reader, header: Buffer): Segment[] {
  const start = u64(header, 32);
  const entrySize = header.readUInt16LE(54);
  const count = header.readUInt16LE(56);
  if (entrySize !== 56) throw new BadLibrary("has program headers of an unknown size");
  const table = reader.bytes(start, entrySize * count);
  return Array.from({ length: count }, (_, i) => {
    const entry = table.subarray(i * entrySize);
    return { type: entry.readUInt32LE(0), offset: u64(entry, 8), address: u64(entry, 16), fileSize: u64(entry, 32) };
  });
}

/** Tags of the dynamic section's entries. */
const tag = { needed: 1, stringTable: 5, stringTableSize: 10, rpath: 15, runpath: 29 } as const;

/** Real dynamic sections and names are far shorter. */
const longestDynamic = 1 << 20;
const longestName = 4096;

function readDynamic(reader: Reader, dynamic: Segment, segments: readonly Segment[]): LibraryHeaders {
  if (dynamic.fileSize > longestDynamic) throw new BadLibrary("has a dynamic section that is too long");
  const section = reader.bytes(dynamic.offset, dynamic.fileSize);
  const values = new Map<number, number[]>();
  for (let at = 0; at + 16 <= section.length && u64(section, at) !== 0; at += 16) {
    const key = u64(section, at);
    const list = values.get(key);
    if (list === undefined) values.set(key, [u64(section, at + 8)]);
    else list.push(u64(section, at + 8));
  }
  const [address] = values.get(tag.stringTable) ?? [];
  const [size] = values.get(tag.stringTableSize) ?? [];
  if (address === undefined || size === undefined) return noDependencies;
  const home = segments.find((s) => s.type === loadSegment && address >= s.address && address < s.address + s.fileSize);
  if (home === undefined) throw new BadLibrary("has a name table outside its segments");
  const start = home.offset + address - home.address;
  reader.mustHold(start, size);
  const name = (offset: number) => readName(reader, start + offset, start + size);
  const searched = values.get(tag.runpath) ?? values.get(tag.rpath) ?? [];
  return {
    needed: (values.get(tag.needed) ?? []).map(name),
    searchPath: searched.flatMap((offset) => name(offset).split(":")),
  };
}

function readName(reader: Reader, start: number, end: number): string {
  const bytes = reader.bytes(start, Math.max(0, Math.min(longestName, end - start)));
  const stop = bytes.indexOf(0);
  if (stop < 0) throw new BadLibrary("has a name without an end");
  return bytes.toString("utf8", 0, stop);
}

/** A 64-bit field as a number: exact up to 2^53; beyond that, larger than any file. */
function u64(buffer: Buffer, offset: number): number {
  return Number(buffer.readBigUInt64LE(offset));
}

const machProcessors: Readonly<Record<string, number>> = { x64: 0x01000007, arm64: 0x0100000c };

/** A Mach-O image at `start`, of at most `length` bytes: the processor, and that each segment lies in the file. */
function readMachO(reader: Reader, start: number, length: number, arch: string): LibraryHeaders {
  const header = reader.bytes(start, 32);
  if (header.readUInt32LE(4) !== machProcessors[arch]) throw new BadLibrary(`is for another processor, not ${arch}`);
  const commands = reader.bytes(start + 32, header.readUInt32LE(20));
  for (let at = 0, left = header.readUInt32LE(16); left > 0; left--) {
    if (at + 8 > commands.length) throw new BadLibrary("has broken load commands");
    const size = commands.readUInt32LE(at + 4);
    if (size < 8 || at + size > commands.length) throw new BadLibrary("has broken load commands");
    // LC_SEGMENT_64: file offset at 40, length in the file at 48.
    if (commands.readUInt32LE(at) === 0x19 && size >= 72) {
      reader.mustHold(u64(commands, at + 40), u64(commands, at + 48), Math.min(length, reader.size - start));
    }
    at += size;
  }
  return noDependencies;
}

/** A universal file: big-endian table of images, one per processor. */
function readUniversal(reader: Reader, arch: string): LibraryHeaders {
  const count = reader.bytes(0, 8).readUInt32BE(4);
  if (count > 16) throw new BadLibrary("is not a shared library");
  const table = reader.bytes(8, count * 20);
  for (let at = 0; at < table.length; at += 20) {
    if (table.readUInt32BE(at) !== machProcessors[arch]) continue;
    const [start, length] = [table.readUInt32BE(at + 8), table.readUInt32BE(at + 12)];
    reader.mustHold(start, length);
    return readMachO(reader, start, length, arch);
  }
  throw new BadLibrary(`is for another processor, not ${arch}`);
}
