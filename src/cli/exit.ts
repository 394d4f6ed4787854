/** How a command ends: with help, by a signal, or with an error (failure.ts). */
import { constants } from "node:os";
import { CommanderError } from "commander";
import { exitCodes } from "../errors.ts";
import { Stopped } from "../utils/reporter.ts";
import { fail } from "./failure.ts";

/** Ends the process as `error` asks for. */
export function finish(error: unknown): never {
  if (error instanceof CommanderError) {
    // Commander has printed it. Help and version are no errors.
    process.exit(error.exitCode === 0 ? 0 : exitCodes.usage);
  }
  if (error instanceof Stopped) {
    process.stderr.write(`${error.message}\n`);
    endBy(error.signal);
  }
  fail(error);
}

/**
 * Ends the process with the exit code of one that this signal ended. Of a terminal that was closed the signal itself ends it:
 * Node would set the terminal back first, and abort where there is none.
 */
export function endBy(signal: NodeJS.Signals): never {
  if (signal === "SIGHUP") {
    // The signal ends it without a word to those who wait for the end, such as to end a program that was started.
    process.emit("exit", signalExitCode(signal));
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  }
  process.exit(signalExitCode(signal));
}

/** What a shell says of a process that this signal ended. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
