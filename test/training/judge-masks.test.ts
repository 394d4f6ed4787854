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
import { byChoice, byRows, FoldJudges } from "../../src/training/fold-judges.ts";
import { judgeMasks } from "../../src/training/judge-masks.ts";
import { tinyModel } from "./cases.ts";

const { grid, imageSize } = tinyModel;
const { patches } = grid;
const rewarding: RewardOptions = { kind: "quadratic", penalty: -0.5 };

let before: number;
let classifier: FrozenNetwork;
/** Another, whose logits are green, blue and red. */
let turned: FrozenNetwork;
/** How many images each of its passes saw. */
let passes: number[];
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});
beforeEach(() => {
  before = liveHandles();
  passes = [];
  classifier = watched(linear(1, 0, 0, 0, 1, 0, 0, 0, 1));
  turned = watched(linear(0, 1, 0, 0, 0, 1, 1, 0, 0));
});
afterEach(() => {
  classifier.free();
  turned.free();
  expect(liveHandles()).toBe(before);
});

/** Three logits of the mean of each colour, by these weights. */
function linear(...weights: number[]): FrozenNetwork {
  const network: Network = (layers, x) => layers.linear(layers.globalAveragePool(x), "fc", 3);
  const parameters = new Parameters(network, imageSize, "cpu");
  const state = [
    ["fc.weight", float32Tensor([3, 3], Float32Array.from(weights))],
    ["fc.bias", float32Tensor([3], new Float32Array(3))],
  ] as const;
  parameters.load(new Map(state), "by hand");
  const made = new FrozenNetwork(network, parameters, "fp32");
  parameters.free();
  return made;
}

/** Counts the images of each pass. */
function watched(judge: FrozenNetwork): FrozenNetwork {
  const { forward } = judge;
  judge.forward = (images) => {
    passes.push(images.shape[0]);
    return forward.call(judge, images);
  };
  return judge;
}

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
    const seen = { images: plain(colours), labels: labels(targets), low: lows && plain(lows), grid };
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

describe("judges of folds", () => {
  /** The masks' judgements of plain images, each by the judge of its fold. */
  const judged = (masks: number[][], colours: number[][], targets: number[], folds: number[]) =>
    scope(() => {
      const seen = { images: plain(colours), labels: labels(targets), low: undefined, folds: labels(folds), grid };
      const found = judgeMasks(masks.map(taking), new FoldJudges([classifier, turned]), seen, rewarding);
      return found.map(({ logits, right, reward }) => [logits, right, reward].map((one) => [...one.toFloat32()]));
    });
  const red = [1, 0, 0];

  it("each say what the images of their own earn", () => {
    // Half of a red image: logits (½, 0, 0) by the first judge, (0, 0, ½) by the other. 1 − (8/16)² where they are right.
    expect(judged([[8, 8, 8, 8]], [red, red, red, red], [0, 0, 2, 2], [0, 1, 1, 0])).toEqual([
      [
        [0.5, 0, 0, 0, 0, 0.5, 0, 0, 0.5, 0.5, 0, 0],
        [1, 0, 1, 0],
        [0.75, -0.5, 0.75, -0.5],
      ],
    ]);
  });

  it("look again at the images of theirs whose masks differ", () => {
    const last = (taken: number) => Array.from({ length: 100 }, (_, i) => (i < 90 ? 8 : taken));
    const folds = Array.from({ length: 100 }, (_, i) => i % 2);
    const many = Array<number[]>(100).fill(red);
    const [, [logits, right, rewards]] = judged([last(8), last(4)], many, Array(100).fill(0), folds);
    // The first judge is right of a half and of a quarter, 1 − (8/16)² and 1 − (4/16)²; the other has it all in its third logit.
    const expected = folds.map((fold, i) => {
      const share = i < 90 ? 0.5 : 0.25;
      return fold === 0 ? [share, 0, 0, 1, i < 90 ? 0.75 : 0.9375] : [0, 0, share, 0, -0.5];
    });
    expect(logits).toEqual(expected.flatMap((row) => row.slice(0, 3)));
    expect([right, rewards]).toEqual([3, 4].map((column) => expected.map((row) => row[column])));
    // 64 of the 100 have the ten that differ among them; of each kind, those of one fold are filled up.
    expect(passes).toEqual([64, 64, 64, 64]);
  });

  // Each of another colour, so that a row in the wrong place shows.
  const count = 200;
  const colours = Array.from({ length: count }, (_, i) => [i / 256, 1 / 256, 0.5]);
  const logitsOf = (folds: readonly number[]) =>
    colours.flatMap(([r, g, b], i) => (folds[i] === 0 ? [r, g, b] : [g, b, r]));
  const by = (way: typeof byRows, folds: readonly number[]) =>
    scope(() => [...way([classifier, turned], plain(colours), labels(folds)).toFloat32()]);

  it.each([
    { own: 70, looks: [128, 192], why: "both filled up to a multiple of 64" },
    { own: 5, looks: [64, 200], why: "195 to all" },
    { own: 0, looks: [200], why: "no image of the first's" },
    { own: 200, looks: [200], why: "no image of the other's" },
  ])("look on a CPU at $looks images where $own are the first's: $why", ({ own, looks }) => {
    // 3 and 200 have no common divisor: each image has another remainder.
    const folds = colours.map((_, i) => Number((3 * i) % count >= own));
    expect(by(byRows, folds)).toEqual(logitsOf(folds).map((logit) => expect.closeTo(logit, 6)));
    expect(passes).toEqual(looks);
  });

  it("look on a GPU at all images, and each image takes its own's", () => {
    const folds = colours.map((_, i) => Number(i % 5 < 2));
    expect(by(byChoice, folds)).toEqual(logitsOf(folds).map((logit) => expect.closeTo(logit, 6)));
    expect(passes).toEqual([200, 200]);
  });

  it("are as many as there are folds", () => {
    const folds = colours.map((_, i) => i % 3);
    const third = watched(linear(0, 0, 0, 0, 0, 0, 0, 0, 1));
    const expected = colours.flatMap(
      ([r, g, b], i) =>
        [
          [r, g, b],
          [g, b, r],
          [0, 0, b],
        ][folds[i]],
    );
    for (const way of [byRows, byChoice]) {
      const found = scope(() => way([classifier, turned, third], plain(colours), labels(folds)).toFloat32());
      expect([...found]).toEqual(expected.map((logit) => expect.closeTo(logit, 6)));
    }
    third.free();
  });
});

it("a mask that no image has anew shares the logits of the one before", () => {
  scope(() => {
    const seen = { images: plain([[1, 0, 0]]), labels: labels([0]), low: undefined, grid };
    const [first, again] = judgeMasks([taking([4]), taking([4])], classifier, seen, rewarding);
    expect(again.logits).toBe(first.logits);
  });
});
