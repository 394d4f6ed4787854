/** `patchdrop run --dry_run`, options of the command line over the file's, and what a failed start leaves. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { planRuns, planText } from "../../src/experiment/dry-run.ts";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { runExperiment } from "../../src/experiment/run-experiment.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { experimentFolder } from "./experiment-folder.ts";

// 2 classes of 21 images: 3 steps of 16, 16 and 10.
const { folder, data, out, file, torch } = experimentFolder("patchdrop-dry-", { classes: 2, train: 21, test: 1 });

function read(stages: string, overrides: Record<string, unknown> = {}) {
  const common = "model: R8_Scenes, dataset: folder, batch_size: 16, max_epochs: 3, precision: fp32, threads: 1";
  writeFileSync(file, `common: { ${common} }\nstages:\n${stages}`);
  return readExperiment(file, out, { data_dir: data, torch, ...overrides });
}

const hr = "  hr: { stage: classifier_training, lr: 0.01 }\n";
const policy = "  policy: { stage: pretrain, ckpt_hr_cl: hr, batch_size: 42 }\n";
const temporaries = () => readdirSync(tmpdir()).filter((name) => name.startsWith("patchdrop-dry-run-"));

it("is planned with its steps and its checkpoints, and leaves nothing", async () => {
  const before = temporaries();
  const plan = await planRuns([{ experiment: read(hr + policy), folder: out }], silentReporter);
  expect(plan.map(({ run, state, epochs, left }) => ({ run, state, epochs, left }))).toEqual([
    { run: join(out, "hr"), state: "starts", epochs: 3, left: 3 },
    { run: join(out, "policy"), state: "starts", epochs: 3, left: 3 },
  ]);
  // 42 images: in the policy's batches of 42, one step.
  expect(plan.map(({ rehearsed }) => typeof rehearsed === "object" && rehearsed.stepsPerEpoch)).toEqual([3, 1]);
  for (const { rehearsed } of plan) {
    if (typeof rehearsed !== "object") throw new Error("not measured");
    expect(rehearsed.secondsPerStep).toBeGreaterThan(0.0005);
    expect(rehearsed.secondsPerStep).toBeLessThan(60);
  }
  expect(existsSync(out)).toBe(false);
  expect(temporaries()).toEqual(before);
  const [first, second, , total] = planText(plan, out).split("\n");
  expect(first).toMatch(/hr +classifier_training {2}3 epochs of 3 steps, 9 steps to do, about \d+ s, up to \d+ MB$/);
  expect(second).toMatch(/policy +pretrain +3 epochs of 1 step, 3 steps to do/);
  expect(total).toMatch(/^in all 12 steps, about \d+ s, /);
});

it("is planned from what is there, of which nothing changes", async () => {
  await runExperiment(read(hr, { max_epochs: 1 }), out, "x");
  const log = () => readFileSync(join(out, "hr", "metrics.jsonl"), "utf8");
  const before = log();
  const [done, next] = await planRuns(
    [{ experiment: read(hr + policy, { max_epochs: 1 }), folder: out }],
    silentReporter,
  );
  expect([done.state, done.left, done.rehearsed]).toEqual(["done", 0, undefined]);
  expect([next.state, next.left]).toEqual(["starts", 1]);
  const [longer] = await planRuns([{ experiment: read(hr, { max_epochs: 3 }), folder: out }], silentReporter);
  expect([longer.state, longer.left]).toEqual(["goes on", 2]);
  // The checkpoint as it is saved: the same number of bytes but for the digits of its numbers.
  const last = join(out, "hr", "last");
  const bytes = readdirSync(last).reduce((sum, name) => sum + readFileSync(join(last, name)).length, 0);
  const measured = typeof longer.rehearsed === "object" ? longer.rehearsed.bytes : 0;
  expect(Math.abs(measured - bytes)).toBeLessThan(0.02 * bytes);
  expect(log()).toBe(before);
});

it("is refused as the run would be where options have changed", async () => {
  const changed = read(hr, { max_epochs: 3, lr: 0.5 });
  const refusal = { kind: "locked", message: expect.stringContaining("lr: 0.01 → 0.5") };
  await expect(planRuns([{ experiment: changed, folder: out }], silentReporter)).rejects.toMatchObject(refusal);
  await expect(runExperiment(changed, out, "x")).rejects.toMatchObject(refusal);
  rmSync(out, { recursive: true });
});

it("leaves nothing behind where its first steps fail", async () => {
  const before = readdirSync(folder);
  const refusal = { kind: "notFinite" };
  await expect(runExperiment(read(hr, { lr: 1e30 }), out, "x")).rejects.toMatchObject(refusal);
  expect(readdirSync(folder)).toEqual(before);
});

it("leaves what a run has saved where its later steps fail", async () => {
  const wild = "  wild: { stage: classifier_training, lr: 1.0e+30 }\n";
  const refusal = { kind: "notFinite" };
  await expect(runExperiment(read(hr + wild), out, "x")).rejects.toMatchObject(refusal);
  expect(readdirSync(out)).toEqual(["hr"]);
  expect(existsSync(join(out, "hr", "last"))).toBe(true);
});
