/**
 * Ranges of a file; each byte is fetched once, as long as it is held or under way. What is needed next is announced (`prefetch`), so that
 * neighbours come in one request and several requests are under way at a time. When there are too many bytes, the ranges that
 * were used longest ago are dropped; they would be fetched again. What is fetched and dropped follows from the order of the calls alone,
 * however long an answer takes.
 */

import type { ByteSource } from "./byte-source.ts";
import type { Purpose } from "./ledger.ts";
import { type ByteRange, mergeRanges, subtractRanges } from "./plan.ts";

/** Reading this many unwanted bytes costs less than another request: about 4 ms at 1 MB/s. */
const usualGap = 4096;
/** Where nothing unwanted is to be read, so that a budget holds: GDAL's COGs have 8 bytes between neighbouring tiles. */
export const leastGap = 16;
/** The longest range that is requested, unless a single tile is longer: so that a broken request is cheap to repeat. */
const longest = 8 * 2 ** 20;
/** Of a source. */
export const mostHeldBytes = 256 * 2 ** 20;

interface Chunk extends ByteRange {
  readonly bytes: Promise<Uint8Array>;
}

/** What was asked for together. */
export interface Fetching {
  readonly requests: number;
  readonly bytes: number;
  /** All of it is there. @throws what the source throws */
  readonly arrived: Promise<void>;
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
    const { first } = source;
    if (first !== undefined) this.#hold({ start: 0, end: first.length, bytes: Promise.resolve(first) });
  }

  /** Begins to fetch what is not held of the ranges. */
  prefetch(ranges: readonly ByteRange[], purpose: Purpose): Fetching {
    const missing = mergeRanges(subtractRanges(mergeRanges(ranges, { gap: 0, longest }), this.#chunks), {
      gap: this.#gap,
      longest,
    });
    // What lies in a gap may be held already.
    const wanted = subtractRanges(missing, this.#chunks).map((range) => this.#fetch(range, purpose));
    for (const chunk of wanted) this.#hold(chunk);
    const bytes = wanted.reduce((sum, { start, end }) => sum + end - start, 0);
    return { requests: wanted.length, bytes, arrived: arrivalOf(wanted) };
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
    const fetched = missing.map((one) => this.#fetch(one, purpose));
    // Those just used are dropped last.
    if (held.length > 0) this.#chunks = [...this.#chunks.filter((chunk) => !held.includes(chunk)), ...held];
    for (const chunk of fetched) this.#hold(chunk);
    const parts = [...held, ...fetched].sort((a, b) => a.start - b.start);
    const pieces = await Promise.all(
      parts.map(async ({ start, end, bytes }) =>
        (await bytes).subarray(Math.max(0, range.start - start), Math.min(range.end, end) - start),
      ),
    );
    return pieces.length === 1 ? pieces[0] : Buffer.concat(pieces);
  }

  #fetch({ start, end }: ByteRange, purpose: Purpose): Chunk {
    const bytes = this.source.fetch({ start, end }, purpose);
    // Whoever needs it is told; until then a failure must not count as unhandled.
    bytes.catch(() => undefined);
    return { start, end, bytes };
  }

  #hold(chunk: Chunk): void {
    this.#chunks.push(chunk);
    this.#heldBytes += lengthOf(chunk);
    // The newest stays, however long: somebody is waiting for it.
    while (this.#heldBytes > this.#mostBytes && this.#chunks.length > 1) {
      this.#heldBytes -= lengthOf(this.#chunks.shift()!);
    }
  }
}

const lengthOf = ({ start, end }: ByteRange) => end - start;

/** Of several failures, it tells the first one's in the order of the file, whichever came first. */
function arrivalOf(chunks: readonly Chunk[]): Promise<void> {
  const arrived = (async () => {
    for (const { bytes } of chunks) await bytes;
  })();
  arrived.catch(() => undefined);
  return arrived;
}
