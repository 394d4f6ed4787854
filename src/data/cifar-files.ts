/**
 * Where CIFAR's files lie: the official binary and Python layouts, as folders or as the archives they come in. Archives
 * are read in memory; nothing is unpacked. Source: https://www.cs.toronto.edu/~kriz/cifar.html
 */

import { createReadStream } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { type Extract, extract } from "tar-stream";
import { fault, PatchDropError } from "../errors.ts";

export type CifarName = "cifar10" | "cifar100";

export interface CifarLayout {
  readonly name: CifarName;
  readonly format: "binary" | "python";
  /** The folder within the official archive. */
  readonly folder: string;
  readonly archive: string;
  readonly train: readonly string[];
  readonly test: readonly string[];
}

const batches = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}`);

export const cifarLayouts: readonly CifarLayout[] = [
  {
    name: "cifar10",
    format: "binary",
    folder: "cifar-10-batches-bin",
    archive: "cifar-10-binary.tar.gz",
    train: batches.map((batch) => `${batch}.bin`),
    test: ["test_batch.bin"],
  },
  {
    name: "cifar10",
    format: "python",
    folder: "cifar-10-batches-py",
    archive: "cifar-10-python.tar.gz",
    train: batches,
    test: ["test_batch"],
  },
  {
    name: "cifar100",
    format: "binary",
    folder: "cifar-100-binary",
    archive: "cifar-100-binary.tar.gz",
    train: ["train.bin"],
    test: ["test.bin"],
  },
  {
    name: "cifar100",
    format: "python",
    folder: "cifar-100-python",
    archive: "cifar-100-python.tar.gz",
    train: ["train"],
    test: ["test"],
  },
];

/** A layout and where it was found. */
export interface CifarSource {
  readonly layout: CifarLayout;
  /** A folder that holds the layout's files, or an archive. */
  readonly path: string;
  readonly archived: boolean;
}

/** No official file has more than 184 MB; an archive that unpacks to more is not CIFAR. */
const largestFile = 200e6;
const largestArchive = 1e9;

/**
 * All copies of CIFAR at `dataDir`: its own files, the official folders in it, the archives in it, or it is an archive.
 * Folders come before archives.
 */
export async function findCifar(dataDir: string): Promise<CifarSource[]> {
  const folders: CifarSource[] = [];
  const archives: CifarSource[] = [];
  for (const layout of cifarLayouts) {
    for (const path of [dataDir, join(dataDir, layout.folder)]) {
      if (await holdsAny(path, layout)) folders.push({ layout, path, archived: false });
    }
    const archive = basename(dataDir) === layout.archive ? dataDir : join(dataDir, layout.archive);
    if ((await fileSize(archive)) !== undefined) archives.push({ layout, path: archive, archived: true });
  }
  return [...folders, ...archives];
}

async function holdsAny(folder: string, { train, test }: CifarLayout): Promise<boolean> {
  for (const file of [...train, ...test]) {
    if ((await fileSize(join(folder, file))) !== undefined) return true;
  }
  return false;
}

/** Bytes of a regular file; undefined where there is none (a folder does not count: class folders have a `train` too). */
async function fileSize(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? found.size : undefined;
}

/**
 * Hands each of the layout's files to `use`, with the name that errors give it, in no particular order.
 * @throws input: files missing or too large, an archive that is damaged
 */
export async function readCifarFiles(
  source: CifarSource,
  use: (file: string, where: string, bytes: Uint8Array) => void,
): Promise<void> {
  const wanted = new Set([...source.layout.train, ...source.layout.test]);
  const found = source.archived ? await readArchive(source, wanted, use) : await readFolder(source, wanted, use);
  const missing = [...wanted].filter((file) => !found.has(file));
  if (missing.length > 0) {
    const got = `${found.size} of them; missing: ${missing.join(", ")}`;
    throw fault("input", { where: source.path, rule: `must hold ${wanted.size} files`, got, next: "copy them all" });
  }
}

async function readFolder(
  { path }: CifarSource,
  wanted: ReadonlySet<string>,
  use: (file: string, where: string, bytes: Uint8Array) => void,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const file of wanted) {
    const where = join(path, file);
    const size = await fileSize(where);
    if (size === undefined) continue;
    checkSize(where, size);
    use(file, where, await read(where));
    found.add(file);
  }
  return found;
}

async function read(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw fault("system", { where: path, rule: "must be readable", got: (error as Error).message }, error);
  }
}

async function readArchive(
  { path, layout }: CifarSource,
  wanted: ReadonlySet<string>,
  use: (file: string, where: string, bytes: Uint8Array) => void,
): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  const collect = async (entries: AsyncIterable<Entry>): Promise<void> => {
    let total = 0;
    for await (const entry of entries) {
      const file = entry.header.name.replace(/^\.\//, "").replace(`${layout.folder}/`, "");
      const where = `${path}: ${entry.header.name}`;
      total += entry.header.size ?? 0;
      if (total > largestArchive) {
        throw fault("input", { where: path, rule: `must unpack to at most ${largestArchive} bytes`, got: total });
      }
      if (entry.header.type !== "file" || !wanted.has(file)) {
        entry.resume();
        continue;
      }
      if (found.has(file)) throw fault("input", { where, rule: "must be in the archive once" });
      checkSize(where, entry.header.size ?? 0);
      found.add(file);
      use(file, where, await bytesOf(entry));
    }
  };
  const tar = extract();
  const unpacked = pipeline(createReadStream(path), createGunzip(), tar);
  const results = await Promise.allSettled([collect(tar), unpacked]);
  const reasons = results.flatMap((result) => (result.status === "rejected" ? [result.reason as Error] : []));
  const ours = reasons.find((reason) => reason instanceof PatchDropError);
  if (ours !== undefined) throw ours;
  if (reasons.length > 0) {
    const rule = "must be a whole .tar.gz";
    throw fault("input", { where: path, rule, got: reasons[0].message, next: "download it again" }, reasons[0]);
  }
  return found;
}

/** A file in an archive: its header, and its bytes in chunks. */
type Entry = Extract extends AsyncIterable<infer Source> ? Source : never;

async function bytesOf(entry: Entry): Promise<Uint8Array> {
  const bytes = new Uint8Array(entry.header.size ?? 0);
  let length = 0;
  for await (const chunk of entry as AsyncIterable<Uint8Array>) {
    bytes.set(chunk, length); // tar-stream gives exactly `size` bytes
    length += chunk.length;
  }
  return bytes;
}

function checkSize(where: string, size: number): void {
  if (size <= largestFile) return;
  throw fault("input", { where, rule: `must have at most ${largestFile} bytes`, got: size, next: "is it CIFAR's?" });
}
