/** The paper's equations against values worked by hand, PyTorch's (test/golden/method.json) and finite differences. */
import { describe, expect, it } from "vitest";
import { estimatorOf, type PolicyLossOptions, policyLoss } from "../../src/method/estimator.ts";
import { makeGrid } from "../../src/method/grid.ts";
import { lowResolution, maskPatches, Normalizer } from "../../src/method/images.ts";
import { MetricAccumulator } from "../../src/method/metrics.ts";
import {
  bounded,
  decidedPatches,
  decideLeading,
  logProbability,
  meanPolicyEntropy,
  patchEntropy,
  policyGradientLoss,
  sample,
  threshold,
} from "../../src/method/policy.ts";
import { advantage, type RewardOptions, reward } from "../../src/method/reward.ts";
import { classification } from "../../src/method/task.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { backward, plantGradient, withGradients } from "../../src/tensor/autograd.ts";
import * as ops from "../../src/tensor/ops.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { loadGolden } from "../golden/load.ts";

openLibtorch(findLibtorch(), { threads: 1 });

const matrix = (rows: readonly (readonly number[])[]) =>
  fromArray(Float32Array.from(rows.flat()), [rows.length, rows[0].length]);
const vector = (...values: number[]) => fromArray(Float32Array.from(values), [values.length]);
const bits = (masks: readonly string[]) => matrix(masks.map((mask) => Array.from(mask, Number)));
/** Of rules that look at no more than what was right and which patches were taken. */
const earned = (right: Tensor, mask: Tensor, options: RewardOptions) =>
  reward({ right, mask, logits: right, targets: right }, options);
const expectClose = (found: Tensor | Float32Array, expected: readonly number[], digits = 5) => {
  const values = found instanceof Float32Array ? found : found.toFloat32();
  expect(values.length).toBe(expected.length);
  for (const [i, value] of expected.entries()) expect(values[i], `element ${i}`).toBeCloseTo(value, digits);
};

describe("by hand", () => {
  it("bounds probabilities: 0.8·p + 0.2·(1 − p)", () => {
    expectClose(bounded(vector(0, 0.5, 1, 0.25), 0.8), [0.2, 0.5, 0.8, 0.35]);
    expectClose(bounded(vector(0, 0.3, 1), 1), [0, 0.3, 1]);
  });

  it("samples 1 where the uniform lies below p, thresholds at one half", () => {
    expectClose(sample(vector(0.2, 0.8, 0.5), vector(0.1, 0.9, 0.5)), [1, 0, 0]);
    expectClose(threshold(vector(0.49, 0.5, 0.51)), [0, 1, 1]);
  });

  it("log p(a): log 0.8 for a taken patch of p 0.8, log 0.2 for a dropped one; never infinite", () => {
    const found = logProbability(vector(0.8, 0.8, 0, 1), vector(1, 0, 1, 0)).toFloat32();
    expect(found[0]).toBeCloseTo(Math.log(0.8), 6);
    expect(found[1]).toBeCloseTo(Math.log(0.2), 5);
    expect(found[2]).toBeCloseTo(Math.log(2 ** -23), 4);
    expect(found[3]).toBeCloseTo(Math.log(2 ** -23), 1);
  });

  it("entropy of a fair patch is log 2", () => {
    expectClose(
      patchEntropy(
        matrix([
          [0.5, 0.5],
          [0.2, 0.5],
        ]),
      ),
      [Math.LN2, Math.LN2, -0.2 * Math.log(0.2) - 0.8 * Math.log(0.8), Math.LN2],
    );
  });

  it("quadratic reward: 1 − (4/16)² = 0.9375 when right, the penalty when wrong", () => {
    const masks = bits(["1111000000000000", "1111000000000000", "1111111111111111", "0000000000000000"]);
    expectClose(earned(vector(1, 0, 1, 1), masks, { kind: "quadratic", penalty: -5 }), [0.9375, -5, 0, 1]);
  });

  it("linear reward: (1 − 4/16) + ½·[right]", () => {
    const masks = bits(["1111000000000000", "1111000000000000"]);
    expectClose(earned(vector(1, 0), masks, { kind: "linear", penalty: -5 }), [1.25, 0.75]);
  });

  it("self-critical advantage: R(a) − R(â)", () => {
    expectClose(advantage(vector(0.9375, -5), vector(0.75, 0.75)), [0.1875, -5.75]);
  });

  it("right is where the largest logit is the label's", () => {
    const labels = fromArray(BigInt64Array.of(2n, 0n), [2]);
    expectClose(
      classification.right(
        matrix([
          [0, 1, 3],
          [0, 1, 0.5],
        ]),
        labels,
      ),
      [1, 0],
    );
  });

  it("the curriculum decides e + 1 patches in epoch e and takes the others", () => {
    expect([0, 7, 15, 40].map((epoch) => decidedPatches(epoch, 16, true))).toEqual([1, 8, 16, 16]);
    expect(decidedPatches(0, 16, false)).toBe(16);
    expectClose(decideLeading(matrix([[0, 1, 0, 0]]), 2), [0, 1, 1, 1]);
    const mask = matrix([[0, 1, 0, 0]]);
    expect(decideLeading(mask, 4)).toBe(mask);
    expect(decideLeading(mask, 9)).toBe(mask);
  });

  it("the policy's loss: two patches of p 0.8, one taken and one dropped, advantage 2", () => {
    const p = matrix([[0.8, 0.8]]);
    const chosen = -(Math.log(0.8) + Math.log(0.2)) * 2;
    expect(policyGradientLoss(p, matrix([[1, 0]]), vector(2), { over: "sum" }).item()).toBeCloseTo(chosen, 5);
    expect(policyGradientLoss(p, matrix([[1, 0]]), vector(2), { over: "mean" }).item()).toBeCloseTo(chosen / 2, 5);
    const first = -Math.log(0.8) * 2;
    expect(policyGradientLoss(p, matrix([[1, 0]]), vector(2), { over: "mean", decided: 1 }).item()).toBeCloseTo(
      first / 2,
      5,
    );
  });

  it("refuses shapes that do not fit, by name", () => {
    const two = matrix([[0.5, 0.5]]);
    expect(() => sample(two, vector(0.5))).toThrow("sample: uniforms: needs shape [1,2]");
    expect(() => policyGradientLoss(two, two, vector(1, 2), { over: "sum" })).toThrow(
      "policyGradientLoss: advantage: needs shape [1]",
    );
  });

  it("the gradient of the entropy points to one half: −z·p·(1 − p) for p = sigmoid(z)", () => {
    // p = ¾, ½ and ¼: the derivative of −p·log p − (1 − p)·log(1 − p) by p is log((1 − p)/p) = −z, that of p by z p·(1 − p).
    const logits = matrix([[Math.log(3), 0, -Math.log(3)]]);
    const gradient = plantGradient(logits);
    const total = withGradients(() => ops.sum(patchEntropy(ops.sigmoid(logits))));
    backward(total, [logits]);
    expectClose(gradient, [(-3 / 16) * Math.log(3), 0, (3 / 16) * Math.log(3)]);
    gradient.free();
  });

  it("S, V and distinct masks over images, in batches or at once", () => {
    const masks = Float32Array.of(1, 1, 0, 0, 1, 0, 0, 0, 1, 1, 0, 0);
    const whole = new MetricAccumulator();
    whole.add({ correct: Float32Array.of(1, 0, 1), mask: masks });
    expect(whole.metrics()).toEqual({
      accuracy: 2 / 3,
      sparsity: 5 / 3,
      patches_std: Math.sqrt(1 / 3),
      distinct_masks: 2,
      commonest_mask: 2 / 3,
    });
    const parts = new MetricAccumulator();
    parts.add({ correct: Float32Array.of(1), mask: masks.subarray(0, 4) });
    const resumed = new MetricAccumulator(JSON.parse(JSON.stringify(parts.state())));
    resumed.add({ correct: Float32Array.of(0, 1), mask: masks.subarray(4) });
    expect(resumed.metrics()).toEqual(whole.metrics());
    expect(resumed.patchUse()).toEqual([1, 2 / 3, 0, 0].map((share) => expect.closeTo(share, 12)));
  });
});

describe("the policy's whole loss, by hand", () => {
  // Two images of four patches. The first takes its first two patches, and earns 2 more than the greedy mask; the second
  // earns just as much as that, so that it has a bonus and no other part in the loss.
  const p = () =>
    matrix([
      [0.8, 0.8, 0.5, 0.5],
      [0.2, 0.5, 0.5, 0.5],
    ]);
  const tried = () => [
    { mask: bits(["1100", "0000"]), reward: vector(1, -3) },
    { mask: bits(["1111", "0111"]), reward: vector(-1, -3) },
  ];
  const loss = (beta: number, more: Pick<PolicyLossOptions, "over" | "decided" | "images">) =>
    policyLoss(p(), tried(), { estimator: estimatorOf("self_critical"), beta, ...more }).item();
  /** −log p(a) · A of the first image's first patch, which the second is alike, and of each of the other two. */
  const [likely, fair] = [-2 * Math.log(0.8), -2 * Math.log(0.5)];
  /** Entropies of a patch of p 0.8 or 0.2, and of one of p 0.5. */
  const [certain, open] = [-0.8 * Math.log(0.8) - 0.2 * Math.log(0.2), Math.LN2];
  const beta = 0.25;

  it.each([
    ["the sum over an image's patches", { over: "sum" }, 2],
    ["the mean over all patches", { over: "mean" }, 2 * 4],
    ["the sum over the images too", { over: "sum", images: "sum" }, 1],
  ] as const)("%s is taken of the gradient's part and of the bonus alike", (_, reduction, divisor) => {
    const gradient = 2 * likely + 2 * fair;
    const bonus = 3 * certain + 5 * open;
    expect(loss(0, reduction)).toBeCloseTo(gradient / divisor, 5);
    expect(loss(beta, reduction)).toBeCloseTo((gradient - beta * bonus) / divisor, 5);
    // What beta weighs is the same in every reduction.
    const share = (loss(0, reduction) - loss(beta, reduction)) / loss(0, reduction);
    expect(share).toBeCloseTo((beta * bonus) / gradient, 4);
  });

  it.each([
    ["mean", 2 * 4],
    ["sum", 2],
  ] as const)("patches that the curriculum decided have no part in it, neither in the bonus: %s", (over, divisor) => {
    const bonus = 2 * certain;
    expect(loss(0, { over, decided: 1 })).toBeCloseTo(likely / divisor, 5);
    expect(loss(beta, { over, decided: 1 })).toBeCloseTo((likely - beta * bonus) / divisor, 5);
  });
});

describe("images, by hand", () => {
  // Four patches of one pixel: 2 × 2 images.
  const grid = makeGrid(2, 1);
  const normalizer = new Normalizer({ mean: [0, 0.5, 0], std: [1, 0.5, 1] }, "cpu");
  const bytes = Uint8Array.of(255, 255, 0, 0, 0, 0, 0, 255, 255, 51, 0, 0);
  const shown = (images: Tensor) =>
    Array.from(ops.permute(images, [0, 2, 3, 1]).toFloat32(), (v) => Number(v.toFixed(4)));

  it("normalizes: (x / 255 − mean) / std", () => {
    expect(shown(normalizer.images(bytes, 2))).toEqual([1, 1, 0, 0, -1, 0, 0, 1, 1, 0.2, -1, 0]);
  });

  it("masks with zeros after normalization, or with the low resolution", () => {
    const images = normalizer.images(bytes, 2);
    const mask = matrix([[1, 0, 0, 1]]);
    expect(shown(maskPatches(images, mask, grid))).toEqual([1, 1, 0, 0, 0, 0, 0, 0, 0, 0.2, -1, 0]);
    const low = lowResolution(images, { lowSize: 1, lowInput: 2 });
    expect(shown(low)).toEqual([1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 1, 0]);
    expect(shown(maskPatches(images, mask, grid, low))).toEqual([1, 1, 0, 1, 1, 0, 1, 1, 0, 0.2, -1, 0]);
  });

  it("shows the low resolution as it is where the networks take it so, and fills with it all the same", () => {
    const images = normalizer.images(bytes, 2);
    const low = lowResolution(images, { lowSize: 1, lowInput: 1 });
    expect(shown(low)).toEqual([1, 1, 0]);
    const mask = matrix([[1, 0, 0, 1]]);
    expect(shown(maskPatches(images, mask, grid, low))).toEqual([1, 1, 0, 1, 1, 0, 1, 1, 0, 0.2, -1, 0]);
  });

  it("takes each patch by itself, in the images of a batch and in patches of more than one pixel", () => {
    // Two images of 4 × 4 pixels in four patches; the first channel tells image and pixel.
    const grey = new Normalizer({ mean: [0, 0, 0], std: [1 / 255, 1 / 255, 1 / 255] }, "cpu");
    const pixels = Uint8Array.from({ length: 2 * 16 * 3 }, (_, at) => (at % 3 === 0 ? at / 3 + 1 : 0));
    const images = grey.images(pixels, 4);
    const masked = maskPatches(images, bits(["1001", "0100"]), makeGrid(4, 2));
    const first = shown(masked).filter((_, at) => at % 3 === 0);
    expect(first.slice(0, 16)).toEqual([1, 2, 0, 0, 5, 6, 0, 0, 0, 0, 11, 12, 0, 0, 15, 16]);
    expect(first.slice(16)).toEqual([0, 0, 19, 20, 0, 0, 23, 24, 0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it("refuses images and a mask of other shapes, by name", () => {
    const images = normalizer.images(bytes, 2);
    expect(() => maskPatches(images, matrix([[1, 0, 0, 1]]), makeGrid(4, 2))).toThrow(
      "maskPatches: images: needs shape [1,3,4,4] (−1: any size), got [1,3,2,2]",
    );
    expect(() => maskPatches(images, matrix([[1, 0]]), grid)).toThrow(
      "maskPatches: mask: needs shape [1,4] (−1: any size), got [1,2]",
    );
  });
});

describe("against PyTorch and finite differences", () => {
  const golden = loadGolden("method");
  const { alpha, penalty, decided } = golden.options;
  const uniforms = matrix(golden.uniforms);
  const flat = golden.logits.flat();
  const probabilitiesOf = (logits: Tensor) => bounded(ops.sigmoid(logits), alpha);

  it("distribution, rewards and advantage", () => {
    const p = probabilitiesOf(matrix(golden.logits));
    expectClose(p, golden.probabilities.flat(), 6);
    expectClose(sample(p, uniforms), Array.from(golden.sampled.join(""), Number));
    expectClose(threshold(p), Array.from(golden.greedy.join(""), Number));
    expectClose(logProbability(p, bits(golden.sampled)), golden.logProbability.flat());
    const won = earned(vector(...golden.right), bits(golden.sampled), { kind: "quadratic", penalty });
    const baseline = earned(vector(...golden.rightGreedy), bits(golden.greedy), { kind: "quadratic", penalty });
    expectClose(won, golden.reward, 6);
    expectClose(advantage(won, baseline), golden.advantage, 6);
    expectClose(
      earned(vector(...golden.right), bits(golden.sampled), { kind: "linear", penalty }),
      golden.rewardLinear,
      6,
    );
  });

  const losses = {
    "mean over patches (pretraining)": [
      golden.policyLossMean,
      (p: Tensor) => policyGradientLoss(p, bits(golden.sampled), vector(...golden.advantage), { over: "mean" }),
    ],
    "sum over patches (finetuning)": [
      golden.policyLossSum,
      (p: Tensor) => policyGradientLoss(p, bits(golden.sampled), vector(...golden.advantage), { over: "sum" }),
    ],
    curriculum: [
      golden.curriculum,
      (p: Tensor) =>
        policyGradientLoss(p, bits(golden.curriculum.sampled), vector(...golden.advantage), { over: "mean", decided }),
    ],
    entropy: [golden.entropySum, (p: Tensor) => meanPolicyEntropy(p, { over: "sum" })],
  } as const;

  it.each(Object.keys(losses) as (keyof typeof losses)[])("loss and gradient: %s", (name) => {
    const [expected, loss] = losses[name];
    const logits = matrix(golden.logits);
    const gradient = plantGradient(logits);
    const value = withGradients(() => loss(probabilitiesOf(logits)));
    expect(value.item()).toBeCloseTo(expected.loss, 5);
    backward(value, [logits]);
    expectClose(gradient, expected.gradient.flat(), 6);
    gradient.free();
  });

  it("the gradient is that of finite differences", () => {
    const [, loss] = losses["sum over patches (finetuning)"];
    const [expected] = losses["sum over patches (finetuning)"];
    const step = 1e-2;
    for (const i of [0, 17, 40, 63]) {
      const at = (shift: number) => {
        const moved = Float32Array.from(flat);
        moved[i] += shift;
        return loss(probabilitiesOf(fromArray(moved, [4, 16]))).item();
      };
      expect((at(step) - at(-step)) / (2 * step)).toBeCloseTo(expected.gradient.flat()[i], 3);
    }
  });
});
