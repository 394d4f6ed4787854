/**
 * A file that says which process has a folder or file to itself, so that only one of several does. A process that dies leaves its
 * lock behind, and the next one takes it over: the file holds enough to recognize this (process id, host, start time), since
 * the system reuses process ids.
 *
 * A lock appears whole or not at all. Taking one over never moves or replaces what a rival may have put there meanwhile:
 * a process that wants to succeed a dead lock makes a second file, named after what the dead one holds, and that file can be
 * made only once. Its maker is the successor: it checks that the dead lock is still there, and only then renames its file
 * over it. A successor that dies on the way is succeeded likewise. docs/decisions/one-lock.md has the reasons.
 */

import { randomUUID } from "node:crypto";
import { lstatSync, renameSync, rmSync } from "node:fs";
import { utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { fault, type PatchDropError } from "../errors.ts";
import { sha256 } from "../utils/sha256.ts";
import { createFileAtomic, systemFault, temporaryPrefix } from "./atomic.ts";
import { isRunning, type JobStart, jobStart, processStart } from "./owner.ts";
import { placeBeside } from "./place-beside.ts";
import { readRegular } from "./read.ts";

const holderSchema = z.strictObject({
  pid: z.int().positive(),
  host: z.string(),
  /** When the process started, as {@link processStart} gives it; null if the system does not say. */
  start: z.string().nullable().default(null),
  /** As {@link jobStart} gives it; none outside of a cluster's job. */
  job: z.strictObject({ id: z.string(), restarts: z.int() }).optional(),
  /** Random; none of an older version. */
  token: z.string().optional(),
});
/**
 * "unknown": the file is damaged and does not say whose it is, so that its process may live. "nobody": it is no lock of ours but a file
 * of the user's, or of another program.
 */
type Holder = z.infer<typeof holderSchema> | "unknown" | "nobody";

/** A lock file as it was read. */
interface Found {
  readonly place: string;
  /** Identifies the file's content, which holds a random token: no two locks have the same. */
  readonly mark: string;
  readonly touchedMs: number;
  readonly holder: Holder;
}

type IsGone = (found: Found) => boolean;

/** Releases the lock; a second call does nothing. Throws "system". */
export type Release = () => void;

/** Where the lock of a file or folder stands that has none inside. */
export function lockBeside(path: string): string {
  return placeBeside(path, "", ".lock");
}

/** Takes the lock file `path`. Throws "locked", with the holder's process id, where a living process has it, or it is no lock; "system". */
export function takeLock(path: string): Release {
  const taken = enter(path, isGone);
  if ("heldBy" in taken) throw lockedFault(path, taken.heldBy);
  return taken.release;
}

/** Whether a living process (or one that cannot be asked, as on another host) holds the lock: throws as a taker would. */
export function assertUnlocked(path: string): void {
  const { heldBy } = lastOf(path, isGone);
  if (heldBy !== undefined && heldBy !== "nobody") throw lockedFault(path, heldBy);
}

const pollMs = 200;
/** How often a holder touches its lock, so that those on other hosts see that it is alive. */
const touchMs = 5_000;

export interface WaitOptions {
  /** Told once who holds the lock, as "process 12" or "process 12 on HOST", when it has to be waited for. */
  onWait?: (who: string) => void;
  /** A holder that cannot be asked, and shows no sign of life for this long, counts as gone. */
  silentMs?: number;
}

/**
 * Runs `work` while holding the lock file `path`, after waiting for as long as another process holds it. Throws "locked" where that
 * is no lock; "system".
 */
export async function withLock<T>(path: string, work: () => Promise<T>, options: WaitOptions = {}): Promise<T> {
  const { onWait, silentMs = 60_000 } = options;
  const isSilent = silence(silentMs);
  const isGoneOrSilent: IsGone = (found) => isGone(found) || (isOutOfReach(found.holder) && isSilent(found));
  let taken = enter(path, isGoneOrSilent);
  for (let waited = false; "heldBy" in taken; waited = true) {
    if (taken.heldBy === "nobody") throw lockedFault(path, taken.heldBy);
    if (!waited) onWait?.(nameOf(taken.heldBy));
    await delay(pollMs);
    taken = enter(path, isGoneOrSilent);
  }
  const touching = setInterval(() => utimes(path, new Date(), new Date()).catch(() => undefined), touchMs).unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    taken.release();
  }
}

/** Takes the lock, unless somebody who is not gone has it. */
function enter(path: string, gone: IsGone): { readonly release: Release } | { readonly heldBy: Holder } {
  const holder = { pid: process.pid, host: hostname(), start: processStart(process.pid) ?? null, job: jobStart() };
  const bytes = new TextEncoder().encode(`${JSON.stringify({ ...holder, token: randomUUID() })}\n`);
  for (;;) {
    const { heldBy, dead, place } = lastOf(path, gone);
    if (heldBy !== undefined) return { heldBy };
    if (!createFileAtomic(place, bytes)) continue; // a rival was faster: look again
    if (dead.length === 0 || succeed(dead, place)) break;
  }
  const mark = sha256(bytes);
  return {
    release() {
      if (read(path)?.mark === mark) remove(path);
    },
  };
}

/**
 * Puts the lock `own`, made in succession of `dead`, in the first one's place. False if that is no longer there, since a
 * rival has taken it over: then `own` is removed.
 *
 * The first is looked at last. Files of the succession are only removed after it was replaced; so if it is there, all of
 * them were there, and nobody else can have made the file that `own` is.
 */
function succeed(dead: readonly Found[], own: string): boolean {
  const [first, ...others] = dead;
  if (dead.toReversed().every(({ place, mark }) => read(place)?.mark === mark)) {
    replace(first.place, own);
    for (const { place } of others) rmSync(place, { force: true });
    return true;
  }
  rmSync(own, { force: true });
  return false;
}

/** Throws "system". */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch (error) {
    throw systemFault("could not be removed", path, 0, error);
  }
}

/** Throws "system", and then `own` does not stay as if this process had the lock. */
function replace(dead: string, own: string): void {
  try {
    renameSync(own, dead);
  } catch (error) {
    rmSync(own, { force: true });
    throw systemFault("could not be replaced", dead, 0, error);
  }
}

/**
 * Follows the locks of those who are gone, from the file at `path` on, to the first one of somebody who is not, or to the
 * place where the next is to be made.
 */
function lastOf(path: string, gone: IsGone): { dead: Found[]; place: string; heldBy: Holder | undefined } {
  const dead: Found[] = [];
  for (let place = path; ; ) {
    const found = readSettled(place);
    if (found === undefined) return { dead, place, heldBy: undefined };
    if (!gone(found)) return { dead, place, heldBy: found.holder };
    dead.push(found);
    // One that nobody needs any more is removed with what other writers left: removeTemporaries.
    place = placeBeside(path, temporaryPrefix, `-after-${found.mark.slice(0, 32)}`);
  }
}

/** How long a lock may be empty, or not yet whole, where the file system has no links and it is copied. */
const settleMs = 100;

function readSettled(place: string): Found | undefined {
  const found = read(place);
  if (found === undefined || typeof found.holder === "object") return found;
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, settleMs);
  return read(place);
}

/** In bytes: many times a lock of ours. */
const longestLock = 2 ** 16;

/** Undefined if there is no file. Throws "system" if it cannot be read: that says nothing about its holder. */
function read(place: string): Found | undefined {
  try {
    // A link is none of ours, and one that leads nowhere would be no file to read and yet in the way.
    const found = lstatSync(place);
    const { mtimeMs: touchedMs, size } = found;
    if (found.isSymbolicLink() || size > longestLock) return { place, mark: "", touchedMs, holder: "nobody" };
    const bytes = readRegular(place);
    return { place, mark: sha256(bytes), touchedMs, holder: holderOf(bytes) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw systemFault("could not be read", place, 0, error);
  }
}

function holderOf(bytes: Buffer): Holder {
  const text = bytes.toString("utf8");
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    // What a lock says first and last: one of them outlives most damage.
    const begins = text.startsWith('{"pid":') && (text.includes(',"start":') || !isJson(text));
    return begins || text.includes(',"token":"') ? "unknown" : "nobody";
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Whether the holder has certainly ended. Of one that is out of reach nobody here can tell, unless our own job has begun anew since. */
function isGone({ holder }: Found): boolean {
  if (typeof holder !== "object") return false;
  return isOutOfReach(holder) ? isEarlierStart(holder.job, jobStart()) : !isAlive(holder);
}

/** A cluster starts a job again only once it has ended it. */
function isEarlierStart(job: JobStart | undefined, own: JobStart | undefined): boolean {
  return job !== undefined && job.id === own?.id && job.restarts < own.restarts;
}

/** Whether there is no process here to ask about. */
function isOutOfReach(holder: Holder): boolean {
  return holder === "unknown" || (holder !== "nobody" && holder.host !== hostname());
}

function isAlive({ pid, start }: z.infer<typeof holderSchema>): boolean {
  return isRunning(pid, (now) => start === null || now === start);
}

/** Whether a lock has gone untouched for `limitMs`, by this process's own clock: clocks of two hosts may differ. */
function silence(limitMs: number): IsGone {
  const seen = new Map<string, { touchedMs: number; sinceMs: number }>();
  return ({ mark, touchedMs }) => {
    const last = seen.get(mark);
    if (last?.touchedMs === touchedMs) return performance.now() - last.sinceMs >= limitMs;
    seen.set(mark, { touchedMs, sinceMs: performance.now() });
    return false;
  };
}

function nameOf(holder: Exclude<Holder, "nobody">): string {
  if (holder === "unknown") return "a process that its damaged lock does not name";
  return `process ${holder.pid}${isOutOfReach(holder) ? ` on ${holder.host}` : ""}`;
}

function lockedFault(path: string, holder: Holder): PatchDropError {
  if (holder === "nobody") {
    const next = "move it away, or write elsewhere";
    return fault("locked", { where: path, rule: "is not a lock of patchdrop", next });
  }
  return fault("locked", {
    where: path,
    rule: `is in use by ${nameOf(holder)}`,
    next: isOutOfReach(holder)
      ? "if that process has ended, delete this file; else write elsewhere"
      : "wait for it to end, or write elsewhere",
  });
}
