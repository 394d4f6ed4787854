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

/** For work that has something to save: a stop is an outcome; other errors are thrown on. */
export function stoppedBy(error: unknown): Stopped {
  if (error instanceof Stopped) return error;
  throw error;
}

/** Between two steps of long work: lets signals in. @throws Stopped when one asked for it */
export async function breathe(reporter: Reporter): Promise<void> {
  await new Promise(setImmediate);
  const signal = reporter.stopping();
  if (signal !== undefined) throw new Stopped(signal);
}

/** How soon a stop ends waiting. */
const lookEveryMs = 50;

/**
 * Waits for work that looks for no stop itself, such as a server's answer or a folder being read. Once stopped, nobody
 * waits for it any more, and whatever becomes of it is ignored.
 * @throws Stopped when a signal asked for it; what the work throws
 */
export async function untilStopped<T>(reporter: Reporter, work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  let watch: NodeJS.Timeout | undefined;
  const stopped = new Promise<never>((_, reject) => {
    watch = setInterval(() => {
      const signal = reporter.stopping();
      if (signal !== undefined) reject(new Stopped(signal));
    }, lookEveryMs);
  });
  try {
    return await Promise.race([work, stopped]);
  } finally {
    clearInterval(watch);
  }
}
