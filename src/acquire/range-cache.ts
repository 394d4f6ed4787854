/**
 * Ranges of a file; each byte is fetched once, as long as it is held. What is needed next is announced (`prefetch`), so that
 * neighbours come in one request and several requests are under way at a time. When there are too many bytes, the ranges that
 * were used longest ago are dropped; they would be fetched again.
 */

import { inOrder } from "../data/in-order.ts";
import type { ByteSource } from "./byte-source.ts";
import type { Purpose } from "./ledger.ts";
import { type ByteRange, mergeRanges, subtractRanges } from "./plan.ts";

/** Reading this many unwanted bytes costs less than another request: about 4 ms at 1 MB/s. */
const usualGap = 4096;
/** Where nothing unwanted is to be read, so that a budget holds: GDAL's COGs have 8 bytes between neighbouring tiles. */
export const leastGap = 16;
/** The longest range that is requested, unless a single tile is longer: so that a broken request is cheap to repeat. */
const longest = 8 * 2 ** 20;
/** Of a file. */
export const requestsAtOnce = 6;
/** Of a source. */
export const mostHeldBytes = 256 * 2 ** 20;

interface Chunk extends ByteRange {
  readonly bytes: Uint8Array;
}

/** In bytes. */
export interface CacheLimits {
  /** What is held of a file. */
  readonly limit?: number;
  /** What is read where it lies between what is wanted. */
  readonly gap?: number;
}

export class RangeCache {
  readonly source: ByteSource;
  readonly #mostBytes: number;
  readonly #gap: number;
  /** The one used longest ago first. */
  #chunks: Chunk[] = [];
  #heldBytes = 0;

  constructor(source: ByteSource, { limit = mostHeldBytes, gap = usualGap }: CacheLimits = {}) {
    this.source = source;
    this.#mostBytes = limit;
    this.#gap = gap;
    if (source.first !== undefined) this.#hold({ start: 0, end: source.first.length, bytes: source.first });
  }

  /** Fetches what is not held of the ranges. @throws what the source throws */
  async prefetch(ranges: readonly ByteRange[], purpose: Purpose): Promise<void> {
    const missing = mergeRanges(subtractRanges(mergeRanges(ranges, { gap: 0, longest }), this.#chunks), {
      gap: this.#gap,
      longest,
    });
    // What lies in a gap may be held already.
    const wanted = subtractRanges(missing, this.#chunks);
    for await (const chunk of inOrder(wanted, requestsAtOnce, (range) => this.#fetch(range, purpose)))
      this.#hold(chunk);
  }

  /** Whether a range would be read without a request. */
  holds(range: ByteRange): boolean {
    const near = this.#chunks.filter(({ start, end }) => start < range.end && end > range.start);
    return range.start === range.end || (near.length > 0 && subtractRanges([range], near).length === 0);
  }

  /** The bytes of a range, fetched if need be; perhaps a view of what is held. */
  async read(range: ByteRange, purpose: Purpose): Promise<Uint8Array> {
    const held = this.#chunks.filter(({ start, end }) => start < range.end && end > range.start);
    const missing = subtractRanges([range], held);
    const fetched = await Promise.all(missing.map((one) => this.#fetch(one, purpose)));
    // Those just used are dropped last.
    if (held.length > 0) this.#chunks = [...this.#chunks.filter((chunk) => !held.includes(chunk)), ...held];
    for (const chunk of fetched) this.#hold(chunk);
    const parts = [...held, ...fetched].sort((a, b) => a.start - b.start);
    const pieces = parts.map(({ start, end, bytes }) =>
      bytes.subarray(Math.max(0, range.start - start), Math.min(range.end, end) - start),
    );
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  }

  async #fetch({ start, end }: ByteRange, purpose: Purpose): Promise<Chunk> {
    return { start, end, bytes: await this.source.fetch({ start, end }, purpose) };
  }

  #hold(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#heldBytes += chunk.bytes.length;
    // The newest stays, however long: somebody is waiting for it.
    while (this.#heldBytes > this.#mostBytes && this.#chunks.length > 1) {
      this.#heldBytes -= this.#chunks.shift()!.bytes.length;
    }
  }
}
