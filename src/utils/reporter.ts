/** How work reports to whoever started it, and how it ends early. */

export interface Reporter {
  /** A bar for `total` images under `label`, of which `done` were done in an earlier session. */
  progress(label: string, total: number, done?: number): ReporterBar;
  note(text: string): void;
  /** The signal that asked for a stop, if any. */
  stopping(): NodeJS.Signals | undefined;
}

export interface ReporterBar {
  update(done: number, numbers?: Record<string, string>): void;
  stop(): void;
}

/** Says nothing and is never stopped. */
export const silentReporter: Reporter = {
  progress: () => ({ update: () => {}, stop: () => {} }),
  note: () => {},
  stopping: () => undefined,
};

/** Work with nothing to save ends by throwing this when a signal asks it to. */
export class Stopped extends Error {
  readonly signal: NodeJS.Signals;

  constructor(signal: NodeJS.Signals) {
    super(`stopped by ${signal}`);
    this.signal = signal;
  }
}
