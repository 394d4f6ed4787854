/** The numbers of an epoch, from batches of a few images. */
import { describe, expect, it } from "vitest";
import { MetricAccumulator } from "../../src/method/metrics.ts";

const values = (...numbers: number[]) => Float32Array.from(numbers);

describe("MetricAccumulator", () => {
  it("weighs each image alike, whatever the size of its batch", () => {
    const metrics = new MetricAccumulator();
    metrics.add({ loss: 1, correct: values(1, 1, 0), reward: values(0.5, 1, -5), baselineReward: values(1, 1, 1) });
    metrics.add({ loss: 5, correct: values(0), reward: values(0.5), baselineReward: values(-1) });
    expect(metrics.images).toBe(4);
    // (3·1 + 1·5) / 4, 2/4, (0.5 + 1 − 5 + 0.5) / 4, (3 − 1) / 4
    expect(metrics.metrics()).toEqual({ loss: 2, accuracy: 0.5, reward: -0.75, baseline_reward: 0.5 });
  });

  it("has no numbers that no batch gave, and none at all before the first", () => {
    const metrics = new MetricAccumulator();
    expect(metrics.metrics()).toEqual({});
    expect(metrics.patchUse()).toEqual([]);
    metrics.add({ correct: values(1) });
    expect(metrics.metrics()).toEqual({ accuracy: 1 });
  });

  it("has no spread of one image", () => {
    const metrics = new MetricAccumulator();
    metrics.add({ correct: values(1), mask: values(1, 0, 1) });
    expect(metrics.metrics()).toMatchObject({ sparsity: 2, patches_std: 0, distinct_masks: 1, commonest_mask: 1 });
  });

  it("tells masks apart that take as many patches", () => {
    const metrics = new MetricAccumulator();
    metrics.add({ correct: values(1, 1, 1, 1), mask: values(1, 0, 0, 1, 0, 1, 1, 0) });
    // Twice "10", twice "01": one patch each, so that S is 1 and V is 0.
    expect(metrics.metrics()).toEqual({
      accuracy: 1,
      sparsity: 1,
      patches_std: 0,
      distinct_masks: 2,
      commonest_mask: 0.5,
    });
    expect(metrics.patchUse()).toEqual([0.5, 0.5]);
  });

  it("saves its sums, and goes on from them", () => {
    const first = new MetricAccumulator();
    first.add({ loss: 2, correct: values(1, 0), mask: values(1, 1, 1, 0) });
    expect(first.state()).toEqual({
      images: 2,
      sums: { accuracy: 1, loss: 4 },
      masks: [
        ["11", 1],
        ["10", 1],
      ],
    });
    const second = new MetricAccumulator(first.state());
    second.add({ loss: 5, correct: values(1), mask: values(1, 0) });
    expect(second.images).toBe(3);
    expect(second.metrics()).toMatchObject({ accuracy: 2 / 3, loss: 3, sparsity: 4 / 3, commonest_mask: 2 / 3 });
  });
});
