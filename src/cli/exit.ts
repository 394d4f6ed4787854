/** How a command ends: one line on stderr for each fault, and the exit code of its kind. */
import { constants } from "node:os";
import { CommanderError } from "commander";
import { exitCodes, PatchDropError, sentences } from "../errors.ts";
import { Stopped } from "../utils/reporter.ts";

/** Ends the process as `error` asks for. */
export function finish(error: unknown, debug: boolean): never {
  if (error instanceof CommanderError) {
    // Commander has printed it. Help and version are no errors.
    process.exit(error.exitCode === 0 ? 0 : exitCodes.usage);
  }
  if (error instanceof Stopped) {
    process.stderr.write(`${error.message}\n`);
    endBy(error.signal);
  }
  const code = error instanceof PatchDropError ? error.exitCode : exitCodes.internal;
  for (const line of sentences(error)) process.stderr.write(`error: ${line}\n`);
  if (code === exitCodes.internal) {
    process.stderr.write("error: this is a bug in patchdrop; please report it with the output of --debug\n");
  }
  if (debug && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  process.exit(code);
}

/**
 * Ends the process with the exit code of one that this signal ended. Of a terminal that was closed the signal itself ends it:
 * Node would set the terminal back first, and abort where there is none.
 */
export function endBy(signal: NodeJS.Signals): never {
  if (signal === "SIGHUP") {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  process.exit(128 + constants.signals[signal]);
}
