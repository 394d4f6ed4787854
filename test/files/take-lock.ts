/**
 * A process that takes a lock again and again, for lock.test.ts: `take-lock.ts LOCK TIMES`. Ends with 1 when another has
 * it at the same time. Every other time it leaves the lock as a process that died would, for the others to take over.
 */
import { closeSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { PatchDropError } from "../../src/errors.ts";
import { takeLock } from "../../src/files/lock.ts";

const [lock, times] = process.argv.slice(2);
/** Never the id of a process: they end at 2^22 on Linux and far below on macOS. */
const nobody = 2 ** 22 + 1;

function pause(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

// Between the look at a holder and what follows there may be any time.
const { kill } = process;
process.kill = (pid: number, signal?: string | number): true => {
  try {
    return kill.call(process, pid, signal);
  } finally {
    if (Math.random() < 0.5) pause(Math.random() * 20);
  }
};

function taken(): (() => void) | undefined {
  try {
    return takeLock(lock);
  } catch (error) {
    if (error instanceof PatchDropError && error.kind === "locked") return undefined;
    throw error;
  }
}

for (let done = 0; done < Number(times); ) {
  const release = taken();
  if (release === undefined) {
    pause(Math.random() * 5);
    continue;
  }
  done++;
  closeSync(openSync(`${lock}.alone`, "wx")); // fails where somebody else is in here
  pause(Math.random() * 3);
  rmSync(`${lock}.alone`);
  if (done % 2 === 0) {
    release();
    continue;
  }
  const dead = { pid: nobody, host: hostname(), start: null, token: `${process.pid}/${done}` };
  writeFileSync(`${lock}.${process.pid}`, JSON.stringify(dead));
  renameSync(`${lock}.${process.pid}`, lock);
}
