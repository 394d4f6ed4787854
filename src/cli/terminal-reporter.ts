/** How a command talks to a person while it works: a bar or lines on stderr, and signals turned into a request to stop. */
import { consoleReporter } from "../utils/console-reporter.ts";
import { type Reporter, type StopSignal, stopSignals } from "../utils/reporter.ts";
import { endBy } from "./exit.ts";

/**
 * What comes sooner after the first signal is the same one: `timeout` and npm send theirs to the process and to its group, which
 * it is in, too.
 */
export const sameSignalMs = 300;

/** Reports to stderr; `quiet` leaves only errors. Signals ask for a stop; a second one stops at once. */
export function terminalReporter({ quiet }: { quiet: boolean }): Reporter {
  let stopping: StopSignal | undefined;
  let sinceMs = 0;
  const reporter = consoleReporter({ quiet });
  for (const signal of stopSignals) {
    // In this order: a signal that arrives while nobody listens would be lost.
    const former = process.listeners(signal);
    process.on(signal, () => {
      if (stopping === undefined) {
        [stopping, sinceMs] = [signal, performance.now()];
        reporter.note(`${signal}: stopping after this step; press Ctrl-C again to stop at once`);
      } else if (performance.now() - sinceMs >= sameSignalMs) endBy(signal);
    });
    for (const listener of former) process.removeListener(signal, listener);
  }
  return { ...reporter, stopping: () => stopping };
}
