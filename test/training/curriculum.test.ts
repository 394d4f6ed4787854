/**
 * A policy is tested as it is used afterwards: it decides all patches, also those that its curriculum has not let it learn
 * yet. So the logged numbers, the choice of `best` and an evaluation agree, and the run says while it is not over.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { listCheckpoints } from "../../src/checkpoints/saved-checkpoints.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { openRun } from "../../src/inference/open-run.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { predictSchema } from "../../src/options/predict-options.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { rewriteState } from "../checkpoints/rewrite-state.ts";
import { linked, loggedTest } from "../e2e/runs.ts";
import { asLogged, evaluate, exact, type Given, listener, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;
let notes: string[];
// Patches of 16 × 16 pixels: four, so that the curriculum is over after four epochs.
const sizes = { patch_size: 16, max_epochs: 4 };
const rewarding = { penalty: -2, lr: 1e-2 };

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  await runs.train("classifier_training", "hr", { data_dir, lr: 0.05 });
  ({ notes } = await pretrain("policy", { ...sizes, max_epochs: 3 }));
});

async function pretrain(name: string, more: Given) {
  const { reporter, notes } = listener();
  const given = { data_dir, ckpt_hr_cl: runs.at("hr"), ...rewarding, ...more };
  await runs.train("pretrain", name, given, { reporter });
  return { notes };
}

const warning = "the curriculum was not over: the policy had learned to decide 3 of 4 patches";
const ofCurriculum = (texts: readonly string[]) => texts.filter((text) => text.includes("curriculum"));
const checkpoint = (run: string, name: string) => runs.at(run, "checkpoints", name);

describe("a run whose curriculum is not over", () => {
  it("logs for each checkpoint what its evaluation finds", async () => {
    const names = listCheckpoints(runs.at("policy")).map(({ name }) => name);
    expect(names).toHaveLength(3);
    for (const name of names) {
      const found = asLogged(await evaluate(checkpoint("policy", name)));
      expect(loggedTest(runs.at("policy"), name)).toMatchObject(found);
      expect(found.reward).toBeDefined();
    }
    // With what the curriculum had not reached forced on, the first epoch's test would take three patches or more.
    const [first] = readMetrics(runs.at("policy")).filter(({ split }) => split === "test");
    expect(Number(first.sparsity)).toBeLessThan(3);
  });

  it("is told from others by what an evaluation says", async () => {
    expect((await evaluate(runs.at("policy"))).decided).toBe(3);
  });

  it("calls the checkpoint best whose policy has learned to decide most patches", () => {
    const earned = readMetrics(runs.at("policy")).flatMap(({ split, reward }) =>
      split === "test" ? [Number(reward)] : [],
    );
    // By the reward alone it would have been another one.
    expect(earned.indexOf(Math.max(...earned))).not.toBe(2);
    expect(linked(runs.at("policy"), "best")).toMatch(/^ckpt_E_3_/);
  });

  it("says so after each test, and its evaluation too", async () => {
    expect(ofCurriculum(notes)).toEqual(
      [1, 2, 3].map((n) => `the curriculum is not over: the policy has learned to decide ${n} of 4 patches`),
    );
    const { reporter, notes: said } = listener();
    await evaluate(runs.at("policy", "last"), {}, reporter);
    expect(ofCurriculum(said)).toEqual([`${warning}, and decides all here`]);
  });

  it("is not used without a word by whoever goes on with it", async () => {
    const load = runs.at("policy", "last");
    const { reporter, notes: said } = listener();
    const run = await openRun(predictSchema.parse({ ...exact, load }), reporter);
    await run.free();
    const from = { data_dir, load, ckpt_hr_cl: runs.at("hr"), ...rewarding, patch_size: 16, max_epochs: 1 };
    await runs.train("finetune", "finetuned", from, { reporter });
    expect(ofCurriculum(said)).toEqual([`${load}: ${warning}, and decides all here`, `--load ${load}: ${warning}`]);
    const exported = await exportRun(exportSchema.parse({ load, out: runs.at("onnx"), images: 1, threads: 1 }));
    expect(exported.warning).toBe(warning);
  });
});

describe("a run whose curriculum is over", () => {
  it("says nothing of it, nor does its evaluation", async () => {
    runs.copy("policy", "whole");
    const { reporter, notes: said } = listener();
    await runs.resume("pretrain", "whole", { max_epochs: 4 }, { reporter });
    await evaluate(runs.at("whole", "last"), {}, reporter);
    expect(linked(runs.at("whole"), "last")).toMatch(/^ckpt_E_4_/);
    expect(ofCurriculum(said)).toEqual([]);
  });

  it("says nothing where there is none", async () => {
    const { notes: said } = await pretrain("without", { ...sizes, curriculum: false, max_epochs: 1 });
    const { reporter, notes: evaluated } = listener();
    await evaluate(runs.at("without"), {}, reporter);
    expect(ofCurriculum([...said, ...evaluated])).toEqual([]);
  });
});

it("a score of before 0.2.0, made with patches forced on, gives way to the next one", async () => {
  runs.copy("policy", "older");
  // More than any mask can earn, and no word of the curriculum.
  rewriteState(runs.at("older", "last"), ({ progress }) => {
    progress.bestScore = 2;
    delete progress.decided;
  });
  await runs.resume("pretrain", "older", { max_epochs: 4 });
  expect(linked(runs.at("older"), "best")).toMatch(/^ckpt_E_4_/);
});
