/** Ends what has fallen silent or become too slow: timers that what arrives holds off. */

/** How slow what arrives may be. */
export interface LeastPace {
  readonly bytesPerSecond: number;
  /** The pace of one connection is the mean over this time, again and again, from its first byte on. */
  readonly windowMs: number;
}

/** Aborts its signal when nothing arrives for `timeoutMs`, or too little in a window. */
export class Watchdog {
  readonly #controller = new AbortController();
  readonly #silence: NodeJS.Timeout;
  readonly #pace: LeastPace;
  #window: NodeJS.Timeout | undefined;
  /** In this window. */
  #bytes = 0;

  constructor(timeoutMs: number, pace: LeastPace) {
    this.#pace = pace;
    this.#silence = setTimeout(() => this.#abort(`nothing came for ${timeoutMs} ms`), timeoutMs);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  arrived(bytes: number): void {
    this.#silence.refresh();
    this.#bytes += bytes;
    this.#window ??= setInterval(() => this.#look(), this.#pace.windowMs);
  }

  /** Ends the watch, and the connection if it is still open. */
  stop(): void {
    clearTimeout(this.#silence);
    clearInterval(this.#window);
    this.#controller.abort();
  }

  #look(): void {
    const { bytesPerSecond, windowMs } = this.#pace;
    if (this.#bytes < (bytesPerSecond * windowMs) / 1000) {
      this.#abort(`only ${this.#bytes} bytes came in ${windowMs} ms`);
    }
    this.#bytes = 0;
  }

  #abort(reason: string): void {
    this.#controller.abort(new Error(reason));
  }
}
