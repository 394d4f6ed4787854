/** Requests wait for their turn, so that no host has more than so many at a time. */

export class HostTurns {
  readonly #most: number;
  readonly #hosts = new Map<string, { underway: number; readonly waiting: (() => void)[] }>();

  /** @param most requests to a host at a time */
  constructor(most = 16) {
    this.#most = most;
  }

  /** Does work that is a request to the address. */
  async at<T>(url: string, work: () => Promise<T>): Promise<T> {
    const { host } = new URL(url);
    const own = this.#hosts.get(host) ?? { underway: 0, waiting: [] };
    this.#hosts.set(host, own);
    // Whoever ends hands the turn on, so that nobody comes in between.
    if (own.underway === this.#most) await new Promise<void>((resolve) => own.waiting.push(resolve));
    else own.underway++;
    try {
      return await work();
    } finally {
      const next = own.waiting.shift();
      if (next !== undefined) next();
      else if (--own.underway === 0) this.#hosts.delete(host);
    }
  }
}
