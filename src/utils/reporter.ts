/** How work reports to whoever started it, and how it ends early. */

/**
 * A person's and a system's wish that the program ends, and those that batch systems and closed terminals send: USR1 is what
 * `sbatch --signal` is usually told to send before the time is up.
 */
export const stopSignals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;
/** A signal that asks for a stop. */
export type StopSignal = (typeof stopSignals)[number];

/** Hears of the progress of work, and is asked between its steps whether it is to end. */
export interface Reporter {
  /** A bar for `total` images under `label`, of which `done` were done in an earlier session. */
  progress(label: string, total: number, done?: number): ReporterBar;
  /** One line that a person should read. */
  note(text: string): void;
  /** The signal that asked for a stop, if any: training then saves and returns, other work throws {@link Stopped}. */
  stopping(): StopSignal | undefined;
}

/** How far one long step is. */
export interface ReporterBar {
  /** @param done images so far; @param numbers the few that matter, as they are to be shown */
  update(done: number, numbers?: Record<string, string>): void;
  stop(): void;
}

/** Says nothing and is never stopped. */
export const silentReporter: Reporter = {
  progress: () => ({ update: () => {}, stop: () => {} }),
  note: () => {},
  stopping: () => undefined,
};

/**
 * The reporter, which also asks for a stop once `signal`, an AbortSignal, is aborted, as SIGTERM would:
 *
 *     await train(stage, options, { reporter: stopOn(AbortSignal.timeout(3_600_000), consoleReporter()) });
 */
export function stopOn(signal: { readonly aborted: boolean }, reporter: Reporter = silentReporter): Reporter {
  return { ...loose(reporter), stopping: () => (signal.aborted ? "SIGTERM" : reporter.stopping()) };
}

/** The same reporter, whose functions may be handed on alone: a user's may be an object of a class. */
export function loose(reporter: Reporter): Reporter {
  return {
    progress: (...about) => reporter.progress(...about),
    note: (text) => reporter.note(text),
    stopping: () => reporter.stopping(),
  };
}

/** Work with nothing to save ends by throwing this when a signal asks it to. */
export class Stopped extends Error {
  override readonly name = "Stopped";
  readonly signal: StopSignal;

  constructor(signal: StopSignal) {
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
