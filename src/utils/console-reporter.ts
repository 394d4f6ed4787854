/** Progress for a person to read, on stderr. */
import { oneLine } from "../errors.ts";
import { createProgress } from "./progress.ts";
import type { Reporter } from "./reporter.ts";

/**
 * Reports to stderr: a bar on a terminal, a line after each silent minute elsewhere, and notes. Asks for no stop: signals are the program's,
 * see `stopOn`.
 * @param quiet says nothing at all
 */
export function consoleReporter({ quiet = false }: { readonly quiet?: boolean } = {}): Reporter {
  let bar: ReturnType<typeof createProgress> | undefined;
  const said = { at: performance.now() };
  return {
    note(text) {
      if (quiet) return;
      const line = oneLine(text);
      if (bar !== undefined) return bar.note(line);
      said.at = performance.now();
      process.stderr.write(`${line}\n`);
    },
    stopping: () => undefined,
    progress(label, total, done = 0) {
      const own = createProgress({ label, total, before: done, quiet, said });
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
