/**
 * Which checkpoint a run calls best, and the numbers in the checkpoints' names: both are those of the test. What the tests
 * find is scripted here, so that each choice can be worked out by hand.
 */
import { readFileSync } from "node:fs";
import { beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { convertCheckpoint } from "../../src/checkpoints/convert-checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { listCheckpoints } from "../../src/checkpoints/saved-checkpoints.ts";
import { float32Tensor } from "../../src/formats/safetensors.ts";
import { readTorchFile } from "../../src/formats/torch-file.ts";
import type { Metrics } from "../../src/method/metrics.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { linked } from "../e2e/runs.ts";
import { memoryData, SmallRuns } from "./small-runs.ts";

/** What the next tests will find, in their order. */
const script = vi.hoisted(() => ({ tests: [] as Metrics[] }));
vi.mock(import("../../src/evaluation/evaluate-masks.ts"), async (original) => {
  const module = await original();
  const evaluateMasks: typeof module.evaluateMasks = async (...given) => {
    const evaluated = await module.evaluateMasks(...given);
    const found = script.tests.shift();
    if (found !== undefined) evaluated[0].metrics.metrics = () => found;
    return evaluated;
  };
  return { ...module, evaluateMasks };
});

const runs = new SmallRuns();
const data = memoryData({ classes: 3, train: 2, test: 2 });
const namesIn = (run: string) => listCheckpoints(runs.at(run)).map(({ name }) => name);
const linksOf = (run: string) => [linked(runs.at(run), "best"), linked(runs.at(run), "last")];

beforeAll(() => runs.train("classifier_training", "hr", { max_epochs: 1 }, { data }), 60_000);
beforeEach(() => {
  script.tests = [];
});

describe("best", () => {
  it.each([
    ["stays where the accuracy falls", [0.75, 0.5, 0.25], 1],
    ["moves with each gain, and does not go back", [0.25, 0.75, 0.5], 2],
    ["stays where the accuracy is only reached again", [0.5, 0.75, 0.75], 2],
    ["is the last where that is the best", [0.25, 0.5, 0.75], 3],
  ])("of a classifier %s", async (what, accuracies, best) => {
    script.tests = accuracies.map((accuracy) => ({ accuracy }));
    await runs.train("classifier_training", what, { max_epochs: 3 }, { data });
    const names = accuracies.map((accuracy, e) => `ckpt_E_${e + 1}_A_${accuracy.toFixed(3)}_R_0.00`);
    expect(linksOf(what)).toEqual([names[best - 1], names[2]]);
    expect(namesIn(what)).toEqual(names);
  });

  it("of a policy goes by the reward, however accurate", async () => {
    script.tests = [
      { accuracy: 1, reward: -0.5 },
      { accuracy: 0.25, reward: 0.125 },
      { accuracy: 0.75, reward: 0 },
    ];
    const options = { ckpt_hr_cl: runs.at("hr"), max_epochs: 3, curriculum: false };
    await runs.train("pretrain", "policy", options, { data });
    expect(linksOf("policy")).toEqual(["ckpt_E_2_A_0.250_R_0.13", "ckpt_E_3_A_0.750_R_0.00"]);
  });

  it("of a policy under its curriculum is one that has learned to decide most patches", async () => {
    script.tests = [
      { accuracy: 1, reward: 1 },
      { accuracy: 0.5, reward: -0.5 },
      { accuracy: 0.75, reward: -0.25 },
    ];
    await runs.train("pretrain", "early", { ckpt_hr_cl: runs.at("hr"), max_epochs: 3 }, { data });
    expect(linksOf("early")).toEqual(["ckpt_E_3_A_0.750_R_-0.25", "ckpt_E_3_A_0.750_R_-0.25"]);
  });

  it("stays over a stop: what is worse later takes nothing from it, what is better does", async () => {
    script.tests = [{ accuracy: 0.75 }, { accuracy: 0.25 }];
    await runs.train("classifier_training", "cut", { max_epochs: 2 }, { data });
    script.tests = [{ accuracy: 0.5 }];
    await runs.resume("classifier_training", "cut", { max_epochs: 3 }, { data });
    expect(linksOf("cut")).toEqual(["ckpt_E_1_A_0.750_R_0.00", "ckpt_E_3_A_0.500_R_0.00"]);
    script.tests = [{ accuracy: 1 }];
    await runs.resume("classifier_training", "cut", { max_epochs: 4 }, { data });
    expect(linksOf("cut")).toEqual(["ckpt_E_4_A_1.000_R_0.00", "ckpt_E_4_A_1.000_R_0.00"]);
  });
});

describe("a checkpoint's name", () => {
  it("has the numbers of the test after its epoch, and none where there was none", async () => {
    // Of six images none of these is a share, which the training's accuracy is.
    script.tests = [
      { accuracy: 0.625, reward: 0.25 },
      { accuracy: 0.125, reward: -0.75 },
    ];
    const given = { ckpt_hr_cl: runs.at("hr"), max_epochs: 4, test_interval: 2 };
    await runs.train("pretrain", "seldom", given, { data });
    expect(namesIn("seldom")).toEqual(["ckpt_E_2_A_0.625_R_0.25", "ckpt_E_3", "ckpt_E_4_A_0.125_R_-0.75"]);
  });
});

describe("converted to the authors' dictionary", () => {
  it.each([
    ["seldom/checkpoints/ckpt_E_2_A_0.625_R_0.25", { epoch: 2, acc: 0.625, reward: 0.25 }],
    ["seldom/last", { epoch: 4, acc: 0.125, reward: -0.75 }],
    ["seldom/checkpoints/ckpt_E_3", { epoch: 3 }],
    ["cut", { epoch: 4, acc: 1, reward: 0 }],
  ])("%s has the test's numbers", (from, numbers) => {
    const to = runs.at(`${from.replaceAll("/", "-")}.pth`);
    convertCheckpoint(runs.at(from), to);
    expect(openCheckpoint(to).progress).toEqual(numbers);
    const dictionary = new Map(readTorchFile(readFileSync(to), to) as ReadonlyMap<string, unknown>);
    for (const name of ["acc", "reward"] as const) {
      const value = Object.entries(numbers).find(([key]) => key === name)?.[1];
      expect(dictionary.get(name)).toEqual(value === undefined ? undefined : float32Tensor([], Float32Array.of(value)));
    }
  });
});

it("the numbers are the ones that the test found, where none are scripted", async () => {
  const real = memoryData();
  await runs.train("classifier_training", "real", { lr: 0.05, max_epochs: 3 }, { data: real });
  const accuracies = readMetrics(runs.at("real")).flatMap(({ split, accuracy }) =>
    split === "test" ? [Number(accuracy)] : [],
  );
  expect(namesIn("real")).toEqual(accuracies.map((accuracy, e) => `ckpt_E_${e + 1}_A_${accuracy.toFixed(3)}_R_0.00`));
});
