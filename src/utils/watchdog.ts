/** Ends what has fallen silent: a timer that has to be reset again and again. */

/** Aborts its signal when nobody calls `reset` for `timeoutMs`. */
export class Watchdog {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(timeoutMs: number) {
    this.#timer = setTimeout(() => this.#controller.abort(new Error(`nothing came for ${timeoutMs} ms`)), timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  reset(): void {
    this.#timer.refresh();
  }

  /** Ends the watch, and the connection if it is still open. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }
}
