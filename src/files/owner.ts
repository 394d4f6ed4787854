/**
 * Which process a file belongs to, and whether that process has ended. Process ids are used again, so a process is known by
 * its id and the time when it started; and other machines, or containers, that share a folder have ids of their own.
 */

import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import type { Environment } from "../utils/cache-folder.ts";
import { sha256 } from "../utils/sha256.ts";

/**
 * The boot's id and the clock ticks from boot to the process's start, from Linux's /proc (proc(5): field 22 of stat,
 * counted behind the command's closing bracket, since a command may hold spaces). Undefined on other systems.
 */
export function processStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const ticks = stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return ticks === undefined ? undefined : `${boot}/${ticks}`;
  } catch {
    return undefined;
  }
}

/** Whether a process of this machine has not ended; its id may have gone to another one. @param isSame tells by the start */
export function isRunning(pid: number, isSame: (start: string) => boolean): boolean {
  try {
    process.kill(pid, 0); // signal 0 only asks whether the process exists
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
  if (isZombie(pid)) return false;
  const start = processStart(pid);
  return start === undefined || isSame(start);
}

/** Whether a process has ended and only waits for its parent to hear of it. Source: proc(5), fields 3 and 20 of stat. */
function isZombie(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    // With more threads than that of the zombie itself, some of them have not ended yet.
    return fields[0] === "Z" && fields[17] === "1";
  } catch {
    return false;
  }
}

/** One of the starts of a cluster's job, which keeps its number when it is put into the queue again. */
export interface JobStart {
  readonly id: string;
  /** How often the job was started before. */
  readonly restarts: number;
}

/**
 * The start of a Slurm job that this process belongs to; undefined if it belongs to none. Source: sbatch(1), "OUTPUT
 * ENVIRONMENT VARIABLES"; the first start has no SLURM_RESTART_COUNT.
 */
export function jobStart(environment: Environment = process.env): JobStart | undefined {
  const { SLURM_JOB_ID: id, SLURM_CLUSTER_NAME: cluster = "", SLURM_RESTART_COUNT: restarts = "0" } = environment;
  if (id === undefined || !/^\d{1,9}$/.test(restarts)) return undefined;
  return { id: `slurm/${cluster}/${id}`, restarts: Number(restarts) };
}

/** Names this process, for the names of files: where it runs, its id, when it started. */
export function ownerMark(pid: number = process.pid): string {
  return `${here()}.${pid}.${startMark(processStart(pid))}`;
}

/** Whether a mark is that of a process that has certainly ended. */
export function hasEnded(mark: string): boolean {
  const [, where, pid, start] = /^([0-9a-f]{8})\.([1-9]\d*)\.([0-9a-f]{8})$/.exec(mark) ?? [];
  if (where !== here()) return false;
  return !isRunning(Number(pid), (now) => start === unknownStart || start === startMark(now));
}

const unknownStart = "00000000";

function startMark(start: string | undefined): string {
  return start === undefined ? unknownStart : sha256(start).slice(0, 8);
}

/** The machine and, where there are several, the space of process ids. */
function here(): string {
  let ids = "";
  try {
    ids = readlinkSync("/proc/self/ns/pid");
  } catch {} // not Linux
  return sha256(`${hostname()} ${ids}`).slice(0, 8);
}
