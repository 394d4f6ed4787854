/** Notices when work has become much slower than it was, as it does where other processes take the processors. */

/** How much slower, for how long. */
const factor = 3;
const lastsMs = 30_000;
/** Steps of which the median is known; older ones are forgotten. */
const remembered = 1000;

/** Told of each step of some work; says once, behind that step, that it has been slow for {@link lastsMs}. */
export class SlowWatch {
  readonly #msEach: number[] = [];
  /** The least of all, from which most steps can be told to be usual without sorting. */
  #least = Number.POSITIVE_INFINITY;
  #slow = { ms: 0, images: 0 };
  #isSaid = false;

  /** @param ms that a step of `images` images took @returns how many times as long as the median's */
  step(images: number, ms: number): number | undefined {
    if (this.#isSaid || images === 0) return undefined;
    const each = ms / images;
    this.#least = Math.min(this.#least, each);
    const usual = each > factor * this.#least ? this.#median() : undefined;
    const isSlow = usual !== undefined && each > factor * usual;
    const { ms: before, images: others } = this.#slow;
    this.#slow = isSlow ? { ms: before + ms, images: others + images } : { ms: 0, images: 0 };
    // What is slow must not become what is usual while it is watched.
    if (!isSlow) this.#remember(each);
    if (this.#slow.ms < lastsMs) return undefined;
    this.#isSaid = true;
    return this.#slow.ms / this.#slow.images / usual!;
  }

  #remember(each: number): void {
    if (this.#msEach.length === remembered) this.#msEach.shift();
    this.#msEach.push(each);
  }

  #median(): number | undefined {
    const sorted = this.#msEach.slice().sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }
}
