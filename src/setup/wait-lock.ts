/**
 * A lock file that lets one process at a time into a folder; others wait. It saves work (one download, not two) and
 * guards nothing that a rename does not guard anyway.
 */
import { readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import { setTimeout as delay } from "node:timers/promises";

/** The holder touches its lock so often; one that was not touched for much longer has no holder any more. */
const touchMs = 5_000;
const abandonedMs = 60_000;
const pollMs = 200;

interface Holder {
  readonly pid: number;
  readonly host: string;
}

/** Runs `work` while holding the lock `file`; `onWait` is called once, when another process holds it. */
export async function withLock<T>(file: string, work: () => Promise<T>, onWait: (pid: number) => void): Promise<T> {
  for (let told = false; !(await take(file)); ) {
    const holder = await readHolder(file);
    if (holder !== undefined && !told) {
      told = true;
      onWait(holder.pid);
    }
    await delay(pollMs);
  }
  const touching = setInterval(() => {
    utimes(file, new Date(), new Date()).catch(() => undefined);
  }, touchMs);
  touching.unref();
  try {
    return await work();
  } finally {
    clearInterval(touching);
    await rm(file, { force: true });
  }
}

async function take(file: string): Promise<boolean> {
  const self: Holder = { pid: process.pid, host: os.hostname() };
  try {
    await writeFile(file, JSON.stringify(self), { flag: "wx" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  if (await isAbandoned(file)) {
    // Only one of several that come here at once moves the file away; all of them then try again.
    const aside = `${file}.${process.pid}`;
    await rename(file, aside).catch(() => undefined);
    await rm(aside, { force: true });
  }
  return false;
}

async function isAbandoned(file: string): Promise<boolean> {
  const [found, holder] = await Promise.all([stat(file).catch(() => undefined), readHolder(file)]);
  if (found === undefined) return false;
  if (holder?.host === os.hostname() && !isRunning(holder.pid)) return true;
  return Date.now() - found.mtimeMs > abandonedMs;
}

async function readHolder(file: string): Promise<Holder | undefined> {
  try {
    const { pid, host } = JSON.parse(await readFile(file, "utf8")) as Partial<Holder>;
    return Number.isSafeInteger(pid) && typeof host === "string" ? { pid: pid as number, host } : undefined;
  } catch {
    // Gone meanwhile, or not yet written to its end.
    return undefined;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
