/** `--target_patches` in training: the price by hand, what it does to a run, and how such a run goes on. */
import { beforeAll, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { DrivenPrice } from "../../src/method/driven-price.ts";
import { reward } from "../../src/method/reward.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import type { TrainContext } from "../../src/training/train.ts";
import { type Given, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;
const driven = { reward: "priced", price: 0.02, target_patches: 4, curriculum: false, lr: 1e-2, schedule: "constant" };
const pretrained = async (name: string, more: Given = {}, context: TrainContext = {}) =>
  runs.train("pretrain", name, { data_dir, ckpt_hr_cl: runs.at("hr"), ...driven, ...more }, context);

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  await runs.train("classifier_training", "hr", { data_dir, max_epochs: 1 });
});

const numbers = (values: number[], shape: number[]) => fromArray(Float32Array.from(values), shape);

describe("a driven price", () => {
  it("grows by a fiftieth of the share of patches that are taken too many, and falls by that of those too few", () => {
    const price = new DrivenPrice(0.01, 1, 4, numbers([0], [1]));
    const followed = (values: number[]) => {
      scope(() => price.follow(price.shareOf(numbers(values, [2, 4]))));
      return price.value;
    };
    // Three and four of four patches: 2½ more than one. 0.01 · (1 + 0.02 · 2.5 / 4)
    expect(followed([0.5, 0.6, 0.7, 0.2, 0.9, 0.9, 0.9, 0.9])).toBeCloseTo(0.010125, 8);
    // None: one too few. 0.010125 · (1 − 0.02 / 4)
    expect(followed(Array(8).fill(0.4))).toBeCloseTo(0.010074375, 8);
    price.free();
  });

  it("is what a patch costs", () => {
    const price = new DrivenPrice(0.25, 1, 2, numbers([0], [1]));
    const outcome = {
      logits: numbers([0, 0, 0, Math.log(3)], [2, 2]), // ½ and ¾ for the label
      targets: fromArray(BigInt64Array.of(0n, 1n), [2]),
      mask: numbers([1, 0, 1, 1], [2, 2]),
      right: numbers([1, 1], [2]),
    };
    const earned = scope(() => [...reward(outcome, { kind: "priced", penalty: 0, price: price.price }).toFloat32()]);
    expect(earned).toEqual([expect.closeTo(0.25, 6), expect.closeTo(0.25, 6)]);
    price.free();
  });
});

describe("a run with --target_patches", () => {
  it("logs its price, which rises while more patches are taken, and keeps it in the checkpoint", async () => {
    await pretrained("whole", { target_patches: 1 });
    const prices = readMetrics(runs.at("whole")).flatMap(({ price }) => (price === undefined ? [] : [Number(price)]));
    expect(prices).toHaveLength(2);
    expect(prices[0]).toBeGreaterThan(0.02);
    expect(prices[1]).toBeGreaterThan(prices[0]);
    expect(readState(runs.at("whole", "last")).progress.price).toBe(prices[1]);
  });

  it("goes on with the price that it had, and ends with the same bits", async () => {
    await pretrained("cut", { target_patches: 1 }, { reporter: stopAfter(2) });
    await runs.resume("pretrain", "cut");
    const ended = ["whole", "cut"].map((name) => [
      readState(runs.at(name, "last")).progress.price,
      openCheckpoint(runs.at(name)).networks.get("agent"),
    ]);
    expect(ended[1]).toEqual(ended[0]);
  });

  it.each<[string, Given, string]>([
    ["the paper's reward", { reward: "quadratic" }, "--target_patches: needs --reward priced, got --reward quadratic"],
    ["values", { estimator: "values" }, "--target_patches: must not be given with --estimator values, got 4"],
    ["all patches", { target_patches: 16 }, "--target_patches: must be below the 16 patches, got 16"],
    ["no price", { price: 0 }, "--price: must be above 0 with --target_patches, got 0"],
  ])("is refused with %s", async (_, more, said) => {
    await expect(pretrained("refused", more)).rejects.toThrow(said);
  });
});
