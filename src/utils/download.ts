/**
 * Downloads one file over HTTP(S): continues what an earlier attempt left in `<path>.part`, checks size and checksum,
 * and only then gives the file its name. Range requests: RFC 9110, section 14.
 */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, mkdir, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fault, PatchDropError } from "../errors.ts";
import { Watchdog } from "./watchdog.ts";

export interface DownloadProgress {
  /** Bytes that lie in the file, those of an earlier attempt included. */
  received: number;
  /** Bytes of the whole file, when the server or the caller knows. */
  total: number | undefined;
}

export interface DownloadOptions {
  url: string;
  /** Where the file goes; its folder is made, and `<path>.part` holds what came so far. */
  path: string;
  /** Expected checksum in hex, of any of the two kinds; its beginning where no more is known. */
  sha256?: string;
  md5?: string;
  /** Expected length in bytes. */
  size?: number;
  onProgress?: (progress: DownloadProgress) => void;
  /** Give up on a connection that brings nothing for so long. */
  timeoutMs?: number;
}

/** Give up after so many connections in a row that brought no new byte. */
const vainAttempts = 3;
const pauseMs = 200;

/**
 * Downloads a file, unless one that meets checksum and size is there already.
 * @throws input: the server refuses, or the bytes are not the expected ones; system: network or disk
 */
export async function downloadFile(options: DownloadOptions): Promise<void> {
  const part = `${options.path}.part`;
  if ((await sizeOf(options.path)) !== undefined && (await mismatch(options, options.path)) === undefined) return;
  try {
    await mkdir(dirname(options.path), { recursive: true });
    const resumed = ((await sizeOf(part)) ?? 0) > 0;
    await fetchAll(options, part);
    let wrong = await mismatch(options, part);
    if (wrong !== undefined && resumed) {
      // What lay there may have been another file's beginning: once more, from the first byte.
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
    await rename(part, options.path);
    await syncFolder(dirname(options.path));
  } catch (error) {
    throw error instanceof PatchDropError ? error : diskFault(options.path, error);
  }
}

/** Fetches until the whole file is in `part`, over as many connections as it takes, as long as they bring something. */
async function fetchAll(options: DownloadOptions, part: string): Promise<void> {
  let most = (await sizeOf(part)) ?? 0;
  for (let vain = 0; ; ) {
    try {
      return await fetchRest(options, part);
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      const size = (await sizeOf(part)) ?? 0;
      vain = size > most ? 0 : vain + 1;
      most = Math.max(most, size);
      if (vain === vainAttempts) throw await connectionFault(options, part, error);
      await delay(pauseMs * (vain + 1));
    }
  }
}

/** One connection: asks for the bytes that `part` lacks and appends them. */
async function fetchRest(options: DownloadOptions, part: string): Promise<void> {
  const have = (await sizeOf(part)) ?? 0;
  if (have > 0 && have === options.size) return;
  const watchdog = new Watchdog(options.timeoutMs ?? 30_000);
  try {
    const response = await request(options.url, have, watchdog.signal);
    if (response.status === 416) {
      // The part is as long as the file, or longer: its checksum will tell, or the length that the server states.
      await response.body?.cancel();
      if (lengthFromRange(response) === have) return;
      await rm(part, { force: true });
      throw new ConnectionError("the server has no bytes after the ones that are here");
    }
    const start = startOf(options, response, have);
    const length = Number(response.headers.get("content-length") ?? Number.NaN);
    const total = Number.isSafeInteger(length) ? start + length : options.size;
    checkTotal(options, total);
    await append(options, part, start, total, response, watchdog);
  } finally {
    watchdog.stop();
  }
}

async function request(url: string, have: number, signal: AbortSignal): Promise<Response> {
  // Compression in transit would make the bytes differ from the file's, and ranges meaningless.
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (have > 0) headers.range = `bytes=${have}-`;
  try {
    return await fetch(url, { headers, signal });
  } catch (error) {
    if (error instanceof TypeError && !URL.canParse(url)) {
      throw fault("usage", { where: "address", rule: "must be an http or https URL", got: url }, error);
    }
    throw new ConnectionError(reasonOf(error), error);
  }
}

/** At which byte the answer begins: where it was asked to, or at 0 if the server knows no ranges. */
function startOf({ url }: DownloadOptions, response: Response, have: number): number {
  if (response.status === 200) return 0;
  if (response.status === 206) {
    const start = Number(/^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
    if (start === have) return start;
    throw fault("input", {
      where: url,
      rule: `must continue at byte ${have}`,
      got: response.headers.get("content-range"),
    });
  }
  throw fault("input", {
    where: url,
    rule: "the server must send the file",
    got: `HTTP ${response.status} ${response.statusText}`.trim(),
    next: "check the address, or give another one",
  });
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

async function append(
  options: DownloadOptions,
  part: string,
  start: number,
  total: number | undefined,
  response: Response,
  watchdog: Watchdog,
): Promise<void> {
  const file = await open(part, start === 0 ? "w" : "a");
  let received = start;
  try {
    for await (const bytes of chunksOf(response)) {
      watchdog.reset();
      received += bytes.length;
      if (total !== undefined && received > total) {
        throw fault("input", { where: options.url, rule: `must have ${total} bytes`, got: `${received} or more` });
      }
      await writeAll(file, bytes);
      options.onProgress?.({ received, total });
    }
    await file.sync();
  } finally {
    await file.close();
  }
  if (total !== undefined && received < total)
    throw new ConnectionError(`the connection ended after ${received} bytes`);
}

/** The body's chunks; a failure of the network, and only that, becomes a ConnectionError. */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array> {
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw new ConnectionError(reasonOf(error), error);
    });
    if (done) return;
    yield value as Uint8Array;
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += (await file.write(bytes, written)).bytesWritten;
  }
}

/** What of the expectations a file does not meet, if any. */
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

async function checksumOf(path: string, algorithm: "sha256" | "md5"): Promise<string> {
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

/** A connection that could not be made, broke, or fell silent: worth another attempt. */
export class ConnectionError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** `fetch` says "fetch failed" and hides the reason in `cause`. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}

async function connectionFault(
  options: DownloadOptions,
  part: string,
  error: ConnectionError,
): Promise<PatchDropError> {
  const kept = (await sizeOf(part)) ?? 0;
  return fault(
    "system",
    {
      where: options.url,
      rule: "the connection must last until the file is complete",
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
