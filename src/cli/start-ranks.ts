/** `--parallel`: on a machine with several GPUs, one rank for each of them, started by Open MPI's mpirun. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { launchOf } from "../distributed/launch.ts";
import { fault } from "../errors.ts";
import { listGpus } from "../native/gpus.ts";
import { consoleReporter } from "../utils/console-reporter.ts";
import { type StopSignal, stopSignals } from "../utils/reporter.ts";
import { endBy, signalExitCode } from "./exit.ts";
import { sameSignalMs } from "./terminal-reporter.ts";

/** What `--parallel` and `--device` of the work say; of an experiment, those of all its stages. */
export interface Asked {
  readonly parallel?: unknown;
  readonly device?: unknown;
}

/**
 * Where `--parallel` asks for it, runs this process's command on one rank a GPU and ends this process as they end. Returns where this
 * process is to do the work: as one that was started with others, or alone, and then says why.
 * @throws input: no mpirun
 */
export async function startRanks(read: () => readonly Asked[], quiet: boolean): Promise<void> {
  const work = read();
  if (!work.some(({ parallel }) => parallel === true)) return;
  const launch = launchOf();
  const { note } = consoleReporter({ quiet: quiet || (launch?.rank ?? 0) > 0 });
  if (launch !== undefined) return note(`--parallel: ${launch.by} has started the ${launch.size} ranks`);
  const gpus = gpusFor(work, () => listGpus().gpus.length);
  if (typeof gpus === "string") return note(`--parallel: one process, since ${gpus}`);
  note(`--parallel: ${gpus} ranks, one for each GPU`);
  const end = await runOnRanks(gpus, [process.execPath, ...process.execArgv, ...process.argv.slice(1)]);
  if (end.stopped !== undefined) endBy(end.stopped);
  process.exit(end.code);
}

/** How many GPUs there are for the work; of fewer than two, why one process does it. */
export function gpusFor(work: readonly Asked[], countGpus: () => number): string | number {
  const other = work.find(({ device }) => device !== "cuda");
  if (other !== undefined) {
    const { device = "cpu" } = other;
    return device === "cpu" ? "it is for GPUs (mpirun -n N starts ranks on CPUs)" : `--device ${device} is one GPU`;
  }
  const gpus = countGpus();
  return gpus > 1 ? gpus : `there is ${gpus === 1 ? "one" : "no"} GPU`;
}

/** How the ranks have ended: by themselves, with an exit code, or behind a signal that this process was sent. */
interface End {
  readonly code: number;
  readonly stopped: StopSignal | undefined;
}

/** How soon a signal is passed on, once there are ranks to hear it. */
const lookEveryMs = 20;

/** What a first signal to this process sends to mpirun, which passes it on and leaves time for it; and then, by those who lose patience. */
const sent = ["SIGUSR1", "SIGTERM", "SIGKILL"] as const;

/**
 * Runs a command on so many ranks and waits for them. A signal to this process has them save and stop; a second one, stop at once.
 * @throws input: no mpirun
 */
export async function runOnRanks(ranks: number, command: readonly string[], mpirun = "mpirun"): Promise<End> {
  // Each has its share of the processors, instead of mpirun's one, for the loader's threads as well.
  const threads = String(Math.max(1, Math.floor(availableParallelism() / ranks)));
  // A machine or a job may have fewer of mpirun's slots than GPUs: it is the GPUs that count.
  const child = spawn(mpirun, ["--bind-to", "none", "--oversubscribe", "-n", String(ranks), ...command], {
    stdio: ["ignore", "inherit", "inherit"],
    env: { OMP_NUM_THREADS: threads, ...process.env },
    // In a group of its own: of a terminal's Ctrl-C mpirun is to hear through this process alone.
    detached: true,
  });
  let stopped: StopSignal | undefined;
  let signals = 0;
  let sinceMs = 0;
  const stop = async (signal: StopSignal) => {
    if (signals > 0 && performance.now() - sinceMs < sameSignalMs) return;
    stopped ??= signal;
    sinceMs = performance.now();
    const next = sent[Math.min(signals++, sent.length - 1)];
    // Before it has started them, mpirun would lose it.
    while (next === "SIGUSR1" && !hasChildren(child.pid) && child.exitCode === null) await delay(lookEveryMs);
    child.kill(next);
  };
  for (const signal of stopSignals) process.on(signal, stop);
  try {
    const [code, signal] = (await once(child, "close")) as [number | null, NodeJS.Signals | null];
    const end = code ?? signalExitCode(signal!);
    return { code: end, stopped: signals > 1 || end === signalExitCode("SIGUSR1") ? stopped : undefined };
  } catch (cause) {
    const got = cause instanceof Error ? cause.message : String(cause);
    const next = "install Open MPI (Debian: `apt-get install openmpi-bin`), start with torchrun, or leave it out";
    throw fault(
      "input",
      { where: "--parallel", rule: "needs Open MPI's mpirun, to start one rank a GPU", got, next },
      cause,
    );
  } finally {
    for (const signal of stopSignals) process.off(signal, stop);
  }
}

/** Whether a process has started others. Where the system does not tell, it is taken to have. */
function hasChildren(pid: number | undefined): boolean {
  try {
    const threads = `/proc/${pid}/task`;
    return readdirSync(threads).some((thread) => readFileSync(`${threads}/${thread}/children`, "utf8").trim() !== "");
  } catch {
    return true;
  }
}
