import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { assertUnlocked, takeLock, withLock } from "../../src/files/lock.ts";
import { processStart } from "../../src/files/owner.ts";

/** After `diesAt` calls that change something, every one fails, as in a process that is gone. */
const disk = vi.hoisted(() => ({ calls: 0, diesAt: Number.POSITIVE_INFINITY, knowsLinks: true }));

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const mortal =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      if (++disk.calls >= disk.diesAt) throw Object.assign(new Error("EIO: dead"), { code: "EIO" });
      return call(...args);
    };
  const link = (...args: Parameters<typeof real.linkSync>) => {
    if (!disk.knowsLinks) throw Object.assign(new Error("EPERM: no links here"), { code: "EPERM" });
    return real.linkSync(...args);
  };
  return {
    ...real,
    openSync: mortal(real.openSync),
    writeSync: mortal(real.writeSync as (file: number, bytes: Uint8Array, offset: number) => number),
    linkSync: mortal(link),
    renameSync: mortal(real.renameSync),
    rmSync: mortal(real.rmSync),
  };
});

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-lock-"));
  path = join(folder, "run.lock");
});
afterEach(() => {
  vi.restoreAllMocks();
  Object.assign(disk, { diesAt: Number.POSITIVE_INFINITY, knowsLinks: true });
  rmSync(folder, { recursive: true, force: true });
});

function writeLock(holder: { pid: number; host?: string; start?: string | null; job?: object }): void {
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
      expect(() => takeLock(path)).toThrow(
        expect.objectContaining({
          kind: "locked",
          exitCode: 8,
          message: `${path}: is in use by process ${pid}; wait for it to end, or write elsewhere`,
        }),
      );
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

  it("leaves a file that is no lock, and says so", async () => {
    const refused = expect.objectContaining({
      kind: "locked",
      message: `${path}: is not a lock of patchdrop; move it away, or write elsewhere`,
    });
    const alike = JSON.stringify({ pid: deadPid(), host: hostname(), own: true });
    const texts = ["", "my notes\n", 'mine "pid": 7', "{}", '{"name":"x","lockfileVersion":3}', alike];
    for (const own of [...texts, "x".repeat(2 ** 16 + 1)]) {
      writeFileSync(path, own);
      expect(() => takeLock(path)).toThrow(refused);
      await expect(withLock(path, async () => expect.unreachable(), { silentMs: 0 })).rejects.toEqual(refused);
      assertUnlocked(path);
      expect(readFileSync(path, "utf8")).toBe(own);
      expect(readdirSync(folder)).toEqual(["run.lock"]);
    }
  });

  it("leaves a link, also one that leads nowhere", () => {
    for (const to of [join(folder, "none"), folder]) {
      symlinkSync(to, path);
      expect(() => takeLock(path)).toThrow(`${path}: is not a lock of patchdrop; move it away, or write elsewhere`);
      expect(readdirSync(folder)).toEqual(["run.lock"]);
      rmSync(path);
    }
  });

  it("leaves the lock of a living process that is damaged, whichever byte of it", () => {
    const release = takeLock(path);
    const whole = readFileSync(path);
    const isUnreadable = (bytes: Uint8Array) => {
      writeFileSync(path, bytes);
      try {
        return !Number.isInteger(JSON.parse(readFileSync(path, "utf8")).pid);
      } catch {
        return true;
      }
    };
    const refused = expect.objectContaining({
      kind: "locked",
      message:
        `${path}: is in use by a process that its damaged lock does not name; ` +
        "if that process has ended, delete this file; else write elsewhere",
    });
    const flipped = Array.from(whole.keys(), (at) => whole.with(at, whole[at] ^ 0x80)).filter(isUnreadable);
    // The first brace, the last one, and the quotes and name of the process id among them.
    expect(flipped.length).toBeGreaterThan(8);
    for (const bytes of [...flipped.slice(0, 3), ...flipped.slice(-2), whole.subarray(0, 8)]) {
      writeFileSync(path, bytes);
      expect(() => takeLock(path)).toThrow(refused);
      expect(readFileSync(path)).toEqual(Buffer.from(bytes));
    }
    expect(() => assertUnlocked(path)).toThrow(refused);
    writeFileSync(path, whole);
    release();
    expect(existsSync(path)).toBe(false);
  });

  it("does not judge a process on another host", () => {
    writeLock({ pid: deadPid(), host: "node-7" });
    const pid = JSON.parse(readFileSync(path, "utf8")).pid;
    expect(() => takeLock(path)).toThrow(
      `${path}: is in use by process ${pid} on node-7; ` +
        "if that process has ended, delete this file; else write elsewhere",
    );
  });

  describe("in a Slurm job that was started for the third time", () => {
    /** What the job says of its start; a lock's names are those that Slurm gave a job here. */
    const own = { SLURM_JOB_ID: "41", SLURM_CLUSTER_NAME: "green", SLURM_RESTART_COUNT: "2" };
    beforeEach(() => {
      for (const [name, value] of Object.entries(own)) vi.stubEnv(name, value);
    });
    afterEach(() => void vi.unstubAllEnvs());

    it("records job and start", () => {
      const release = takeLock(path);
      expect(JSON.parse(readFileSync(path, "utf8")).job).toEqual({ id: "slurm/green/41", restarts: 2 });
      release();
    });

    it.each([0, 1])("takes over what its start %i left on another host", (restarts) => {
      writeLock({ pid: process.pid, host: "node-7", job: { id: "slurm/green/41", restarts } });
      const release = takeLock(path);
      expect(JSON.parse(readFileSync(path, "utf8"))).toMatchObject({ pid: process.pid, host: hostname() });
      expect(readdirSync(folder)).toEqual(["run.lock"]);
      release();
    });

    it.each<[what: string, job: object | undefined]>([
      ["the same start", { id: "slurm/green/41", restarts: 2 }],
      ["a later start", { id: "slurm/green/41", restarts: 3 }],
      ["another job", { id: "slurm/green/40", restarts: 1 }],
      ["another cluster", { id: "slurm/blue/41", restarts: 1 }],
      ["no job", undefined],
    ])("leaves the lock of %s on another host", (_, job) => {
      writeLock({ pid: 7, host: "node-7", ...(job && { job }) });
      expect(() => takeLock(path)).toThrow("is in use by process 7 on node-7; if that process has ended, delete");
    });

    it("leaves the lock of a process of this host that lives, of whichever start", () => {
      writeLock({
        pid: process.pid,
        start: processStart(process.pid) ?? null,
        job: { id: "slurm/green/41", restarts: 0 },
      });
      expect(() => takeLock(path)).toThrow(`in use by process ${process.pid};`);
    });

    it("is in no job where it cannot be known which start this is", () => {
      vi.stubEnv("SLURM_RESTART_COUNT", "many");
      const release = takeLock(path);
      expect(JSON.parse(readFileSync(path, "utf8"))).not.toHaveProperty("job");
      release();
    });
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

describe("a lock that cannot be read", () => {
  it("says nothing of its holder, and is not taken", () => {
    mkdirSync(path);
    for (const look of [takeLock, assertUnlocked]) {
      expect(() => look(path)).toThrow(
        expect.objectContaining({
          kind: "system",
          message: expect.stringContaining("run.lock: could not be read (EISDIR"),
        }),
      );
    }
    expect(readdirSync(folder)).toEqual(["run.lock"]);
  });
});

/** Lets `meanwhile` happen between the first look at a dead holder and what follows from it. */
function whileLooking(meanwhile: () => void): void {
  const real = process.kill;
  let looked = false;
  vi.spyOn(process, "kill").mockImplementation((pid, signal) => {
    if (looked || pid === process.pid) return real.call(process, pid, signal);
    looked = true;
    meanwhile();
    throw Object.assign(new Error("ESRCH"), { code: "ESRCH" });
  });
}

/** Whether an attempt to take the lock ended at that call; the file system is whole again afterwards. */
function isCut(diesAt: number): boolean {
  Object.assign(disk, { calls: 0, diesAt });
  try {
    takeLock(path)();
    return false;
  } catch {
    return true;
  } finally {
    disk.diesAt = Number.POSITIVE_INFINITY;
  }
}

describe("a takeover", () => {
  it("leaves the lock of a rival that took it over meanwhile", () => {
    writeLock({ pid: deadPid() });
    let rival = "";
    whileLooking(() => {
      takeLock(path);
      rival = readFileSync(path, "utf8");
    });
    expect(() => takeLock(path)).toThrow(`in use by process ${process.pid};`);
    expect(readFileSync(path, "utf8")).toBe(rival);
    expect(readdirSync(folder)).toEqual(["run.lock"]);
  });

  it("leaves the lock of a second rival too, that came after the first", () => {
    writeLock({ pid: deadPid() });
    let rival = "";
    whileLooking(() => {
      takeLock(path)();
      takeLock(path);
      rival = readFileSync(path, "utf8");
    });
    expect(() => takeLock(path)).toThrow(`in use by process ${process.pid};`);
    expect(readFileSync(path, "utf8")).toBe(rival);
  });

  it("takes a lock that was taken over and given back meanwhile", () => {
    writeLock({ pid: deadPid() });
    whileLooking(() => takeLock(path)());
    const release = takeLock(path);
    expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(process.pid);
    release();
    expect(readdirSync(folder)).toEqual([]);
  });

  it("that is cut at any call of the file system is finished by the next process", () => {
    let cuts = 0;
    for (let first = 1, reached = true; reached; first++) {
      for (let second = 1; ; second++) {
        writeLock({ pid: 2 });
        const alive = vi.spyOn(process, "kill").mockImplementation(() => {
          throw Object.assign(new Error("ESRCH"), { code: "ESRCH" });
        });
        const cut = [first, second].map((diesAt) => isCut(diesAt));
        const release = takeLock(path);
        alive.mockRestore();
        expect(() => takeLock(path)).toThrow(`in use by process ${process.pid};`);
        release();
        expect(readdirSync(folder).filter((name) => !name.startsWith(".patchdrop-tmp-"))).toEqual([]);
        cuts += Number(cut[0]) + Number(cut[1]);
        if (!cut[1]) {
          reached = cut[0];
          break;
        }
      }
    }
    expect(cuts).toBeGreaterThan(20);
  });

  it("has one winner, with four processes that take and die again and again", async () => {
    const script = fileURLToPath(new URL("take-lock.ts", import.meta.url));
    const ends = await Promise.all(
      Array.from({ length: 4 }, () => {
        const child = spawn(process.execPath, ["--import", "tsx", script, path, "50"], {
          stdio: ["ignore", "ignore", "pipe"],
        });
        let said = "";
        child.stderr.on("data", (text) => {
          said += text;
        });
        return new Promise((resolve) => child.on("close", (code) => resolve({ code, said })));
      }),
    );
    expect(ends).toEqual(Array(4).fill({ code: 0, said: "" }));
  });
});

describe("on a file system without hard links", () => {
  it("a lock is taken, refused and taken over all the same", () => {
    disk.knowsLinks = false;
    writeLock({ pid: deadPid() });
    const release = takeLock(path);
    expect(() => takeLock(path)).toThrow(`in use by process ${process.pid};`);
    release();
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("withLock", () => {
  it("takes the lock of a process that is gone, without a start time, over", async () => {
    writeFileSync(path, JSON.stringify({ pid: deadPid(), host: hostname() })); // as an older version wrote it
    expect(await withLock(path, async () => JSON.parse(readFileSync(path, "utf8")).pid)).toBe(process.pid);
    expect(existsSync(path)).toBe(false);
  });

  it("waits for one that runs, and says once for whom", async () => {
    const order: string[] = [];
    const waits: string[] = [];
    const onWait = (who: string) => waits.push(who);
    const slow = withLock(path, () => new Promise((resolve) => setTimeout(() => resolve(order.push("first")), 500)));
    await withLock(path, async () => order.push("second"), { onWait });
    await slow;
    expect(order).toEqual(["first", "second"]);
    expect(waits).toEqual([`process ${process.pid}`]);
  });

  it("is given back when the work fails", async () => {
    const failing = withLock(path, () => Promise.reject(new Error("no luck")));
    await expect(failing).rejects.toThrow("no luck");
    expect(existsSync(path)).toBe(false);
  });

  it("waits for a process of this host whatever the age of its lock", async () => {
    const release = takeLock(path);
    utimesSync(path, 0, 0);
    setTimeout(release, 500);
    const waits: string[] = [];
    await withLock(path, async () => expect(waits).toEqual([`process ${process.pid}`]), {
      onWait: (who) => waits.push(who),
      silentMs: 0,
    });
  });

  it("takes a lock of another host over once it has shown no sign of life for a while", async () => {
    writeLock({ pid: 7, host: "node-7" });
    const waits: string[] = [];
    const began = performance.now();
    const touched = setInterval(() => utimesSync(path, new Date(), new Date()), 50);
    setTimeout(() => clearInterval(touched), 600);
    await withLock(path, async () => expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(process.pid), {
      onWait: (who) => waits.push(who),
      silentMs: 500,
    });
    expect(performance.now() - began).toBeGreaterThan(1000);
    expect(waits).toEqual(["process 7 on node-7"]);
  });
});

describe("withLock, of a damaged lock", () => {
  it("takes it over once it has shown no sign of life for a while", async () => {
    writeFileSync(path, '{"pid": 7');
    const waits: string[] = [];
    await withLock(path, async () => expect(JSON.parse(readFileSync(path, "utf8")).pid).toBe(process.pid), {
      onWait: (who) => waits.push(who),
      silentMs: 300,
    });
    expect(waits).toEqual(["a process that its damaged lock does not name"]);
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
