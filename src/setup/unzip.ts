/**
 * Unpacks an untrusted zip archive: nothing is written outside the target, nothing is overwritten, links
 * may only name a neighbour, and before anything is written it is seen that the entries share no bytes, and how many they are.
 * Format: PKWARE APPNOTE.TXT, read by yauzl; Unix file types stand in the upper half of the external attributes.
 */
import { createWriteStream } from "node:fs";
import { symlink } from "node:fs/promises";
import path from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import yauzl, { type Entry, type ZipFile } from "yauzl";
import { fault, PatchDropError } from "../errors.ts";
import { crc32 } from "../formats/crc32.ts";
import { makeMissing } from "../utils/make-missing.ts";
import { requireSpace } from "./space.ts";

export interface UnzipOptions {
  maxEntries?: number;
  /** Limit on the unpacked size, in bytes. */
  maxBytes?: number;
  onProgress?: (done: number, total: number) => void;
}

interface NamedEntry {
  readonly name: string;
  readonly entry: Entry;
}

/**
 * Unpacks `archive` into the folder `target`, which must be empty or absent.
 * @throws kind "unsafe": a name or link that leads outside; "resource": over a limit; "input": not a whole zip archive;
 *   "system": disk.
 */
export async function unzip(archive: string, target: string, options: UnzipOptions = {}): Promise<void> {
  const { maxEntries = 100_000, maxBytes = 16 * 2 ** 30, onProgress } = options;
  try {
    // Names are decoded and checked here, so that a bad name is reported as such and not as a broken archive.
    const zip = await yauzl.openPromise(archive, { lazyEntries: true, autoClose: false, decodeStrings: false });
    try {
      if (zip.entryCount > maxEntries) throw tooLarge(archive, `${maxEntries} entries`, zip.entryCount);
      const entries = await listEntries(archive, zip);
      assertApart(archive, entries, zip.fileSize);
      const total = entries.reduce((sum, { entry }) => sum + entry.uncompressedSize, 0);
      const most = Math.min(maxBytes, mostRatio * zip.fileSize + slackBytes);
      if (total > most) throw tooLarge(archive, `${most} bytes when unpacked`, total);
      makeMissing(target);
      await requireSpace(target, total);
      let done = 0;
      for (const named of entries) {
        const onBytes = (bytes: number) => {
          done += bytes;
          onProgress?.(done, total);
        };
        await unpack({ archive, zip, target }, named, onBytes);
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    throw error instanceof PatchDropError ? error : unzipFault(archive, error);
  }
}

async function listEntries(archive: string, zip: ZipFile): Promise<NamedEntry[]> {
  const entries: NamedEntry[] = [];
  for await (const entry of zip.eachEntry()) {
    const extra = yauzl.parseExtraFields(entry.extraFieldRaw);
    const name = yauzl.getFileNameLowLevel(entry.generalPurposeBitFlag, entry.fileNameRaw, extra, true);
    const bad = yauzl.validateFileName(name) ?? (name === "" || name.includes("\0") ? "no file name" : undefined);
    if (bad !== undefined) {
      throw fault("unsafe", {
        where: archive,
        rule: "every entry must lie inside the archive",
        got: `${name} (${bad})`,
      });
    }
    entries.push({ name, entry });
  }
  return entries;
}

/** What an entry takes before its content, at least: the local header without its name. APPNOTE 4.3.7. */
const headerBytes = 30;
/** Deflate's best: 258 bytes for two bits, beside which an entry has a few bytes of its own. */
const bestDeflate = 1032;
/** Of a whole archive; PyTorch's is packed to a third or a quarter. */
const mostRatio = 100;
/** A small archive may hold little but zeros. */
const slackBytes = 2 ** 20;

/**
 * Entries that share their bytes unpack to any multiple of the archive (Fifield, "A better zip bomb", 2019).
 * @throws unsafe: such entries; input: one that lies beyond the file, or states more than its bytes can hold
 */
function assertApart(archive: string, entries: readonly NamedEntry[], fileBytes: number): void {
  let end = 0;
  const start = ({ entry }: NamedEntry) => entry.relativeOffsetOfLocalHeader;
  for (const { name, entry } of entries.toSorted((a, b) => start(a) - start(b))) {
    const { relativeOffsetOfLocalHeader: offset, fileNameRaw, compressedSize, uncompressedSize } = entry;
    if (offset < end) {
      throw fault("unsafe", { where: archive, rule: "entries must not share their bytes", got: name });
    }
    end = offset + headerBytes + fileNameRaw.length + compressedSize;
    if (end > fileBytes || uncompressedSize > bestDeflate * compressedSize + bestDeflate) {
      const rule = "no entry may state more bytes than the archive can hold";
      throw fault("input", { where: archive, rule, got: `${name}: ${uncompressedSize} from ${compressedSize}` });
    }
  }
}

/** Bits of a Unix file mode that tell its type. */
const fileType = { mask: 0o170000, none: 0, regular: 0o100000, folder: 0o040000, link: 0o120000 } as const;

async function unpack(
  { archive, zip, target }: { archive: string; zip: ZipFile; target: string },
  { name, entry }: NamedEntry,
  onBytes: (count: number) => void,
): Promise<void> {
  const place = path.join(target, name);
  const type = (entry.externalFileAttributes >>> 16) & fileType.mask;
  if (name.endsWith("/")) {
    makeMissing(place);
    return;
  }
  makeMissing(path.dirname(place));
  if (type === fileType.link) return unpackLink(archive, zip, { name, entry }, place);
  if (type !== fileType.regular && type !== fileType.none) {
    throw fault("unsafe", { where: archive, rule: "every entry must be a file, a folder or a link", got: name });
  }
  const checksum = new Checksum(onBytes);
  // "wx": a name that occurs twice must not overwrite, nor be written through a link that came first.
  await pipeline(await zip.openReadStreamPromise(entry), checksum, createWriteStream(place, { flags: "wx" }));
  if (!checksum.matches(entry.crc32)) {
    throw fault("input", {
      where: archive,
      rule: "every entry must match its checksum",
      got: name,
      next: "fetch it again",
    });
  }
}

/**
 * A link's target may only be a neighbour's name (`libfoo.so` → `libfoo.so.1`): a path with several steps may lead outside
 * through another link, which its text alone does not show.
 */
async function unpackLink(archive: string, zip: ZipFile, { name, entry }: NamedEntry, place: string): Promise<void> {
  if (entry.uncompressedSize > 255) throw badLink(archive, name);
  const chunks: Buffer[] = [];
  for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
  const to = Buffer.concat(chunks).toString("utf8");
  if (to === "" || to === "." || to === ".." || /[/\\\0]/.test(to)) throw badLink(archive, name);
  await symlink(to, place);
}

function badLink(archive: string, name: string): PatchDropError {
  return fault("unsafe", { where: archive, rule: "a link must name a file beside it", got: name });
}

function tooLarge(archive: string, limit: string, got: number): PatchDropError {
  return fault("resource", { where: archive, rule: `must have at most ${limit}`, got });
}

/** Passes bytes on, counting them and computing their CRC-32, which yauzl leaves to its callers. */
class Checksum extends Transform {
  #crc = 0;
  readonly #onBytes: (count: number) => void;

  constructor(onBytes: (count: number) => void) {
    super();
    this.#onBytes = onBytes;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: (error: null, chunk: Buffer) => void): void {
    this.#crc = crc32(chunk, this.#crc);
    this.#onBytes(chunk.length);
    done(null, chunk);
  }

  matches(expected: number): boolean {
    return this.#crc === expected;
  }
}

function unzipFault(archive: string, error: unknown): PatchDropError {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EEXIST") {
    return fault("input", { where: archive, rule: "must name each file once", got: message }, error);
  }
  // Failures of the file system carry the system call; the archive's own (yauzl, zlib) do not.
  const isDisk = error instanceof Error && "syscall" in error;
  const rule = isDisk ? "must be readable, and its contents writable" : "must be a whole zip archive";
  return fault(isDisk ? "system" : "input", { where: archive, rule, got: message }, error);
}
