/**
 * A file on an HTTP server, read by range requests, and the only place where acquiring touches the network: every byte that
 * arrives here is counted in the ledger. A range is either complete and correct, or a one-line error.
 */

import { open, unlink } from "node:fs/promises";
import type { Begun } from "../archive/document.ts";
import { fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { HostTurns } from "../utils/host-turns.ts";
import {
  type Answer,
  ask,
  type ConnectionError,
  changeOf,
  checkAddress,
  type FileVersion,
  type GaveUp,
  isIdentified,
  leastPace,
  type Pace,
  persist,
  rangeOf,
  versionOf,
  wrongAnswer,
} from "../utils/http.ts";
import { type ByteSource, LocalFile } from "./byte-source.ts";
import type { Ledger, Purpose } from "./ledger.ts";
import type { ByteRange } from "./plan.ts";

export interface HttpOptions {
  readonly ledger: Ledger;
  /** The answer to the first request, where somebody has made it already. */
  readonly begun?: Begun | undefined;
  /** Where the whole file goes if the server only sends all of it; if absent, such a server is an error. */
  readonly wholeFile?: string | undefined;
  /** What the whole file may have at most, in bytes. */
  readonly mostBytes?: number;
  /** Give up on a connection that is silent for this long. */
  readonly timeoutMs?: number;
  /** The pause before a repeated request; it doubles with each one that brought nothing. */
  readonly pauseMs?: number;
  /** The least that is put up with. */
  readonly pace?: Pace;
  /** Ends what is under way when it is aborted. */
  readonly signal?: AbortSignal;
  /** In which requests wait, where several files are read at a time. */
  readonly turns?: HostTurns | undefined;
}

/** What opening a file tells of it. */
export interface KnownFile {
  readonly size: number;
  readonly version: FileVersion | undefined;
}

/** Of a file. */
export const requestsAtOnce = 6;
/** Enough for a COG's header: GDAL reads the same number. */
const firstBytes = 16_384;
/** Give up after this many requests in a row that brought no new byte. */
const vainRequests = 4;
const firstPauseMs = 250;

export class HttpFile implements ByteSource {
  readonly where: string;
  size = 0;
  first = new Uint8Array();
  readonly #url: string;
  readonly #options: HttpOptions;
  readonly #turns = new HostTurns(requestsAtOnce);
  #version: FileVersion | undefined;

  private constructor(url: string, options: HttpOptions) {
    this.#url = url;
    this.#options = options;
    // A query may be a signature, and so secret.
    const { origin, pathname } = new URL(url);
    this.where = `${origin}${pathname}`;
  }

  /**
   * Reads the file's beginning, which tells its size.
   * @throws usage: not an address; input: the server refuses, sends no ranges or wrong ones, or would not show that the
   *   file changes; resource: a whole file that is too large; system: no connection lasts, or is too slow
   */
  static async open(url: string, options: HttpOptions): Promise<ByteSource> {
    checkAddress(url);
    const file = new HttpFile(url, options);
    if (options.begun !== undefined) {
      options.ledger.request("header");
      options.ledger.received("header", options.begun.bytes);
    }
    return (await file.#persist("header", () => file.#begin())) ?? file;
  }

  /** A file whose beginning somebody has read. */
  static of(url: string, { size, version }: KnownFile, options: HttpOptions): HttpFile {
    const file = new HttpFile(url, options);
    file.size = size;
    file.#version = version;
    return file;
  }

  get known(): KnownFile {
    return { size: this.size, version: this.#version };
  }

  /** Of many ranges, those that were asked for first come first. */
  fetch(range: ByteRange, purpose: Purpose): Promise<Uint8Array> {
    return this.#turns.at(this.#url, () => this.#options.ledger.during(purpose, () => this.#fetch(range, purpose)));
  }

  async #fetch({ start, end }: ByteRange, purpose: Purpose): Promise<Uint8Array> {
    this.#options.signal?.throwIfAborted();
    const bytes = new Uint8Array(end - start);
    let done = 0;
    const take = (chunk: Uint8Array) => {
      bytes.set(chunk, done);
      done += chunk.length;
    };
    // What arrived before a connection broke is kept; the rest is asked for again.
    await this.#persist(
      purpose,
      () => this.#part({ start: start + done, end }, purpose, take),
      () => done,
    );
    return bytes;
  }

  async close(): Promise<void> {}

  /** The whole file, where the server sends it and it is wanted. */
  async #begin(): Promise<LocalFile | undefined> {
    const use = async ({ response, chunks }: Answer) => {
      if (response.status !== 206) return this.#whole({ response, chunks });
      if (!isIdentified(versionOf(response))) return this.#unidentified();
      const range = rangeOf(response);
      if (range?.start !== 0 || !Number.isSafeInteger(range.size) || range.end !== Math.min(firstBytes, range.size)) {
        const rule = "must send the first bytes and say how long the file is";
        throw wrongAnswer(this.where, rule, response.headers.get("content-range"));
      }
      this.size = range.size;
      this.#version = versionOf(response);
      const parts: Uint8Array[] = [];
      for await (const chunk of chunks(range.end, this.#arrived("header"))) parts.push(chunk);
      this.first = Buffer.concat(parts);
      return undefined;
    };
    const { answer } = this.#options.begun ?? {};
    const begun = answer ? await use(answer) : await this.#ask({ start: 0, end: firstBytes }, "header", use);
    return begun === "unidentified" ? this.#ask({ start: 0 }, "whole_file", (answer) => this.#whole(answer)) : begun;
  }

  /** Of a server that does not tell one version of a file from another, only one answer is sure not to mix them. */
  #unidentified(): "unidentified" {
    if (this.#options.wholeFile !== undefined) return "unidentified";
    throw fault("input", {
      where: this.where,
      rule: "the server must say which version of a file it sends (ETag or Last-Modified), so that two are not mixed",
      got: "neither",
      next: "use another server, or read the whole file with --allow_full_file",
    });
  }

  /** Takes an answer that is the whole file. */
  async #whole({ response, chunks }: Answer): Promise<LocalFile> {
    const { wholeFile } = this.#options;
    const { size } = versionOf(response);
    if (wholeFile === undefined) {
      throw fault("input", {
        where: this.where,
        rule: "the server must send parts of a file (range requests)",
        got: `all of it${size === null ? "" : `, ${size} bytes`}`,
        next: "use another server, or read the whole file with --allow_full_file",
      });
    }
    this.#checkLength(size ?? 0);
    const written = (bytes: number) => (error: unknown) => {
      throw systemFault("could not be written", wholeFile, bytes, error);
    };
    const sink = await open(wholeFile, "w").catch(written(0));
    try {
      let done = 0;
      for await (const chunk of chunks(size ?? undefined, this.#arrived("whole_file"))) {
        done += chunk.length;
        this.#checkLength(done);
        await sink.writeFile(chunk).catch(written(chunk.length));
      }
    } finally {
      await sink.close();
    }
    const file = await LocalFile.open(wholeFile, undefined, this.where);
    // It no longer needs a name, and disappears when it is closed.
    await unlink(wholeFile);
    return file;
  }

  /** @throws resource */
  #checkLength(bytes: number): void {
    const { mostBytes = Number.POSITIVE_INFINITY } = this.#options;
    if (bytes <= mostBytes) return;
    const rule = `the whole file must have at most ${mostBytes} bytes`;
    throw fault("resource", { where: this.where, rule, got: `${bytes} or more`, next: "raise --max_file_bytes" });
  }

  /** One connection for a range, whose bytes go to `take`. */
  #part(range: ByteRange, purpose: Purpose, take: (chunk: Uint8Array) => void): Promise<void> {
    return this.#ask(range, purpose, async ({ response, chunks }) => {
      this.#checkUnchanged(response);
      const expected = `bytes ${range.start}-${range.end - 1}/${this.size}`;
      const got = response.status === 206 ? response.headers.get("content-range") : `HTTP ${response.status}`;
      if (got !== expected) throw wrongAnswer(this.where, `must send ${expected}`, got);
      for await (const chunk of chunks(range.end - range.start, this.#arrived(purpose))) take(chunk);
    });
  }

  /** @throws input */
  #checkUnchanged(response: Response): void {
    // What says nothing about a part is refused as such.
    if (response.status !== 206 && response.status !== 416) return;
    const change = this.#version && changeOf(this.#version, versionOf(response));
    if (change === undefined) return;
    const rule = `must not change while it is read: ${change.was}`;
    throw fault("input", { where: this.where, rule, got: change.got, next: "it was replaced: run the command again" });
  }

  #ask<T>(
    range: Pick<ByteRange, "start"> & Partial<ByteRange>,
    purpose: Purpose,
    use: (answer: Answer) => Promise<T>,
  ): Promise<T> {
    const { ledger, timeoutMs, pace, signal, turns } = this.#options;
    const next = "check the address, and whether its signature has expired";
    // "Range not satisfiable": the file has become shorter.
    const statuses = this.#version === undefined ? [] : [416];
    const work = () => {
      ledger.request(purpose);
      return ask({ ...range, url: this.#url, where: this.where, timeoutMs, pace, signal, statuses, next }, use);
    };
    return turns === undefined ? work() : turns.at(this.#url, work);
  }

  #arrived(purpose: Purpose): (bytes: number) => void {
    return (bytes) => this.#options.ledger.received(purpose, bytes);
  }

  #persist<T>(purpose: Purpose, work: () => Promise<T>, received = () => 0): Promise<T> {
    const { ledger, pace, signal, pauseMs = firstPauseMs } = this.#options;
    const gaveUp = (error: ConnectionError, why: GaveUp) => this.#gaveUp(purpose, error, why);
    return persist(work, { received, vainRequests, pauseMs, pace, signal, again: () => ledger.retries++, gaveUp });
  }

  #gaveUp(purpose: Purpose, error: ConnectionError, why: GaveUp): PatchDropError {
    const { bytesPerSecond } = this.#options.pace ?? leastPace;
    const said = {
      "in vain": `${vainRequests} requests brought nothing`,
      "too slow": `${bytesPerSecond} bytes a second or more`,
    };
    const rule = `must send what is asked for (${purpose.replace("_", " ")}), ${said[why]}`;
    const next = "check the network and the address, and run the command again";
    return fault("system", { where: this.where, rule, got: error.message, next }, error);
  }
}
