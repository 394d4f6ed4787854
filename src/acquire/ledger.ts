/**
 * What was read from the source, counted where it arrives: bytes of the answers' bodies, including answers that broke off,
 * and requests, including retries. Headers are not counted, as in a server's log of bytes sent.
 */

/** What bytes are for: finding the others, looking, acquiring; or the whole file, if a server sends only all of it. */
export const purposes = ["header", "low", "high", "whole_file"] as const;
export type Purpose = (typeof purposes)[number];

export interface Count {
  bytes: number;
  requests: number;
}

/** The wall time in which something was under way. */
interface Time {
  seconds: number;
  underway: number;
  /** When it was last looked at. */
  since: number;
}

/** What one ledger hands to another. */
export interface Counted {
  readonly by: readonly (Readonly<Count> & { readonly purpose: Purpose; readonly seconds: number })[];
  readonly retries: number;
}

export class Ledger {
  readonly #counts = new Map<Purpose, Count>(purposes.map((purpose) => [purpose, { bytes: 0, requests: 0 }]));
  readonly #times = new Map<Purpose, Time>(purposes.map((purpose) => [purpose, { seconds: 0, underway: 0, since: 0 }]));
  /** Requests that were repeated. */
  retries = 0;

  request(purpose: Purpose): void {
    this.#counts.get(purpose)!.requests++;
  }

  received(purpose: Purpose, bytes: number): void {
    this.#counts.get(purpose)!.bytes += bytes;
  }

  /** Does work that fetches, and counts the time in which any such work was under way. */
  async during<T>(purpose: Purpose, work: () => Promise<T>): Promise<T> {
    const time = this.#times.get(purpose)!;
    this.#pass(time);
    time.underway++;
    try {
      return await work();
    } finally {
      this.#pass(time);
      time.underway--;
    }
  }

  #pass(time: Time): void {
    const now = performance.now();
    if (time.underway > 0) time.seconds += (now - time.since) / 1000;
    time.since = now;
  }

  /** In which something was being fetched from a server. */
  secondsOf(purpose: Purpose): number {
    const time = this.#times.get(purpose)!;
    this.#pass(time);
    return time.seconds;
  }

  /** Takes out what was counted until now. */
  take(): Counted {
    const { retries } = this;
    const by = purposes.map((purpose) => {
      const seconds = this.secondsOf(purpose);
      const { bytes, requests } = this.of(purpose);
      Object.assign(this.#counts.get(purpose)!, { bytes: 0, requests: 0 });
      this.#times.get(purpose)!.seconds = 0;
      return { purpose, bytes, requests, seconds };
    });
    this.retries = 0;
    return { by, retries };
  }

  /** Adds what another one counted. */
  add({ by, retries }: Counted): void {
    this.retries += retries;
    for (const { purpose, bytes, requests, seconds } of by) {
      const count = this.#counts.get(purpose)!;
      count.bytes += bytes;
      count.requests += requests;
      this.#times.get(purpose)!.seconds += seconds;
    }
  }

  of(purpose: Purpose): Readonly<Count> {
    return this.#counts.get(purpose)!;
  }

  get total(): Readonly<Count> {
    const counts = [...this.#counts.values()];
    const sum = (key: keyof Count) => counts.reduce((all, count) => all + count[key], 0);
    return { bytes: sum("bytes"), requests: sum("requests") };
  }
}
