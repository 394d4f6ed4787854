/** Builds small stand-ins for libtorch: folders that pass every check that is made without loading. */
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

export const suffix = process.platform === "darwin" ? ".dylib" : ".so";

export interface ElfOptions {
  /** e_machine: 62 x86-64, 183 AArch64. */
  machine?: number;
  needed?: readonly string[];
  runpath?: string;
}

const ownMachine = process.arch === "arm64" ? 183 : 62;

/**
 * A minimal ELF-64 shared object: one loaded segment that spans the file, and a dynamic section. Its version field is 0,
 * so that a loader that is asked to load it refuses.
 */
export function elf({ machine = ownMachine, needed = [], runpath }: ElfOptions = {}): Buffer {
  const names = ["", ...needed, ...(runpath === undefined ? [] : [runpath])].map((name) => Buffer.from(`${name}\0`));
  const strings = Buffer.concat(names);
  const offsetOf = (index: number) => names.slice(0, index).reduce((sum, { length }) => sum + length, 0);
  const headers = 64 + 2 * 56;
  const entries: [tag: number, value: number][] = [
    ...needed.map((_, i): [number, number] => [1, offsetOf(i + 1)]),
    ...(runpath === undefined ? [] : [[29, offsetOf(needed.length + 1)] as [number, number]]),
    [5, headers],
    [10, strings.length],
    [0, 0],
  ];
  const dynamicAt = headers + strings.length;
  const size = dynamicAt + entries.length * 16;
  const file = Buffer.alloc(size);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  file.writeUInt16LE(3, 16);
  file.writeUInt16LE(machine, 18);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(2, 56);
  writeSegment(file, 64, { type: 1, offset: 0, length: size });
  writeSegment(file, 120, { type: 2, offset: dynamicAt, length: entries.length * 16 });
  strings.copy(file, headers);
  entries.forEach(([tag, value], i) => {
    file.writeBigUInt64LE(BigInt(tag), dynamicAt + 16 * i);
    file.writeBigUInt64LE(BigInt(value), dynamicAt + 16 * i + 8);
  });
  return file;
}

/** Program header; addresses equal offsets. */
function writeSegment(
  file: Buffer,
  at: number,
  { type, offset, length }: { type: number; offset: number; length: number },
) {
  file.writeUInt32LE(type, at);
  file.writeBigUInt64LE(BigInt(offset), at + 8);
  file.writeBigUInt64LE(BigInt(offset), at + 16);
  file.writeBigUInt64LE(BigInt(length), at + 32);
}

/** A minimal Mach-O dylib with one LC_SEGMENT_64 that spans the file. */
export function machO(arch: "arm64" | "x64" = process.arch === "arm64" ? "arm64" : "x64"): Buffer {
  const file = Buffer.alloc(32 + 72 + 16);
  file.writeUInt32LE(0xfeedfacf, 0);
  file.writeUInt32LE(arch === "arm64" ? 0x0100000c : 0x01000007, 4);
  file.writeUInt32LE(6, 12);
  file.writeUInt32LE(1, 16);
  file.writeUInt32LE(72, 20);
  file.writeUInt32LE(0x19, 32);
  file.writeUInt32LE(72, 36);
  file.writeBigUInt64LE(BigInt(file.length), 32 + 48);
  return file;
}

const ownLibrary = () => (process.platform === "darwin" ? machO() : elf());

export interface FakeOptions {
  version?: string;
  /** "wheel": version.py, as the `torch` package; "archive": build-version, as `libtorch`. */
  layout?: "wheel" | "archive";
  cuda?: boolean;
  /** Replaces libtorch_cpu's bytes. */
  cpu?: Buffer;
}

/** The files of a fake libtorch, by path below its root. */
export function fakeFiles({
  version = "2.15.0",
  layout = "wheel",
  cuda = false,
  cpu,
}: FakeOptions = {}): Map<string, Buffer> {
  const library = ownLibrary();
  const files = new Map([
    [`lib/libc10${suffix}`, library],
    [`lib/libtorch_cpu${suffix}`, cpu ?? library],
  ]);
  if (cuda) for (const name of ["libc10_cuda", "libtorch_cuda"]) files.set(`lib/${name}${suffix}`, library);
  if (layout === "archive") files.set("build-version", Buffer.from(`${version}\n`));
  else
    files.set(
      "version.py",
      Buffer.from(`__all__ = ['__version__']\n__version__ = '${version}'\ncuda: Optional[str] = None\n`),
    );
  return files;
}

/** Writes a fake libtorch into `root` and returns `root`. */
export function writeFake(root: string, options?: FakeOptions): string {
  for (const [name, bytes] of fakeFiles(options)) writeFileAt(path.join(root, name), bytes);
  return root;
}

export function writeFileAt(file: string, bytes: string | Uint8Array): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes);
}

/** A virtual environment whose `python3` is the given shell script. */
export function fakePython(folder: string, script: string): string {
  const file = path.join(folder, "bin", "python3");
  writeFileAt(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return folder;
}

/** The platform part of a cache folder's name. */
export const platform = `${process.platform}-${process.arch}`;
