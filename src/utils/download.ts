/**
 * Downloads one file over HTTP(S): continues what an earlier attempt left in `<path>.part`, checks size and checksum,
 * and only then renames the file.
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { fault, PatchDropError } from "../errors.ts";
import {
  type Answer,
  ask,
  ConnectionError,
  changeOf,
  checkAddress,
  type FileVersion,
  type GaveUp,
  isIdentified,
  type Pace,
  persist,
  rangeOf,
  strongTag,
  versionOf,
} from "./http.ts";
import { makeMissing } from "./make-missing.ts";

export interface DownloadProgress {
  /** Bytes in the file, including those of an earlier attempt. */
  received: number;
  /** Bytes of the whole file, if the server or the caller knows. */
  total: number | undefined;
}

export interface DownloadOptions {
  url: string;
  /** Where the file goes; its folder is made, and `<path>.part` holds what has come so far. */
  path: string;
  /** Expected checksums in hex, either or both; only the beginning if no more is known. */
  sha256?: string | undefined;
  md5?: string;
  /** Expected length in bytes. */
  size?: number;
  onProgress?: (progress: DownloadProgress) => void;
  /** Give up on a connection that is silent for this long. */
  timeoutMs?: number;
  /** The least that is put up with. */
  pace?: Pace;
}

/** Give up after this many connections in a row that brought no new byte. */
const vainRequests = 3;
const pauseMs = 200;

/**
 * Downloads a file, unless one with the expected checksum and size is already there.
 * @throws input: the server refuses, or the bytes are not the expected ones; system: network or disk
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  const part = `${options.path}.part`;
  if ((await sizeOf(options.path)) !== undefined && (await mismatch(options, options.path)) === undefined) return;
  checkAddress(options.url);
  try {
    makeMissing(dirname(options.path));
    const resumed = ((await sizeOf(part)) ?? 0) > 0;
    await fetchAll(options, part);
    let wrong = await mismatch(options, part);
    if (wrong !== undefined && resumed) {
      // What was there may have been the beginning of another file: once more, from the first byte.
      await rm(part, { force: true });
      await fetchAll(options, part);
      wrong = await mismatch(options, part);
    }
    if (wrong !== undefined) {
      await rm(part, { force: true });
      throw fault("input", {
        where: options.url,
        ...wrong,
        next: "nothing was kept; try again or give another address",
      });
    }
    await rm(versionPath(part), { force: true });
    await rename(part, options.path);
    await syncFolder(dirname(options.path));
  } catch (error) {
    throw error instanceof PatchDropError ? error : diskFault(options.path, error);
  }
}

/** Fetches until the whole file is in `part`. */
async function fetchAll(options: DownloadOptions, part: string): Promise<void> {
  const known = isChecked(options) ? undefined : await keptVersion(part);
  // Without a checksum nobody would notice that the rest is another file's.
  if (known === undefined && !isChecked(options)) await rm(part, { force: true });
  const version: Version = { known };
  return persist(() => fetchRest(options, part, version), {
    received: async () => (await sizeOf(part)) ?? 0,
    vainRequests,
    pauseMs,
    pace: options.pace,
    gaveUp: (error, why) => connectionFault(options, part, error, why),
  });
}

function isChecked({ sha256, md5 }: DownloadOptions): boolean {
  return sha256 !== undefined || md5 !== undefined;
}

/** The version of the file that the bytes in `part` belong to, as far as it is known. */
interface Version {
  known: FileVersion | undefined;
}

/** Says beside a part which version of the file it is of, for the next run. */
const versionPath = (part: string) => `${part}.version`;
const versionSchema = z.object({
  etag: z.string().nullable(),
  lastModified: z.string().nullable(),
  size: z.number().nullable(),
});

/** The version that an earlier run's part is of; undefined unless a change of the file would show. */
async function keptVersion(part: string): Promise<FileVersion | undefined> {
  try {
    const version = versionSchema.parse(JSON.parse(await readFile(versionPath(part), "utf8")));
    return isIdentified(version) ? version : undefined;
  } catch {
    return undefined;
  }
}

/** One connection: asks for the bytes that `part` lacks and appends them. */
async function fetchRest(options: DownloadOptions, part: string, version: Version): Promise<void> {
  const { url, timeoutMs, pace } = options;
  const have = (await sizeOf(part)) ?? 0;
  if (have > 0 && have === options.size) return;
  const asked = {
    ...{ url, where: url, start: have, timeoutMs, pace, statuses: [416] },
    ifRange: have > 0 && version.known !== undefined ? strongTag(version.known) : undefined,
    next: "check the address, or give another one",
  };
  await ask(asked, async (answer) => {
    const { response } = answer;
    if (response.status === 416) {
      // The part is as long as the file, or longer: the length that the server states tells, or else the checksum.
      if (lengthFromRange(response) !== have) throw await startOver(part, "no bytes after the ones that are here");
      return;
    }
    const start = startOf(options, response, have);
    const now = versionOf(response);
    if (start > 0 && version.known !== undefined && changeOf(version.known, now) !== undefined) {
      throw await startOver(part, "another file than before");
    }
    version.known = now;
    if (start === 0 && !isChecked(options)) await writeFile(versionPath(part), JSON.stringify(now));
    await append(options, part, { start, answer });
  });
}

/** Removes what is there. @returns the error that leads to another attempt */
async function startOver(part: string, found: string): Promise<ConnectionError> {
  await rm(part, { force: true });
  return new ConnectionError(`the server has ${found}`);
}

/** At which byte the answer begins: where it was asked to, or at 0 if the server sends the whole file. */
function startOf({ url }: DownloadOptions, response: Response, have: number): number {
  if (response.status === 200) return 0;
  if (rangeOf(response)?.start === have) return have;
  const got = response.headers.get("content-range");
  throw fault("input", { where: url, rule: `must continue at byte ${have}`, got });
}

/** Total length of the file in the answer `416 Range Not Satisfiable`: `Content-Range: bytes *\/1234`. */
function lengthFromRange(response: Response): number {
  return Number(/^bytes \*\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
}

function checkTotal({ url, size }: DownloadOptions, total: number | undefined): void {
  if (size === undefined || total === size) return;
  throw fault("input", {
    where: url,
    rule: `must have ${size} bytes`,
    got: total,
    next: "give the address of the right file",
  });
}

/** Writes the answer's body after the first `start` bytes of `part`. */
async function append(
  options: DownloadOptions,
  part: string,
  { start, answer }: { start: number; answer: Answer },
): Promise<void> {
  const length = lengthOf(answer.response) ?? (options.size === undefined ? undefined : options.size - start);
  const total = length === undefined ? undefined : start + length;
  checkTotal(options, total);
  const file = await open(part, start === 0 ? "w" : "a");
  let received = start;
  try {
    for await (const bytes of answer.chunks(length)) {
      await writeAll(file, bytes);
      received += bytes.length;
      options.onProgress?.({ received, total });
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

function lengthOf({ headers }: Response): number | undefined {
  const length = Number(headers.get("content-length") ?? Number.NaN);
  return Number.isSafeInteger(length) ? length : undefined;
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written)).bytesWritten;
  }
}

/** The first expectation that a file does not meet, if any. */
async function mismatch(options: DownloadOptions, path: string): Promise<{ rule: string; got: unknown } | undefined> {
  const size = await sizeOf(path);
  if (options.size !== undefined && size !== options.size) {
    return { rule: `must have ${options.size} bytes`, got: size };
  }
  for (const algorithm of ["sha256", "md5"] as const) {
    const expected = options[algorithm]?.toLowerCase();
    if (expected === undefined) continue;
    const got = await checksumOf(path, algorithm);
    if (!got.startsWith(expected)) return { rule: `must have the ${algorithm} checksum ${expected}`, got };
  }
  return undefined;
}

/** @returns hex digits of a file's checksum */
export async function checksumOf(path: string, algorithm: "sha256" | "md5"): Promise<string> {
  const hash = createHash(algorithm);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Uint8Array);
  return hash.digest("hex");
}

async function sizeOf(path: string): Promise<number | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw diskFault(path, error);
  });
  return found?.size;
}

/** Makes the rename itself durable; a file system without folder handles (Windows) has nothing to sync. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

async function connectionFault(
  options: DownloadOptions,
  part: string,
  error: ConnectionError,
  why: GaveUp,
): Promise<PatchDropError> {
  const goesOn = isChecked(options) || (await keptVersion(part)) !== undefined;
  const kept = goesOn ? ((await sizeOf(part)) ?? 0) : 0;
  return fault(
    "system",
    {
      where: options.url,
      rule: `must be downloaded completely${why === "too slow" ? ", and not so slowly" : ""}`,
      got: error.message,
      next: kept > 0 ? `run the command again to continue after ${kept} bytes` : "check the network and the address",
    },
    error,
  );
}

function diskFault(path: string, error: unknown): PatchDropError {
  const got = error instanceof Error ? error.message : error;
  return fault(
    "system",
    { where: path, rule: "must be writable", got, next: "free space or choose another folder" },
    error,
  );
}
