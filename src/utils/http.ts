/**
 * Files on HTTP servers: one request for a part of a file, watched, and the loop that repeats requests as long as they bring
 * something. Whatever a server does, the result is what was asked for or a one-line error. The range that an answer states is
 * checked by the callers. Source: RFC 9110, sections 8.8 (ETag, Last-Modified), 13.1.5 (If-Range), 14 (ranges) and 15.
 */

import { setTimeout as delay } from "node:timers/promises";
import { fault, type PatchDropError } from "../errors.ts";
import { type LeastPace, Watchdog } from "./watchdog.ts";

/** A connection that could not be made, broke, or went silent: worth another attempt. */
export class ConnectionError extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
  }
}

/** An answer that says to try again later. */
class BusyError extends ConnectionError {
  readonly waitMs: number;

  constructor(message: string, waitMs: number) {
    super(message);
    this.waitMs = waitMs;
  }
}

const silenceMs = 30_000;
const longestPauseMs = 30_000;

/** How slow a server may be, and for how long it may be so over all connections together. */
export interface Pace extends LeastPace {
  readonly patienceMs: number;
}

/** Far below any line that a large file can be read over, also where six requests share it. */
export const leastPace: Pace = { bytesPerSecond: 256, windowMs: 30_000, patienceMs: 120_000 };

/** @throws usage: not an http(s) address, or one with a password in it */
export function checkAddress(address: string): void {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") {
    throw fault("usage", { where: "address", rule: "must be an http or https URL", got: address });
  }
  if (url.username !== "" || url.password !== "") {
    throw fault("usage", { where: "address", rule: "must not contain a user name or a password" });
  }
}

export interface Asked {
  readonly url: string;
  /** Names the file in errors. */
  readonly where: string;
  /** Bytes start … end − 1; up to the last one if `end` is absent. */
  readonly start: number;
  readonly end?: number | undefined;
  /** The ETag of what is already here: if the file has changed, all of it is sent. */
  readonly ifRange?: string | undefined;
  /** Give up on a connection that is silent for this long. */
  readonly timeoutMs?: number | undefined;
  /** The least that is put up with. */
  readonly pace?: Pace | undefined;
  /** Ends the connection when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Status codes that are accepted besides 200 and 206. */
  readonly statuses?: readonly number[];
  /** What to do if the server refuses. */
  readonly next: string;
}

export interface Answer {
  readonly response: Response;
  /**
   * The body as it arrives.
   * @param length number of bytes that it must have, if known
   * @param arrived told how many bytes have arrived, wanted or not
   * @throws ConnectionError: it broke off; input: it has more
   */
  chunks(length?: number, arrived?: (bytes: number) => void): AsyncGenerator<Uint8Array>;
}

/**
 * Asks once, and hands an answer that is not an error to `use`.
 * @throws ConnectionError: worth another attempt; input: a refusal, or a body that was changed in transit
 */
export async function ask<T>(asked: Asked, use: (answer: Answer) => Promise<T>): Promise<T> {
  const watchdog = new Watchdog(asked.timeoutMs ?? silenceMs, asked.pace ?? leastPace);
  try {
    const signals = [watchdog.signal, ...(asked.signal === undefined ? [] : [asked.signal])];
    const response = await send(asked, AbortSignal.any(signals));
    checkAnswer(response, asked);
    const chunks: Answer["chunks"] = (length, arrived) =>
      chunksOf(response, asked.where, length, (bytes) => {
        watchdog.arrived(bytes);
        arrived?.(bytes);
      });
    return await use({ response, chunks });
  } finally {
    watchdog.stop();
  }
}

async function send({ url, start, end, ifRange }: Asked, signal: AbortSignal): Promise<Response> {
  // Compression in transit would make the bytes differ from the file's, and ranges meaningless.
  const headers = new Headers({ "accept-encoding": "identity" });
  if (start > 0 || end !== undefined) headers.set("range", `bytes=${start}-${end === undefined ? "" : end - 1}`);
  if (ifRange !== undefined) headers.set("if-range", ifRange);
  return fetch(url, { headers, signal }).catch((error: unknown) => {
    throw new ConnectionError(reasonOf(error), error);
  });
}

function checkAnswer({ status, statusText, headers }: Response, { where, next, statuses = [] }: Asked): void {
  const said = `HTTP ${status} ${statusText}`.trim();
  if (status >= 500 || status === 429 || status === 408) {
    throw new BusyError(said, 1000 * (Number(headers.get("retry-after") ?? 0) || 0));
  }
  if (status !== 200 && status !== 206 && !statuses.includes(status)) {
    throw fault("input", { where, rule: "the server must send the file", got: said, next });
  }
  const encoding = headers.get("content-encoding") ?? "identity";
  if (encoding !== "identity") throw wrongAnswer(where, "must be sent uncompressed", encoding);
}

/** An answer that is not what was asked for. */
export function wrongAnswer(where: string, rule: string, got: unknown): PatchDropError {
  const next = "this server violates HTTP: use another";
  return fault("input", { where, rule, got: got ?? "nothing", next });
}

/** The range that an answer states; undefined if it states none. `size` is that of the whole file, NaN if unknown. */
export function rangeOf({ headers }: Response): { start: number; end: number; size: number } | undefined {
  const [, start, last, size] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(headers.get("content-range") ?? "") ?? [];
  return start === undefined ? undefined : { start: Number(start), end: Number(last) + 1, size: Number(size) };
}

/** What a server says about which version of a file it sends. */
export interface FileVersion {
  readonly etag: string | null;
  readonly lastModified: string | null;
  /** Of the whole file, in bytes; null if it is not said. */
  readonly size: number | null;
}

/** The version that an answer is of. */
export function versionOf(response: Response): FileVersion {
  const { headers, status } = response;
  const [, total = ""] = /^bytes \S+\/(\d+)$/.exec(headers.get("content-range") ?? "") ?? [];
  const length = status === 200 ? (headers.get("content-length") ?? "") : total;
  return {
    etag: headers.get("etag"),
    lastModified: headers.get("last-modified"),
    size: length === "" ? null : Number(length),
  };
}

/** An ETag that stands for the very bytes; a weak one (W/) may stand for others too. */
export function strongTag({ etag }: FileVersion): string | undefined {
  return etag === null || etag.startsWith("W/") ? undefined : etag;
}

/** Whether the server says anything by which a change could be noticed but the length. */
export function isIdentified({ etag, lastModified }: FileVersion): boolean {
  return etag !== null || lastModified !== null;
}

/** What shows that two answers are of two versions of a file; undefined where nothing does. */
export function changeOf(before: FileVersion, now: FileVersion): { was: string; got: string } | undefined {
  const differ = (name: string, old: string | number | null, current: string | number | null) =>
    old === current ? undefined : { was: `its ${name} was ${old ?? "not given"}`, got: `${current ?? "nothing"}` };
  const bySize = before.size === null || now.size === null ? undefined : differ("length", before.size, now.size);
  const byTag = differ("ETag", before.etag, now.etag);
  // Servers behind one address may have copied the file at different times; a strong ETag knows better.
  const byDate = strongTag(before) ? undefined : differ("Last-Modified", before.lastModified, now.lastModified);
  return bySize ?? byTag ?? byDate;
}

async function* chunksOf(
  response: Response,
  where: string,
  length: number | undefined,
  arrived: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let count = 0;
  const reader = response.body?.getReader();
  while (reader !== undefined) {
    // Only a failure of the network is worth another attempt.
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw new ConnectionError(reasonOf(error), error);
    });
    if (done) break;
    arrived(value.length);
    count += value.length;
    if (length !== undefined && count > length) throw wrongAnswer(where, `must send ${length} bytes`, "more");
    yield value;
  }
  if (length !== undefined && count < length) {
    throw new ConnectionError(`the connection ended after ${count} of ${length} bytes`);
  }
}

/** `fetch` says "fetch failed" and hides the reason in `cause`. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error && error.cause.message !== "" ? error.cause.message : error.message;
}

export type GaveUp = "in vain" | "too slow";

export interface Persistence {
  /** How many bytes are here. */
  received(): number | Promise<number>;
  /** Give up after this many requests in a row that brought no new byte. */
  readonly vainRequests: number;
  /** The pause before a repeated request; it doubles with each one that brought nothing. */
  readonly pauseMs: number;
  /** The least that is put up with. */
  readonly pace?: Pace | undefined;
  /** Nothing is repeated once it is aborted. */
  readonly signal?: AbortSignal | undefined;
  /** Called when a request is repeated. */
  again?(): void;
  /** The error to end with, given the last one, and what all connections together were. */
  gaveUp(error: ConnectionError, why: GaveUp): PatchDropError | Promise<PatchDropError>;
}

/**
 * Repeats `work`, over as many connections as it takes, as long as they bring something and together are not too slow.
 * @throws what `work` and `gaveUp` say
 */
export async function persist<T>(work: () => Promise<T>, how: Persistence): Promise<T> {
  let most = await how.received();
  const isTooSlow = slowness(how.pace ?? leastPace, most);
  for (let vain = 0; ; ) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ConnectionError) || how.signal?.aborted) throw error;
      const count = await how.received();
      vain = count > most ? 0 : vain + 1;
      most = Math.max(most, count);
      if (vain === how.vainRequests) throw await how.gaveUp(error, "in vain");
      if (isTooSlow(count)) throw await how.gaveUp(error, "too slow");
      how.again?.();
      const wait = error instanceof BusyError ? error.waitMs : 0;
      await delay(Math.min(longestPauseMs, Math.max(how.pauseMs * 2 ** vain, wait)), undefined, { signal: how.signal });
    }
  }
}

/** Says, told how many bytes are here, whether for longer than `patienceMs` they have come too slowly. */
function slowness({ bytesPerSecond, patienceMs }: Pace, count: number): (count: number) => boolean {
  let last = { count, at: performance.now() };
  return (count) => {
    const now = performance.now();
    if (count - last.count >= (bytesPerSecond * (now - last.at)) / 1000) last = { count, at: now };
    return now - last.at > patienceMs;
  };
}
