/**
 * A file on an HTTP server, read by range requests, and the only place where the network is touched: what comes in here is
 * what the ledger says. Whatever the server does, a range is either whole and right or an error in a line.
 * Source: RFC 9110, sections 8.8.3 (ETag), 14 (ranges) and 15.
 */

import { open, unlink } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { ConnectionError, chunksOf, reasonOf } from "../utils/download.ts";
import { Watchdog } from "../utils/watchdog.ts";
import { type ByteSource, LocalFile } from "./byte-source.ts";
import type { Ledger, Purpose } from "./ledger.ts";
import type { ByteRange } from "./plan.ts";

export interface HttpOptions {
  readonly ledger: Ledger;
  /** Where the whole file goes if the server sends no less; without it, such a server is an error. */
  readonly wholeFile?: string | undefined;
  /** Give up on a connection that brings nothing for so long. */
  readonly timeoutMs?: number;
  /** The first pause before a request is made again; each further one is twice as long. */
  readonly pauseMs?: number;
}

/** Of a COG, what its header needs: GDAL reads as much. */
const firstBytes = 16_384;
/** Give up after so many requests in a row that brought no new byte. */
const vainRequests = 4;
const longestPauseMs = 30_000;

export class HttpFile implements ByteSource {
  readonly where: string;
  size = 0;
  first = new Uint8Array();
  readonly #url: string;
  readonly #options: HttpOptions;
  #tag: string | null = null;

  private constructor(url: string, options: HttpOptions) {
    this.#url = url;
    this.#options = options;
    // A query may be a signature, and so secret.
    const { origin, pathname } = new URL(url);
    this.where = `${origin}${pathname}`;
  }

  /**
   * Reads the file's beginning, which tells its size.
   * @throws usage: no address; input: the server refuses, knows no ranges or sends wrong ones; system: no connection lasts
   */
  static async open(url: string, options: HttpOptions): Promise<ByteSource> {
    if (!URL.canParse(url)) {
      throw fault("usage", { where: "address", rule: "must be an http or https URL", got: url });
    }
    if (new URL(url).username !== "") {
      throw fault("usage", { where: "address", rule: "must have no user name and password in it" });
    }
    const file = new HttpFile(url, options);
    return (await file.#retried("header", () => file.#begin())) ?? file;
  }

  async fetch({ start, end }: ByteRange, purpose: Purpose): Promise<Uint8Array> {
    const bytes = new Uint8Array(end - start);
    let done = 0;
    const take = (chunk: Uint8Array) => {
      if (done + chunk.length > bytes.length) throw this.#wrong(`must send ${bytes.length} bytes`, "more");
      bytes.set(chunk, done);
      done += chunk.length;
    };
    // What arrived before a connection broke is kept; the rest is asked for again.
    await this.#retried(
      purpose,
      () => this.#part({ start: start + done, end }, purpose, take),
      () => done,
    );
    return bytes;
  }

  async close(): Promise<void> {}

  /** The whole file, where the server sends it and it is wanted. */
  #begin(): Promise<LocalFile | undefined> {
    return this.#request({ start: 0, end: firstBytes }, "header", async (response, watchdog) => {
      if (response.status !== 206) return this.#whole(response, watchdog);
      const range = response.headers.get("content-range");
      const [, end, size] = /^bytes 0-(\d+)\/(\d+)$/.exec(range ?? "")?.map(Number) ?? [];
      if (end === undefined || !Number.isSafeInteger(size) || end !== Math.min(firstBytes, size) - 1) {
        throw this.#wrong("must send the first bytes and say how long the file is", range);
      }
      this.size = size;
      this.#tag = response.headers.get("etag");
      const chunks: Uint8Array[] = [];
      let received = 0;
      for await (const chunk of this.#chunks(response, "header", watchdog)) {
        chunks.push(chunk);
        received += chunk.length;
        if (received > firstBytes) break;
      }
      this.#checkLength(received, end + 1);
      this.first = Buffer.concat(chunks);
      return undefined;
    });
  }

  /** Takes an answer that is the whole file. */
  async #whole(response: Response, watchdog: Watchdog): Promise<LocalFile> {
    const { wholeFile } = this.#options;
    const length = response.headers.get("content-length");
    if (wholeFile === undefined) {
      throw fault("input", {
        where: this.where,
        rule: "the server must send parts of a file (range requests)",
        got: `all of it${length === null ? "" : `, ${length} bytes`}`,
        next: "use another server, or read the whole file with --allow_full_file",
      });
    }
    const sink = await open(wholeFile, "w").catch((error) => {
      throw systemFault("could not be written", wholeFile, 0, error);
    });
    let received = 0;
    try {
      for await (const chunk of this.#chunks(response, "whole_file", watchdog)) {
        await sink.writeFile(chunk).catch((error) => {
          throw systemFault("could not be written", wholeFile, chunk.length, error);
        });
        received += chunk.length;
      }
    } finally {
      await sink.close();
    }
    if (length !== null) this.#checkLength(received, Number(length));
    const file = await LocalFile.open(wholeFile, undefined, this.where);
    // It needs no name any more, and goes when it is closed.
    await unlink(wholeFile);
    return file;
  }

  /** One connection for a range, whose bytes go to `take`. */
  #part(range: ByteRange, purpose: Purpose, take: (chunk: Uint8Array) => void): Promise<void> {
    return this.#request(range, purpose, async (response, watchdog) => {
      const expected = `bytes ${range.start}-${range.end - 1}/${this.size}`;
      const got = response.status === 206 ? response.headers.get("content-range") : `HTTP ${response.status}`;
      if (got !== expected) throw this.#wrong(`must send ${expected}`, got);
      const tag = response.headers.get("etag");
      if (tag !== this.#tag) throw this.#wrong(`must not change while it is read: its ETag was ${this.#tag}`, tag);
      let received = 0;
      for await (const chunk of this.#chunks(response, purpose, watchdog)) {
        take(chunk);
        received += chunk.length;
      }
      this.#checkLength(received, range.end - range.start);
    });
  }

  /** Asks for a range and hands over an answer that is not an error. */
  async #request<T>(
    { start, end }: ByteRange,
    purpose: Purpose,
    use: (response: Response, watchdog: Watchdog) => Promise<T>,
  ): Promise<T> {
    const watchdog = new Watchdog(this.#options.timeoutMs ?? 30_000);
    this.#options.ledger.request(purpose);
    try {
      // Compression in transit would make the bytes differ from the file's, and ranges meaningless.
      const headers = { range: `bytes=${start}-${end - 1}`, "accept-encoding": "identity" };
      const response = await fetch(this.#url, { headers, signal: watchdog.signal }).catch((error: unknown) => {
        throw new ConnectionError(reasonOf(error), error);
      });
      this.#checkStatus(response);
      return await use(response, watchdog);
    } finally {
      watchdog.stop();
    }
  }

  #checkStatus({ status, statusText, headers }: Response): void {
    if (status === 200 || status === 206) {
      const encoding = headers.get("content-encoding") ?? "identity";
      if (encoding !== "identity") throw this.#wrong("must be sent as it is, not compressed", encoding);
      return;
    }
    const said = `HTTP ${status} ${statusText}`.trim();
    if (status >= 500 || status === 429 || status === 408) {
      throw new BusyError(said, 1000 * (Number(headers.get("retry-after") ?? 0) || 0));
    }
    const next = "check the address, and whether it asks for a signature that has run out";
    throw fault("input", { where: this.where, rule: "the server must send the file", got: said, next });
  }

  async *#chunks(response: Response, purpose: Purpose, watchdog: Watchdog): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunksOf(response)) {
      watchdog.reset();
      this.#options.ledger.received(purpose, chunk.length);
      yield chunk;
    }
  }

  #checkLength(received: number, expected: number): void {
    if (received < expected) throw new ConnectionError(`the connection ended after ${received} of ${expected} bytes`);
    if (received > expected) throw this.#wrong(`must send ${expected} bytes`, received);
  }

  #wrong(rule: string, got: unknown): PatchDropError {
    const next = "the server does not keep to HTTP ranges: use another, or fetch the file first";
    return fault("input", { where: this.where, rule, got: got ?? "nothing", next });
  }

  /** Works until it succeeds, as long as requests bring something. @param received so many bytes have come */
  async #retried<T>(purpose: Purpose, work: () => Promise<T>, received = () => 0): Promise<T> {
    for (let vain = 0, most = 0; ; ) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof ConnectionError)) throw error;
        vain = received() > most ? 0 : vain + 1;
        most = received();
        if (vain === vainRequests) throw this.#gaveUp(purpose, error);
        this.#options.ledger.retries++;
        const pause = (this.#options.pauseMs ?? 250) * 2 ** vain;
        await delay(Math.min(longestPauseMs, Math.max(pause, error instanceof BusyError ? error.waitMs : 0)));
      }
    }
  }

  #gaveUp(purpose: Purpose, error: ConnectionError): PatchDropError {
    const rule = `must send what is asked for (${purpose.replace("_", " ")}), ${vainRequests} requests brought nothing`;
    const next = "check the network and the address, and run the command again";
    return fault("system", { where: this.where, rule, got: error.message, next }, error);
  }
}

/** An answer that says to come again later. */
class BusyError extends ConnectionError {
  readonly waitMs: number;

  constructor(message: string, waitMs: number) {
    super(message);
    this.waitMs = waitMs;
  }
}
