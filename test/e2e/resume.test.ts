/**
 * The promise of a run folder: on one machine, on the CPU, with the same number of threads, a run that is cut
 * anywhere and resumed ends with the same bits as one that was not.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { makeImageFolder } from "./images.ts";
import { type Ended, quickTraining, runTimeoutMs, start, succeed, until } from "./program.ts";
import { linked, outcome, tensorFiles, timelessMetrics } from "./runs.ts";

// 33 images: four steps of 8 an epoch, and one image that is left out, since batch norm cannot train on it alone.
const counts = { classes: 3, train: 11, test: 3 };
const common = [...quickTraining(3), "--test_interval", "1"];

let folder: string;
let data: string;
const runFolder = (name: string) => join(folder, name);

/** The trainings, each from the uncut runs before it. */
const trainings: Record<string, () => string[]> = {
  hr: () => ["classifier_training", "--schedule", "onecycle", "--wd", "0.0005"],
  lr: () => ["classifier_training", "--stream_id", "LR", "--clip", "1"],
  pretrain: () => ["pretrain", "--ckpt_hr_cl", runFolder("hr"), "--beta", "0.01"],
  finetune: () => [
    "finetune",
    "--load",
    runFolder("pretrain"),
    "--ckpt_hr_cl",
    runFolder("hr"),
    "--schedule",
    "step",
    "--epoch_step",
    "2",
  ],
  finetune2stream: () => [
    "finetune2stream",
    "--load",
    runFolder("finetune"),
    "--ckpt_lr_cl",
    runFolder("lr"),
    "--fill",
    "lr",
  ],
};

const argumentsOf = (name: string, run: string, ...more: string[]) => [
  ...trainings[name](),
  "--data_dir",
  data,
  "--cv_dir",
  run,
  ...common,
  ...more,
];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-resume-"));
  data = await makeImageFolder(join(folder, "data"), counts);
  for (const name of Object.keys(trainings)) await succeed(argumentsOf(name, runFolder(name)));
}, 5 * runTimeoutMs);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Names of the last checkpoint's files whose bytes are not those of the other run. */
function differingFiles(run: string, other: string): string[] {
  const own = tensorFiles(join(run, "last"));
  const others = tensorFiles(join(other, "last"));
  return [...new Set([...own.keys(), ...others.keys()])].filter(
    (name) => !own.get(name)?.equals(others.get(name) ?? Buffer.alloc(0)),
  );
}

/**
 * Starts a training and sends `signal` once the first epoch's checkpoint is there: at once, or well inside the second
 * epoch, which takes about as long as the first did.
 */
async function cut(
  name: string,
  run: string,
  signal: NodeJS.Signals,
  when: "at once" | "inside the second epoch",
): Promise<Ended> {
  const { child, ended } = start(argumentsOf(name, run));
  await until(() => existsSync(join(run, "checkpoints")));
  const began = performance.now();
  await until(() => existsSync(join(run, "last")));
  const epochMs = performance.now() - began;
  if (when === "inside the second epoch") await new Promise((resolve) => setTimeout(resolve, epochMs / 4));
  child.kill(signal);
  // As GNU timeout does: to the process, and to its group.
  if (signal === "SIGTERM") setTimeout(() => child.kill(signal), 20);
  return ended;
}

describe.each([
  ["hr", "SIGUSR1"],
  ["pretrain", "SIGTERM"],
  ["finetune", "SIGHUP"],
  ["finetune2stream", "SIGUSR2"],
] as const)("%s", (name, signal) => {
  async function resumeAndCompare(run: string, flags = argumentsOf(name, run, "--resume")): Promise<void> {
    await succeed(flags);
    expect(outcome(run)).toEqual(outcome(runFolder(name)));
    expect(differingFiles(run, runFolder(name))).toEqual([]);
  }

  it(
    "is the same when it was killed inside an epoch",
    async () => {
      const run = runFolder(`${name}-killed`);
      expect(await cut(name, run, "SIGKILL", "inside the second epoch")).toMatchObject({
        code: null,
        signal: "SIGKILL",
      });
      await resumeAndCompare(run);
    },
    2 * runTimeoutMs,
  );

  it(
    `is the same when ${signal} stopped it inside an epoch, where it was saved`,
    async () => {
      const run = runFolder(`${name}-stopped`);
      // It ends after its step: at once is inside the second epoch, and later might be in the test behind that.
      const { code, signal: ended, stderr } = await cut(name, run, signal, "at once");
      // A shell says 129 of both: a process that SIGHUP stops ends by it, since its terminal may be gone.
      const expected = signal === "SIGHUP" ? [null, signal] : [128 + constants.signals[signal], null];
      expect([code, ended]).toEqual(expected);
      expect(stderr.endsWith(`\nstopped by ${signal}; everything is saved; continue with --resume\n`)).toBe(true);
      expect(linked(run, "last")).toMatch(/^ckpt_E_[12]_S_[123]$/);
      expect(readState(join(run, "last")).progress.metrics).toBeDefined();
      await resumeAndCompare(run);
    },
    2 * runTimeoutMs,
  );

  it(
    "is the same when it was killed between two epochs, and goes on by its run folder alone",
    async () => {
      const run = runFolder(`${name}-between`);
      expect(await cut(name, run, "SIGKILL", "at once")).toMatchObject({ code: null, signal: "SIGKILL" });
      expect(linked(run, "last")).toMatch(/^ckpt_E_1_A_/);
      const [stage] = trainings[name]();
      await resumeAndCompare(run, [stage, "--cv_dir", run, "--resume"]);
    },
    2 * runTimeoutMs,
  );
});

describe("two uncut runs", () => {
  it.each(["hr", "finetune"])(
    "of %s with the same seed end alike, with another seed they do not",
    async (name) => {
      const [same, other] = [runFolder(`${name}-same`), runFolder(`${name}-other`)];
      await succeed(argumentsOf(name, same));
      expect(outcome(same)).toEqual(outcome(runFolder(name)));
      await succeed(argumentsOf(name, other, "--seed", "2"));
      const files = [...tensorFiles(join(other, "last")).keys()];
      expect(differingFiles(other, runFolder(name))).toEqual(files);
      expect(timelessMetrics(other)).not.toEqual(timelessMetrics(runFolder(name)));
    },
    3 * runTimeoutMs,
  );

  it(
    "--resume with fewer epochs than are done is refused, and changes nothing",
    async () => {
      const run = runFolder("lr");
      const before = [outcome(run), readFileSync(join(run, "config.json"), "utf8")];
      const { code, stderr } = await start(argumentsOf("lr", run, "--resume", "--max_epochs", "1")).ended;
      expect({ code, stderr }).toEqual({
        code: 2,
        stderr: expect.stringMatching(
          /^error: --max_epochs: must be at least 3, since .+ has come so far, got 1; leave it out/,
        ),
      });
      expect([outcome(run), readFileSync(join(run, "config.json"), "utf8")]).toEqual(before);
    },
    runTimeoutMs,
  );

  it(
    "--resume of a run that is done changes nothing",
    async () => {
      const before = outcome(runFolder("hr"));
      const { stdout, stderr } = await succeed(argumentsOf("hr", runFolder("hr"), "--resume"));
      expect({ stdout, stderr }).toEqual({
        stdout: `${runFolder("hr")}\n`,
        stderr: `${runFolder("hr")}: epoch 3 of 3 is already done; --schedule onecycle ends there: for more epochs start another run\n`,
      });
      expect(outcome(runFolder("hr"))).toEqual(before);
    },
    runTimeoutMs,
  );
});
