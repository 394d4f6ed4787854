/**
 * A document at a path or an http(s) address: what it is, told by its beginning, and all of its bytes. Only STAC documents are
 * read further; of anything else, the beginning that a server sent is handed on, so that it is not asked for twice.
 */

import { open, stat } from "node:fs/promises";
import { fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { type Answer, ask, type ConnectionError, checkAddress, persist, rangeOf } from "../utils/http.ts";

/** What a document may have at most. */
export const mostDocumentBytes = 64 * 1024 ** 2;
/** As many as opening a COG asks for. */
const firstBytes = 16_384;
const vainRequests = 4;

export interface StacDocument {
  readonly kind: "json" | "parquet";
  /** Path or address. */
  readonly place: string;
  readonly bytes: Uint8Array;
}

/** The beginning of what is no STAC document, as a server sent it. */
export interface Begun {
  /** Undefined where the server sent no range. */
  readonly answer: Answer | undefined;
  /** Of bodies. */
  readonly bytes: number;
}

export interface ReadOptions {
  /** Ends what is under way when it is aborted. */
  readonly signal?: AbortSignal | undefined;
  readonly mostBytes?: number | undefined;
  /** What is read, in errors. */
  readonly what?: string | undefined;
}

export function isAddress(place: string): boolean {
  return /^https?:\/\//i.test(place);
}

/** Without what may be secret in it: the part behind `?`, and a password. */
export function redacted(place: string): string {
  return isLocal(place) ? place : place.replace(/[?#].*$/s, "").replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, "$1");
}

const isLocal = (place: string) => !/^[a-z][a-z0-9+.-]+:/i.test(place);

/**
 * Reads a document if it is one of STAC's by its beginning; undefined, and what was begun, if it is something else or not there.
 * @throws input: a web page; a server that refuses; resource: too many bytes; system
 */
export async function readDocument(place: string, options: ReadOptions): Promise<StacDocument | Begun | undefined> {
  if (isAddress(place)) return begin(place, options);
  const found = isLocal(place) ? await stat(place).catch(() => undefined) : undefined;
  return found?.isFile() ? readFile(place, found.size, options) : undefined;
}

async function readFile(path: string, size: number, options: ReadOptions) {
  const { mostBytes = mostDocumentBytes } = options;
  const file = await open(path, "r").catch(() => undefined);
  try {
    const { bytesRead, buffer } = (await file?.read(Buffer.alloc(firstBytes), 0, firstBytes, 0)) ?? {};
    if (file === undefined || buffer === undefined) return undefined;
    const kind = kindOf(buffer.subarray(0, bytesRead), path);
    if (kind === undefined) return undefined;
    if (size > mostBytes) throw tooLarge(path, options, size);
    return { kind, place: path, bytes: await file.readFile() };
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined
      ? error
      : systemFault("could not be read", path, 0, error);
  } finally {
    await file?.close();
  }
}

async function begin(url: string, options: ReadOptions): Promise<StacDocument | Begun> {
  checkAddress(url);
  const where = redacted(url);
  const begun = await request(url, { start: 0, end: firstBytes }, options, async ({ response, chunks }) => {
    const first = await take(chunks(), firstBytes);
    const kind = kindOf(first.bytes, where);
    const range = response.status === 206 ? rangeOf(response) : undefined;
    if (kind === undefined) {
      await first.end();
      const replayed: Answer = {
        response,
        async *chunks() {
          yield first.bytes;
        },
      };
      return { answer: response.status === 206 ? replayed : undefined, bytes: first.bytes.length };
    }
    if (response.status !== 206) return { kind, place: url, bytes: await first.rest(where, options) };
    return range?.size === first.bytes.length ? { kind, place: url, bytes: first.bytes } : kind;
  });
  return typeof begun === "string" ? { kind: begun, place: url, bytes: await readAddress(url, options) } : begun;
}

/** All bytes of an address. @throws input, resource, system */
export function readAddress(url: string, options: ReadOptions): Promise<Uint8Array> {
  checkAddress(url);
  return request(url, { start: 0 }, options, async ({ chunks }) =>
    (await take(chunks(), 0)).rest(redacted(url), options),
  );
}

/** The first bytes of a body, and then the rest of it, or an end. */
async function take(chunks: AsyncGenerator<Uint8Array>, least: number) {
  const parts: Uint8Array[] = [];
  let length = 0;
  while (length < least) {
    const { done, value } = await chunks.next();
    if (done) break;
    parts.push(value);
    length += value.length;
  }
  return {
    bytes: new Uint8Array(Buffer.concat(parts)),
    async rest(where: string, options: ReadOptions): Promise<Uint8Array> {
      const { mostBytes = mostDocumentBytes } = options;
      for await (const chunk of chunks) {
        parts.push(chunk);
        length += chunk.length;
        if (length > mostBytes) throw tooLarge(where, options, `${length} or more`);
      }
      return new Uint8Array(Buffer.concat(parts));
    },
    end: () => chunks.return(undefined),
  };
}

function request<T>(
  url: string,
  range: { start: number; end?: number },
  { signal }: ReadOptions,
  use: (answer: Answer) => Promise<T>,
): Promise<T> {
  const where = redacted(url);
  const next = "check the address, and whether its signature has expired";
  const gaveUp = (error: ConnectionError): PatchDropError => {
    const rule = "must send what is asked for (header), and neither in vain nor too slowly";
    const again = "check the network and the address, and run the command again";
    return fault("system", { where, rule, got: error.message, next: again }, error);
  };
  const work = () => ask({ ...range, url, where, signal, next }, use);
  return persist(work, { received: () => 0, vainRequests, pauseMs: 250, signal, gaveUp });
}

/** Undefined for what is no document of STAC: pictures have beginnings of their own. @throws input: a web page */
function kindOf(first: Uint8Array, where: string): StacDocument["kind"] | undefined {
  const text = new TextDecoder("latin1")
    .decode(first.subarray(0, 512))
    .replace(/^\u00ef\u00bb\u00bf/, "")
    .trimStart();
  if (text.startsWith("PAR1")) return "parquet";
  if (/^[[{]/.test(text)) return "json";
  if (!/^<(!doctype html|html)/i.test(text)) return undefined;
  const next = "give the address of the file itself, or of the item's JSON";
  throw fault("input", { where, rule: "must be an image or a STAC item", got: "a web page (HTML)", next });
}

function tooLarge(
  where: string,
  { mostBytes = mostDocumentBytes, what = "a STAC document" }: ReadOptions,
  got: number | string,
): PatchDropError {
  const next = "ask for fewer items at a time, or cut it into smaller ones";
  return fault("resource", { where, rule: `${what} must have at most ${mostBytes} bytes`, got, next });
}
