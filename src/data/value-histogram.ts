/**
 * How often each value occurs, in memory that does not grow with the data: values are counted by the first 20 bits of their float32, so
 * that whole numbers up to 4096 have counts of their own, and of others those within 1/2048 of their size share one. What comes in another order
 * counts the same.
 */

/** A page has the values of one sign and one exponent. */
const pageBits = 11;
const pageLength = 2 ** pageBits;
/** Of float32: behind sign and exponent, 23 bits of a fraction. */
const fractionBits = 23;
const pages = 2 ** 9;

const one = new Float32Array(1);
const bits = new Uint32Array(one.buffer);

export class ValueHistogram {
  /** 16 KiB each, made when a value first needs it: 8 MiB at most. */
  readonly #pages: (Float64Array | undefined)[] = Array(pages).fill(undefined);
  #count = 0;

  /** @param value a finite number, taken as a float32 */
  add(value: number): void {
    one[0] = value;
    const key = bits[0] >>> (fractionBits - pageBits);
    const page = key >>> pageBits;
    const counts = this.#pages[page] ?? this.#newPage(page);
    counts[key & (pageLength - 1)]++;
    this.#count++;
  }

  /**
   * The least value that has at least this share of all values at or below it: the value itself or, where several are counted as one,
   * the one of them nearest to 0.
   * @param share above 0, at most 1
   */
  quantile(share: number): number {
    let below = 0;
    for (const page of ascending) {
      const counts = this.#pages[page];
      if (counts === undefined) continue;
      const isNegative = page >= pages / 2;
      for (let i = 0; i < pageLength; i++) {
        const at = isNegative ? pageLength - 1 - i : i;
        below += counts[at];
        if (counts[at] > 0 && below >= share * this.#count) return valueAt(page, at);
      }
    }
    return Number.NaN;
  }

  #newPage(page: number): Float64Array {
    const counts = new Float64Array(pageLength);
    this.#pages[page] = counts;
    return counts;
  }
}

/** From the most negative values' page to that of the largest: the sign is the first bit, and negative sizes go down. */
const ascending: readonly number[] = [
  ...Array.from({ length: pages / 2 }, (_, i) => pages - 1 - i),
  ...Array.from({ length: pages / 2 }, (_, i) => i),
];

function valueAt(page: number, at: number): number {
  bits[0] = ((page << pageBits) | at) << (fractionBits - pageBits);
  // There is a 0 below 0, too.
  return one[0] === 0 ? 0 : one[0];
}
