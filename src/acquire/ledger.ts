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

export class Ledger {
  readonly #counts = new Map<Purpose, Count>(purposes.map((purpose) => [purpose, { bytes: 0, requests: 0 }]));
  /** Requests that were repeated. */
  retries = 0;

  request(purpose: Purpose): void {
    this.#counts.get(purpose)!.requests++;
  }

  received(purpose: Purpose, bytes: number): void {
    this.#counts.get(purpose)!.bytes += bytes;
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
