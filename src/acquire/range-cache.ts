/**
 * Ranges of a file, each byte fetched once as long as it is held. What is wanted next is said beforehand (`prefetch`), so
 * that neighbours come in one request and several requests are under way at a time. The ranges that were used longest ago
 * go first when there are too many bytes; they would be fetched again.
 */

import { inOrder } from "../data/in-order.ts";
import type { ByteSource } from "./byte-source.ts";
import type { Purpose } from "./ledger.ts";
import { type ByteRange, mergeRanges, subtractRanges } from "./plan.ts";

/** So many bytes that nobody asked for cost less than a request of their own: about 4 ms at 1 MB/s. */
const gap = 4096;
/** So long a range is asked for at most, unless a single tile is longer: what broke off is not much to ask for again. */
const longest = 8 * 2 ** 20;
const requestsAtOnce = 6;
const mostBytes = 256 * 2 ** 20;

interface Chunk extends ByteRange {
  readonly bytes: Uint8Array;
}

export class RangeCache {
  readonly source: ByteSource;
  readonly #mostBytes: number;
  /** The one used longest ago first. */
  #chunks: Chunk[] = [];
  #heldBytes = 0;

  constructor(source: ByteSource, limit = mostBytes) {
    this.source = source;
    this.#mostBytes = limit;
    if (source.first !== undefined) this.#hold({ start: 0, end: source.first.length, bytes: source.first });
  }

  /** Fetches what is not held of the ranges. @throws what the source throws */
  async prefetch(ranges: readonly ByteRange[], purpose: Purpose): Promise<void> {
    const missing = mergeRanges(subtractRanges(mergeRanges(ranges, { gap: 0, longest }), this.#chunks), {
      gap,
      longest,
    });
    // What lies in a gap may be held already.
    const wanted = subtractRanges(missing, this.#chunks);
    for await (const chunk of inOrder(wanted, requestsAtOnce, (range) => this.#fetch(range, purpose)))
      this.#hold(chunk);
  }

  /** The bytes of a range, fetched if need be; perhaps a view of what is held. */
  async read(range: ByteRange, purpose: Purpose): Promise<Uint8Array> {
    const held = this.#chunks.filter(({ start, end }) => start < range.end && end > range.start);
    const missing = subtractRanges([range], held);
    const fetched = await Promise.all(missing.map((one) => this.#fetch(one, purpose)));
    // Those that were used now go last.
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
    // The newest stays, however long: it is what is being waited for.
    while (this.#heldBytes > this.#mostBytes && this.#chunks.length > 1) {
      this.#heldBytes -= this.#chunks.shift()!.bytes.length;
    }
  }
}
