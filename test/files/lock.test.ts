import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { processStart, takeLock } from "../../src/files/lock.ts";

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-lock-"));
  path = join(folder, "run.lock");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function writeLock(holder: { pid: number; host?: string; start?: string | null }): void {
  writeFileSync(path, JSON.stringify({ host: hostname(), start: null, token: "t", ...holder }));
}

const deadPid = (): number => spawnSync(process.execPath, ["-e", ""]).pid;

describe("takeLock", () => {
  it("records the process, and is gone after its release", () => {
    const release = takeLock(path);
    expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid, host: hostname() });
    release();
    expect(existsSync(path)).toBe(false);
    release();
    takeLock(path)();
  });

  it("refuses at once while a living process holds it, by its id", async () => {
    const other = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    try {
      await new Promise((resolve) => other.once("spawn", resolve));
      const pid = other.pid as number;
      writeLock({ pid, start: processStart(pid) ?? null });
      const before = readFileSync(path, "utf8");
      const start = performance.now();
      expect(() => takeLock(path)).toThrow(
        expect.objectContaining({
          kind: "locked",
          exitCode: 8,
          message: `${path}: the run folder is in use by process ${pid}; wait for it to end, or give another --cv_dir`,
        }),
      );
      expect(performance.now() - start).toBeLessThan(500);
      expect(readFileSync(path, "utf8")).toBe(before);
    } finally {
      other.kill("SIGKILL");
    }
  });

  it("refuses a second time in the same process", () => {
    const release = takeLock(path);
    expect(() => takeLock(path)).toThrow(`in use by process ${process.pid};`);
    release();
  });

  it("takes a dead process's lock over", () => {
    writeLock({ pid: deadPid() });
    const release = takeLock(path);
    expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(process.pid);
    expect(readdirSync(folder)).toEqual(["run.lock"]);
    release();
  });

  it.runIf(existsSync("/proc/self/stat"))("takes the lock of a process whose id another one has now", () => {
    writeLock({ pid: process.pid, start: "another-boot/123" });
    takeLock(path)();
    expect(existsSync(path)).toBe(false);
  });

  it.each(["", '{"pid": 1', '{"pid": "1"}'])("takes over a lock that its writer did not finish: %j", (text) => {
    writeFileSync(path, text);
    const release = takeLock(path);
    expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(process.pid);
    release();
  });

  it("does not judge a process on another host", () => {
    writeLock({ pid: deadPid(), host: "node-7" });
    const pid = JSON.parse(readFileSync(path, "utf8")).pid;
    expect(() => takeLock(path)).toThrow(
      `${path}: the run folder is in use by process ${pid} on node-7; ` +
        "if that process has ended, delete this file; else give another --cv_dir",
    );
  });

  it("leaves a lock that another process has taken since", () => {
    const release = takeLock(path);
    writeLock({ pid: 1 });
    release();
    expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(1);
  });

  it("says where it could not be written", () => {
    expect(() => takeLock(join(folder, "none/run.lock"))).toThrow(
      expect.objectContaining({
        kind: "system",
        message: expect.stringContaining("none/run.lock: could not be written ("),
      }),
    );
  });
});

describe.runIf(existsSync("/proc/self/stat"))("processStart", () => {
  it("is the same each time, another for another process, and unknown for a dead one", () => {
    const own = processStart(process.pid);
    expect(own).toMatch(/^[0-9a-f-]{36}\/\d+$/);
    expect(processStart(process.pid)).toBe(own);
    expect(processStart(1)).not.toBe(own);
    expect(processStart(deadPid())).toBeUndefined();
  });
});
