/** How a command talks to a person while it works: a bar or lines on stderr, and signals turned into a request to stop. */
import { createProgress } from "../utils/progress.ts";
import type { Reporter } from "../utils/reporter.ts";
import { signalExitCode, stops } from "./exit.ts";

/** Reports to stderr; `quiet` leaves only errors. Signals ask for a stop; a second one stops at once. */
export function terminalReporter({ quiet }: { quiet: boolean }): Reporter {
  let stopping: NodeJS.Signals | undefined;
  let bar: ReturnType<typeof createProgress> | undefined;
  const note = (text: string) => {
    if (quiet) return;
    if (bar === undefined) process.stderr.write(`${text}\n`);
    else bar.note(text);
  };
  for (const signal of stops) {
    process.removeAllListeners(signal).on(signal, () => {
      if (stopping !== undefined) process.exit(signalExitCode(signal));
      stopping = signal;
      note(`${signal}: stopping after this step; press Ctrl-C again to stop at once`);
    });
  }
  return {
    note,
    stopping: () => stopping,
    progress(label, total, done = 0) {
      const own = createProgress({ label, total, before: done, quiet });
      bar = own;
      return {
        update: (done, numbers) => own.update(done, numbers),
        stop() {
          own.stop();
          bar = undefined;
        },
      };
    },
  };
}
