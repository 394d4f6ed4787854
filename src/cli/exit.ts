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
    process.exit(signalExitCode(error.signal));
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
 * A person's and a system's wish that the program ends, and those that batch systems and closed terminals send: USR1 is what
 * `sbatch --signal` is usually told to send before the time is up.
 */
export const stops = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/** Exit code of a process that a signal ended. */
export function signalExitCode(signal: NodeJS.Signals): number {
  return 128 + constants.signals[signal];
}
