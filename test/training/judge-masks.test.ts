/** What masks earn under a classifier whose logits are the mean of each colour; and how many images it looks at for that. */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { float32Tensor } from "../../src/formats/safetensors.ts";
import type { RewardOptions } from "../../src/method/reward.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { judgeMasks } from "../../src/training/judge-masks.ts";
import { tinyModel } from "./cases.ts";

const { grid, imageSize } = tinyModel;
const { patches } = grid;
const sight = tinyModel;
const rewarding: RewardOptions = { kind: "quadratic", penalty: -0.5 };

let before: number;
let classifier: FrozenNetwork;
/** How many images each of its passes saw. */
let passes: number[];
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});
beforeEach(() => {
  before = liveHandles();
  const network: Network = (layers, x) => layers.linear(layers.globalAveragePool(x), "fc", 3);
  const parameters = new Parameters(network, imageSize, "cpu");
  const weight = float32Tensor([3, 3], Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1));
  parameters.load(
    new Map([
      ["fc.weight", weight],
      ["fc.bias", float32Tensor([3], new Float32Array(3))],
    ]),
    "by hand",
  );
  classifier = new FrozenNetwork(network, parameters, "fp32");
  parameters.free();
  passes = [];
  const { forward } = classifier;
  classifier.forward = (images) => {
    passes.push(images.shape[0]);
    return forward.call(classifier, images);
  };
});
afterEach(() => {
  classifier.free();
  expect(liveHandles()).toBe(before);
});

/** Images [B, 3, 8, 8] of one colour each. */
function plain(colours: readonly (readonly number[])[]): Tensor {
  const area = imageSize ** 2;
  const values = colours.flatMap((colour) => colour.flatMap((value) => Array<number>(area).fill(value)));
  return fromArray(Float32Array.from(values), [colours.length, 3, imageSize, imageSize]);
}

/** Masks [B, P] that take so many patches of each image, the first ones. */
function taking(counts: readonly number[]): Tensor {
  const values = counts.flatMap((count) => Array.from({ length: patches }, (_, k) => Number(k < count)));
  return fromArray(Float32Array.from(values), [counts.length, patches]);
}

const labels = (values: readonly number[]) => fromArray(BigInt64Array.from(values, BigInt), [values.length]);

/** The judgements as numbers. */
function judge(masks: number[][], colours: number[][], targets: number[], lows?: number[][]) {
  return scope(() => {
    const seen = { images: plain(colours), labels: labels(targets), low: lows && plain(lows), sight };
    const judged = judgeMasks(masks.map(taking), classifier, seen, rewarding);
    return judged.map(({ mask, logits, right, reward }) => ({
      taken: [...mask.toFloat32()].reduce((sum, one) => sum + one, 0),
      ...{ logits: [...logits.toFloat32()], right: [...right.toFloat32()], reward: [...reward.toFloat32()] },
    }));
  });
}

describe("a mask earns", () => {
  it("by the patches that it takes where the classifier is right, and the penalty where it is not", () => {
    const found = judge(
      [[8, 4]],
      [
        [1, 0, 0],
        [1, 0, 0],
      ],
      [0, 1],
    );
    // Half and a quarter of a red image: logits (½, 0, 0) and (¼, 0, 0). 1 − (8/16)².
    const logits = [0.5, 0, 0, 0.25, 0, 0];
    expect(found).toEqual([{ taken: 12, logits, right: [1, 0], reward: [0.75, -0.5] }]);
  });

  it("what the low resolution, which stands in the dropped patches, lets the classifier see", () => {
    const red = [1, 0, 0];
    const [{ logits, right }] = judge([[4]], [red], [2], [[0, 0, 2]]);
    // A quarter red, three quarters twice blue.
    expect({ logits, right }).toEqual({ logits: [0.25, 0, 1.5], right: [1] });
  });
});

describe("the masks of a batch of 100 images", () => {
  const count = 100;
  // Each of another colour, so that a row in the wrong place shows.
  const colours = Array.from({ length: count }, (_, i) => [i / 128, 0, 1 / 128]);
  const lows = Array.from({ length: count }, (_, i) => [0, i / 128, 0]);
  const targets = Array.from({ length: count }, (_, i) => i % 3);
  const all = (taken: number) => Array<number>(count).fill(taken);
  /** All take four patches; the last `differing` images eight in the second mask. */
  const second = (differing: number) => all(4).map((taken, i) => (i < count - differing ? taken : 8));

  it.each([
    { differing: 0, looks: [100], why: "none differs" },
    { differing: 1, looks: [100, 64], why: "63 others fill it up" },
    { differing: 64, looks: [100, 64], why: "a whole granule" },
    { differing: 65, looks: [100, 100], why: "all of the others" },
    { differing: 100, looks: [100, 100], why: "all differ" },
  ])("of whom $differing differ are looked at in passes of $looks: $why", ({ differing, looks }) => {
    const found = judge([all(4), second(differing)], colours, targets, lows);
    expect(passes).toEqual(looks);
    const expected = second(differing).flatMap((taken, i) => {
      const share = taken / patches;
      return [(share * i) / 128, ((1 - share) * i) / 128, share / 128];
    });
    expect(found[1].logits).toEqual(expected.map((logit) => expect.closeTo(logit, 6)));
    expect(found[0].logits).toEqual(
      colours
        .flatMap(([red, , blue], i) => [red / 4, (0.75 * i) / 128, blue / 4])
        .map((logit) => expect.closeTo(logit, 6)),
    );
    expect(found[1].taken).toBe(4 * count + 4 * differing);
  });

  it("are each held against the one before", () => {
    judge([all(4), all(8), all(8), all(4)], colours, targets);
    expect(passes).toEqual([100, 100, 100]);
  });
});

it("a mask that no image has anew shares the logits of the one before", () => {
  scope(() => {
    const seen = { images: plain([[1, 0, 0]]), labels: labels([0]), low: undefined, sight };
    const [first, again] = judgeMasks([taking([4]), taking([4])], classifier, seen, rewarding);
    expect(again.logits).toBe(first.logits);
  });
});
