/** What is said of an error that ends the program, and the exit code. Needs no package, since one may be what cannot be loaded. */
import { isLaterRank } from "../distributed/launch.ts";
import { exitCodes, PatchDropError, sentences } from "../errors.ts";
import { withoutSystemErrors } from "../utils/system-error.ts";

/** Ends the process: one line on stderr for each fault, and the exit code of its kind. */
export function fail(thrown: unknown): never {
  process.exit(report(thrown));
}

/** The launcher has ended the other ranks by then. */
const firstSpeaksMs = 2000;

/** Of what all ranks meet, such as a wrong option, the first is to speak alone: the others wait here until they are ended. */
export function letFirstSpeak(): void {
  if (!isLaterRank()) return;
  // Whoever is asleep can't listen: the signal itself ends the process.
  process.removeAllListeners("SIGTERM");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, firstSpeaksMs);
}

/** Says what went wrong, one line on stderr for each fault, each behind `who`, and gives the exit code of its kind. */
export function report(thrown: unknown, who = ""): number {
  letFirstSpeak();
  const error = withoutSystemErrors(thrown);
  const code = error instanceof PatchDropError ? error.exitCode : exitCodes.internal;
  for (const line of sentences(error)) process.stderr.write(`error: ${who}${line}\n`);
  if (code === exitCodes.internal) {
    process.stderr.write("error: this is a bug in patchdrop; please report it with the output of --debug\n");
  }
  if (process.argv.includes("--debug") && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  return code;
}
