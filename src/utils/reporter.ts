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
  return { ...reporter, stopping: () => (signal.aborted ? "SIGTERM" : reporter.stopping()) };
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
