/** What the disk does not give is an error of the disk (exit code 5): it is never taken for missing, with an older one in its place. */
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { lastState } from "../../src/checkpoints/saved-checkpoints.ts";
import { isBegun, isDone } from "../../src/experiment/stage-run.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { config, save } from "./example.ts";

const disk = vi.hoisted(() => ({ broken: "", code: "EIO" }));
vi.mock(import("node:fs"), async (original) => {
  const real = await original();
  const failing =
    <A extends readonly unknown[], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      if (args[0] !== disk.broken) return call(...args);
      throw Object.assign(new Error(`${disk.code}: injected, read`), { code: disk.code, syscall: "read" });
    };
  const existsSync: typeof real.existsSync = (path) => path !== disk.broken && real.existsSync(path);
  const readlinkSync = failing(real.readlinkSync) as typeof real.readlinkSync;
  const readFileSync = failing(real.readFileSync) as typeof real.readFileSync;
  const readdirSync = failing(real.readdirSync) as typeof real.readdirSync;
  const statSync = failing(real.statSync) as typeof real.statSync;
  return { ...real, existsSync, readlinkSync, readFileSync, readdirSync, statSync };
});

let dir: string;
beforeEach((context) => {
  dir = join(temporaryFolder(context.onTestFinished), "run");
  const run = RunFolder.create(dir, config);
  for (const step of [1, 2, 3]) {
    run.log({ epoch: step, split: "train", accuracy: step });
    run.save(save(step, step === 2));
  }
  run.close();
});
afterEach(() => {
  disk.broken = "";
});

const newest = join("checkpoints", save(3).name);
const best = join("checkpoints", save(2).name);

const resumes = () => RunFolder.resume(dir, config);
const metrics = () => readMetrics(dir);
const opens = () => openCheckpoint(dir);
const options = () => parseOptions("pretrain", { cv_dir: dir, ckpt_hr_cl: "hr", model: "R8_Scenes" }, "--");
const asksWhetherDone = () => isDone({ name: "policy", stage: "pretrain", options: options() });
const asksWhetherBegun = () => isBegun(options());

it.each<[string, string, () => unknown]>([
  ["last", "--resume", resumes],
  ["last", "its metrics", metrics],
  ["last", "an experiment", asksWhetherDone],
  ["best", "eval", opens],
  ["config.json", "--resume", resumes],
  ["config.json", "eval", opens],
  ["config.json", "an experiment", asksWhetherBegun],
  ["checkpoints", "--resume", resumes],
  [join(newest, "state.json"), "--resume", resumes],
  [join(newest, "state.json"), "its metrics", metrics],
  [join(newest, "agent.safetensors"), "--resume", resumes],
  [join(best, "state.json"), "eval", opens],
  // Which is the oldest, and may go, it alone says.
  [join("checkpoints", save(1).name, "state.json"), "--resume", resumes],
])("%s, by %s", (name, _, read) => {
  for (const code of ["EIO", "EACCES", "EMFILE"]) {
    Object.assign(disk, { broken: join(dir, name), code });
    expect(read).toThrow(
      expect.objectContaining({ kind: "system", exitCode: 5, message: expect.stringContaining(`${code}: injected`) }),
    );
  }
  disk.broken = "";
  const { run, checkpoint, notes } = RunFolder.resume(dir, config);
  run.close();
  expect([checkpoint?.progress.epoch, notes]).toEqual([3, []]);
});

it("a link that is missing, or is a file, is none", () => {
  for (const code of ["ENOENT", "EINVAL", "ENOTDIR"]) {
    Object.assign(disk, { broken: join(dir, "last"), code });
    expect(lastState(dir)).toBeUndefined();
  }
});
