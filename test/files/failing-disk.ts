/** A `node:fs` whose calls fail when told to, for `vi.mock`: what a full disk or a cable pulled out does to a writer. */

export interface Disk {
  /** Calls so far, of those that change something. */
  calls: number;
  /** Which of them fails; 0 for none. */
  failAt: number;
  /** As in ENOSPC. */
  code: string;
  /** Whether nothing can be removed. */
  failRemovals?: boolean;
}

/** `real`, but that the call `disk.failAt` fails, and that one write takes at most `mostBytes`. */
export function failingFs(real: typeof import("node:fs"), disk: Disk, mostBytes = Number.POSITIVE_INFINITY) {
  const failing =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      disk.calls++;
      if (disk.calls !== disk.failAt) return call(...args);
      throw Object.assign(new Error(`${disk.code}: injected, write`), { code: disk.code, syscall: "write" });
    };
  const write = (file: number, bytes: Uint8Array, offset = 0, length = bytes.byteLength - offset): number =>
    real.writeSync(file, bytes, offset, Math.min(mostBytes, length));
  const remove: typeof real.rmSync = (path, options) => {
    if (disk.failRemovals !== true) return real.rmSync(path, options);
    throw Object.assign(new Error(`${disk.code}: injected, rm`), { code: disk.code, syscall: "rm" });
  };
  return {
    ...real,
    rmSync: remove,
    openSync: failing(real.openSync),
    fsyncSync: failing(real.fsyncSync),
    mkdirSync: failing(real.mkdirSync),
    renameSync: failing(real.renameSync),
    symlinkSync: failing(real.symlinkSync),
    writeSync: failing(write),
  };
}
