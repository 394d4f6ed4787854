/** A command as many processes, started by what users start them with. */
import { type Running, startCommand } from "./program.ts";

/** Starts so many processes of a command by mpirun, as root too, and on fewer processors. */
export function mpirun(count: number, command: readonly string[]): Running {
  return mpirunWith(["-n", String(count), ...command]);
}

/** With what says how many processes of which commands. */
export function mpirunWith(args: readonly string[]): Running {
  const asRoot = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };
  return startCommand(["mpirun", "--oversubscribe", "--bind-to", "none", ...args], asRoot);
}

/** The same by torchrun, which names a number of threads where none is named. */
export function torchrun(count: number, command: readonly string[]): Running {
  const flags = ["--standalone", "--no-python", "--nproc-per-node", String(count)];
  return startCommand(["env", "-u", "OMP_NUM_THREADS", "torchrun", ...flags, ...command]);
}

/** The lines of the program itself: what starts it has much to say where a rank fails. */
export const errorsOf = (stderr: string): string[] => stderr.split("\n").filter((line) => line.startsWith("error: "));
