/**
 * One process per run folder: a file that says which process holds the folder. Made with O_EXCL, so only one of several
 * processes gets it. A process that died leaves its lock, which is then taken over: the file holds enough to tell
 * (process id, host, start time), since the system gives process ids again.
 */

import { randomUUID } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, rmSync } from "node:fs";
import { hostname } from "node:os";
import { z } from "zod";
import { fault, type PatchDropError } from "../errors.ts";
import { systemFault, writeAll, writeFileAtomic } from "./atomic.ts";

const holderSchema = z.object({
  pid: z.int().positive(),
  host: z.string(),
  /** When the process started, as {@link processStart} gives it; null where the system does not tell. */
  start: z.string().nullable(),
  /** Tells two locks of one process apart. */
  token: z.string(),
});
type Holder = z.infer<typeof holderSchema>;

/** How long a file may be empty between its creation and its first bytes, and how long a takeover waits for a rival. */
const settleMs = 100;

/** Releases the lock; a second call does nothing. */
export type Release = () => void;

/** Takes the lock file `path`. Throws "locked", with the holder's process id, where a living process has it. */
export function takeLock(path: string): Release {
  const holder: Holder = {
    pid: process.pid,
    host: hostname(),
    start: processStart(process.pid) ?? null,
    token: randomUUID(),
  };
  const bytes = new TextEncoder().encode(`${JSON.stringify(holder)}\n`);
  if (!create(path, bytes)) {
    const other = readSettled(path);
    if (other !== undefined && isAlive(other)) throw lockedFault(path, other);
    takeOver(path, bytes, holder.token);
  }
  return () => {
    if (readHolder(path)?.token === holder.token) rmSync(path, { force: true });
  };
}

/** Whether a living process (or one on another host, which cannot be asked) holds the lock: throws as a taker would. */
export function assertUnlocked(path: string): void {
  const other = readHolder(path);
  if (other !== undefined && isAlive(other)) throw lockedFault(path, other);
}

/** False where the file exists. */
function create(path: string, bytes: Uint8Array): boolean {
  let file: number;
  try {
    file = openSync(path, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw systemFault("could not be written", path, bytes.byteLength, error);
  }
  try {
    writeAll(file, bytes);
    fsyncSync(file);
  } catch (error) {
    rmSync(path, { force: true });
    throw systemFault("could not be written", path, bytes.byteLength, error);
  } finally {
    closeSync(file);
  }
  return true;
}

/**
 * Replaces a dead process's lock. Two processes may get here at once; the later rename wins, and after a pause longer
 * than the time between anyone's look and rename each of them sees who it was.
 */
function takeOver(path: string, bytes: Uint8Array, token: string): void {
  writeFileAtomic(path, bytes);
  pause(settleMs);
  const winner = readHolder(path);
  if (winner !== undefined && winner.token !== token) throw lockedFault(path, winner);
}

/** The holder; a lock that is not readable may be on its way, so it is read again after a pause. */
function readSettled(path: string): Holder | undefined {
  const holder = readHolder(path);
  if (holder !== undefined) return holder;
  pause(settleMs);
  return readHolder(path);
}

/** Undefined where there is no lock, or one that its writer did not finish. */
function readHolder(path: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch {
    return undefined;
  }
}

function isAlive({ pid, host, start }: Holder): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0); // signal 0 only asks whether the process exists
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH";
  }
  const now = processStart(pid);
  return start === null || now === undefined || now === start;
}

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

function lockedFault(path: string, { pid, host }: Holder): PatchDropError {
  const here = host === hostname();
  return fault("locked", {
    where: path,
    rule: `the run folder is in use by process ${pid}${here ? "" : ` on ${host}`}`,
    next: here
      ? "wait for it to end, or give another --cv_dir"
      : "if that process has ended, delete this file; else give another --cv_dir",
  });
}

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
