/**
 * A run that is cut anywhere leaves a `last` that loads: cut at each call of the file system in turn, after which the
 * "dead" process can do nothing more, and killed with SIGKILL at random times.
 */

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { config, save } from "./example.ts";

/** After `diesAt` calls that change something, every one fails, those that would clean up included. */
const disk = vi.hoisted(() => ({ calls: 0, diesAt: Number.POSITIVE_INFINITY }));

vi.mock("node:fs", async (original) => {
  const real = await original<typeof import("node:fs")>();
  const mortal =
    <A extends unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      disk.calls++;
      if (disk.calls >= disk.diesAt) throw Object.assign(new Error("EIO: dead"), { code: "EIO", syscall: "write" });
      return call(...args);
    };
  return {
    ...real,
    openSync: mortal(real.openSync),
    fsyncSync: mortal(() => {}), // a death of the process loses nothing that the system has; and it is slow
    ftruncateSync: mortal(real.ftruncateSync),
    mkdirSync: mortal(real.mkdirSync),
    renameSync: mortal(real.renameSync),
    rmSync: mortal(real.rmSync),
    symlinkSync: mortal(real.symlinkSync),
    writeSync: mortal((file: number, bytes: Uint8Array, offset: number) =>
      real.writeSync(file, bytes, offset, Math.ceil((bytes.byteLength - offset) / 2)),
    ),
  };
});

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "patchdrop-crash-"));
});
afterEach(() => {
  disk.diesAt = Number.POSITIVE_INFINITY;
  rmSync(parent, { recursive: true, force: true });
});

/** Four saves in a new run; `done.step` tells the last one that returned. */
function train(dir: string, done: { step: number }): void {
  const run = RunFolder.create(dir, config, { keep: 2 });
  for (const step of [1, 2, 3, 4]) {
    run.log({ epoch: step, split: "train", accuracy: step });
    run.save(save(step, step !== 3));
    done.step = step;
  }
  run.close();
}

it("loads `last` after a death at any call of the file system", () => {
  let cuts = 0;
  for (let diesAt = 1; ; diesAt++) {
    const dir = join(parent, `${diesAt}`);
    const done = { step: 0 };
    Object.assign(disk, { calls: 0, diesAt });
    try {
      train(dir, done);
    } catch {}
    disk.diesAt = Number.POSITIVE_INFINITY;
    if (disk.calls < diesAt) break;
    cuts++;
    rmSync(join(dir, "run.lock"), { force: true }); // it names this process, which lives on here
    if (!existsSync(join(dir, "config.json"))) {
      RunFolder.create(dir, config).close(); // cut before the run began: it begins now
      continue;
    }

    const { run, checkpoint, notes } = RunFolder.resume(dir, config, { keep: 2 });
    const step = Number(checkpoint?.progress.epoch ?? 0);
    // Nothing that a save returned is lost; what was under way may be there, and then it is whole.
    expect([done.step, done.step + 1]).toContain(step);
    if (checkpoint !== undefined) expect(checkpoint.networks).toEqual(save(step).networks);
    expect(notes.filter((note) => !note.startsWith('there was no link "last"'))).toEqual([]);
    expect(readMetrics(dir).map(({ epoch }) => epoch)).toEqual([1, 2, 3, 4].slice(0, step));
    if (existsSync(join(dir, "best"))) expect(openCheckpoint(dir).networks.size).toBe(2);
    expect(readdirSync(join(dir, "checkpoints")).filter((name) => name.startsWith("."))).toEqual([]);
    run.save(save(9));
    run.close();
    expect(openCheckpoint(join(dir, "last")).progress.epoch).toBe(9);
  }
  expect(cuts).toBeGreaterThan(120); // each of the four saves makes more than 30 calls
});

/** Saves in a loop, each checkpoint's every number being its step, and prints each step that is saved. */
const saver = `
  import { RunFolder } from "./run/run-folder.js";
  const { config, dir } = JSON.parse(process.argv[2]);
  const fill = (step) => new Uint8Array(new Float32Array(50_000).fill(step).buffer);
  const tensor = (step) => new Map([["w", { dtype: "F32", shape: [50_000], data: fill(step) }]]);
  const resume = process.argv[3] === "resume";
  const { run, checkpoint } = resume ? RunFolder.resume(dir, config) : { run: RunFolder.create(dir, config) };
  for (let step = 1 + (checkpoint?.progress.step ?? 0); ; step++) {
    run.log({ epoch: step, split: "train", accuracy: step });
    const networks = new Map([["agent", tensor(step)]]);
    run.save({ name: "ckpt_E_" + step, networks, optimizer: tensor(-step), progress: { step }, isBest: step % 3 === 0 });
    process.stdout.write(step + "\\n");
  }
`;

/** The compiled `src/run`, in a folder that finds the packages. */
function compile(): string {
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const out = join(parent, "build");
  const options = ["-p", join(root, "tsconfig.build.json"), "--outDir", out, "--declaration", "false", "--noCheck"];
  const { status, stdout } = spawnSync(join(root, "node_modules/.bin/tsc"), options, { encoding: "utf8" });
  expect(status, stdout).toBe(0);
  symlinkSync(join(root, "node_modules"), join(parent, "node_modules"));
  writeFileSync(join(parent, "package.json"), '{"type":"module"}');
  writeFileSync(join(out, "saver.js"), saver);
  return join(out, "saver.js");
}

/** Kills the process `delayMs` after its first save, and returns the last step that it reported. */
async function killAfter(child: ChildProcess, delayMs: number): Promise<number> {
  let output = "";
  let errors = "";
  child.stderr?.on("data", (data) => {
    errors += data;
  });
  const killed = new Promise<void>((resolve) => child.once("close", () => resolve()));
  child.stdout?.on("data", (data) => {
    if (output === "") setTimeout(() => child.kill("SIGKILL"), delayMs);
    output += data;
  });
  await killed;
  expect(errors).toBe("");
  const lines = output.split("\n");
  return Number(lines.at(-2));
}

it("loads `last` after SIGKILL at random times", async () => {
  const script = compile();
  const dir = join(parent, "run");
  const start = performance.now();
  let kills = 0;
  // A machine that is busy takes seconds for each: fewer are enough there, but never none.
  for (let reached = 0; kills < 6 || (kills < 25 && performance.now() - start < 8000); kills++) {
    const child = spawn(process.execPath, [script, JSON.stringify({ config, dir }), kills === 0 ? "" : "resume"]);
    reached = await killAfter(child, Math.random() * 60);
    const { run, checkpoint, notes } = RunFolder.resume(dir, config);
    run.close();
    const step = Number(checkpoint?.progress.step);
    expect(step).toBeGreaterThanOrEqual(reached);
    expect(notes).toEqual([]);
    const [agent] = checkpoint?.networks.get("agent")?.values() ?? [];
    const whole = new Uint8Array(new Float32Array(50_000).fill(step).buffer);
    expect(Buffer.compare(agent?.data ?? new Uint8Array(0), whole)).toBe(0);
    expect(readMetrics(dir).map(({ epoch }) => epoch)).toEqual(Array.from({ length: step }, (_, i) => i + 1));
  }
});
