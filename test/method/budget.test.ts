import { describe, expect, it } from "vitest";
import {
  type Choice,
  choosePatches,
  meanEntropy,
  probabilitiesOf,
  takesAll,
  takesNone,
  thresholdForAccuracy,
  thresholdForPatches,
} from "../../src/method/budget.ts";
import { maskBits } from "../../src/method/grid.ts";

const probabilities = [0.5, 0.9, 0.25, 0.9];

describe("choosePatches", () => {
  it.each<[string, Choice, string]>([
    ["those with at least the threshold", { policy: "threshold", threshold: 0.5 }, "1101"],
    [
      "at most a budget of them, of two equal ones the first",
      { policy: "threshold", threshold: 0.5, budget: 1 },
      "0100",
    ],
    ["no more than pass, whatever the budget", { policy: "threshold", threshold: 0.6, budget: 3 }, "0101"],
    ["nothing with a budget of none", { policy: "threshold", threshold: 0, budget: 0 }, "0000"],
    ["all with the threshold that takes all", { policy: "threshold", threshold: takesAll }, "1111"],
    ["none with the threshold that takes none", { policy: "threshold", threshold: takesNone }, "0000"],
    ["exactly K, however unlikely", { policy: "topk", budget: 3 }, "1101"],
    ["exactly K, of two equal ones the first", { policy: "topk", budget: 1 }, "0100"],
    ["all of them", { policy: "topk", budget: 4 }, "1111"],
  ])("takes %s", (_, choice, mask) => {
    expect(maskBits(choosePatches(probabilities, choice))).toBe(mask);
  });

  it("takes by chance a patch whose uniform number lies below its probability", () => {
    const uniforms = [0.5, 0.89, 0.2, 0.95]; // not below 0.5; below 0.9; below 0.25; not below 0.9
    expect(maskBits(choosePatches(probabilities, { policy: "sample" }, uniforms))).toBe("0110");
    expect(maskBits(choosePatches(probabilities, { policy: "sample", budget: 1 }, uniforms))).toBe("0100");
  });

  it("takes for certain what has the probability 1, and never what has 0", () => {
    expect(maskBits(choosePatches([1, 0, 1], { policy: "sample" }, [0.999, 0, 0]))).toBe("101");
  });
});

describe("in a round", () => {
  const acquired = Uint8Array.of(0, 1, 0, 0);

  it.each<[string, Choice, number, string]>([
    ["further patches alone", { policy: "threshold", threshold: 0.5 }, 4, "1001"],
    ["the likeliest of the round's most", { policy: "threshold", threshold: 0.5 }, 1, "0001"],
    ["what the budget leaves", { policy: "threshold", threshold: 0, budget: 2 }, 4, "0001"],
    ["nothing where the budget is used up", { policy: "threshold", threshold: 0, budget: 1 }, 4, "0000"],
    ["up to K in all", { policy: "topk", budget: 3 }, 4, "1001"],
    ["no more of K than a round may", { policy: "topk", budget: 4 }, 2, "1001"],
  ])("takes %s", (_, choice, most, mask) => {
    expect(maskBits(choosePatches(probabilities, choice, [], { acquired, most }))).toBe(mask);
  });
});

it("what is wanted of an image lies among what is wanted of all", () => {
  const two = { probabilities: Float32Array.of(0.75, 0.25, 0.5, 0.125, 0.625, 0.375), patches: 3 };
  expect([...probabilitiesOf(two, 1)]).toEqual([0.125, 0.625, 0.375]);
});

// Two images of four patches. Falling: 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.
const looked = { probabilities: Float32Array.of(0.875, 0.5, 0.25, 0.125, 0.75, 0.625, 0.375, 0), patches: 4 };

describe("thresholdForPatches", () => {
  it.each([
    [0, takesNone, 0],
    [0.5, 0.8125, 0.5], // one patch of two images, midway between 0.875 and 0.75
    [1, 0.6875, 1],
    [1.2, 0.6875, 1], // nearer than 1.5
    [1.25, 0.6875, 1], // as near as 1.5, and fewer
    [1.3, 0.5625, 1.5],
    [3.5, 0.0625, 3.5],
    [3.9, takesAll, 4], // the last one has the probability 0
    [4, takesAll, 4],
    [0.2, takesNone, 0],
  ])("for a mean of %d patches is %d, which gives %d", (target, threshold, patches) => {
    expect(thresholdForPatches(looked, target)).toEqual({ threshold, patches });
  });

  it("counts what a budget leaves of each image", () => {
    // The two largest of each: 0.875, 0.5 and 0.75, 0.625. Three of them: down to 0.625, midway to 0.5.
    expect(thresholdForPatches(looked, 1.5, 2)).toEqual({ threshold: 0.5625, patches: 1.5 });
    expect(thresholdForPatches(looked, 2, 2)).toEqual({ threshold: takesAll, patches: 2 });
    // A budget above the four patches of an image leaves all of them.
    expect(thresholdForPatches(looked, 3.5, 8)).toEqual({ threshold: 0.0625, patches: 3.5 });
    expect(thresholdForPatches(looked, 4, 8)).toEqual({ threshold: takesAll, patches: 4 });
  });

  it("leaves the probabilities as they were", () => {
    const probabilities = Float32Array.of(0.25, 0.75, 0.5);
    thresholdForPatches({ probabilities, patches: 3 }, 1.5);
    expect([...probabilities]).toEqual([0.25, 0.75, 0.5]);
  });

  it("takes patches with equal probability together", () => {
    const tied = { probabilities: Float32Array.of(0.75, 0.75, 0.75, 0.25), patches: 4 };
    expect(thresholdForPatches(tied, 1)).toEqual({ threshold: takesNone, patches: 0 });
    expect(thresholdForPatches(tied, 2)).toEqual({ threshold: 0.5, patches: 3 });
    const flat = { probabilities: new Float32Array(8).fill(0.5), patches: 4 };
    expect(thresholdForPatches(flat, 1)).toEqual({ threshold: takesNone, patches: 0 });
    expect(thresholdForPatches(flat, 3)).toEqual({ threshold: 0.25, patches: 4 });
  });

  it.each([
    [1, 1 - 2 ** -24],
    [0.5 + 2 ** -24, 0.5], // their middle is rounded to the lower one, which must not be taken
  ])("separates the neighbours %d and %d among float32 numbers", (taken, dropped) => {
    const close = { probabilities: Float32Array.of(taken, dropped), patches: 2 };
    const { threshold } = thresholdForPatches(close, 1);
    expect(maskBits(choosePatches(close.probabilities, { policy: "threshold", threshold }))).toBe("10");
  });

  it.each([
    [-0.1, undefined, "--target_patches: must be within 0 … 4, got -0.1"],
    [4.1, undefined, "--target_patches: must be within 0 … 4, got 4.1"],
    [3, 2, "--target_patches: must be within 0 … 2, got 3"],
    [Number.NaN, undefined, "--target_patches: must be within 0 … 4, got NaN"],
  ])("refuses %d with a budget of %s", (target, budget, message) => {
    expect(() => thresholdForPatches(looked, target, budget)).toThrow(
      expect.objectContaining({ exitCode: 2, message }),
    );
  });
});

describe("thresholdForAccuracy", () => {
  // One image of 16 patches with the probabilities 15.5/16, 14.5/16, …, so that a threshold t takes 16·(1 − t) patches,
  // rounded, and any number of them can be reached.
  const one = { probabilities: Float32Array.from({ length: 16 }, (_, k) => (15.5 - k) / 16), patches: 16 };
  const taken = (threshold: number) => one.probabilities.filter((p) => p >= threshold).length;
  const measuring = (accuracy: (patches: number) => number) => {
    const asked: number[][] = [];
    const measure = async (thresholds: readonly number[]) => {
      asked.push(thresholds.map(taken));
      return thresholds.map((threshold) => accuracy(taken(threshold)));
    };
    return { asked, measure };
  };

  it("takes the fewest patches that reach it", async () => {
    const { asked, measure } = measuring((patches) => patches / 16);
    expect(await thresholdForAccuracy(one, 0.6, measure)).toEqual({
      threshold: 6 / 16,
      patches: 10,
      accuracy: 10 / 16,
    });
    expect(asked[0]).toEqual(Array.from({ length: 17 }, (_, patches) => patches));
    expect(new Set(asked[1])).toEqual(new Set([9, 10]));
  });

  it("does not go past a level that reaches it because a later one falls short", async () => {
    const { measure } = measuring((patches) => [0.1, 0.2, 0.8, 0.7, 0.6][patches] ?? 0.9);
    expect(await thresholdForAccuracy(one, 0.75, measure)).toMatchObject({ patches: 2, accuracy: 0.8 });
    expect(await thresholdForAccuracy(one, 0.85, measure)).toMatchObject({ patches: 5, accuracy: 0.9 });
  });

  it("refines within the level that reaches it", async () => {
    // Two images of 16 patches, of which the second's are a little less likely: means of halves can be reached.
    const second = one.probabilities.map((p) => p - 1 / 64);
    const two = { probabilities: Float32Array.of(...one.probabilities, ...second), patches: 16 };
    const measure = async (thresholds: readonly number[]) =>
      thresholds.map((threshold) => two.probabilities.filter((p) => p >= threshold).length / 2 / 16);
    const halves = await thresholdForAccuracy(two, 9.5 / 16, measure);
    expect([halves.patches, halves.accuracy]).toEqual([9.5, 9.5 / 16]);
    // Between the tenth probability of the first image, 6.5/16 = 0.40625, and that of the second, 0.390625.
    expect(halves.threshold).toBe(0.3984375);
  });

  it("returns what was measured to reach it, where a second measurement falls short", async () => {
    let asked = 0;
    const measure = async (thresholds: readonly number[]) =>
      thresholds.map((threshold) => (asked++ < 17 ? taken(threshold) / 16 : 0));
    expect(await thresholdForAccuracy(one, 0.5, measure)).toMatchObject({ patches: 8, accuracy: 0.5 });
  });

  it("takes none where none are needed", async () => {
    const { asked, measure } = measuring((patches) => patches / 16);
    expect(await thresholdForAccuracy(one, 0, measure)).toEqual({ threshold: takesNone, patches: 0, accuracy: 0 });
    expect(asked).toHaveLength(1);
  });

  it("looks no further than the budget", async () => {
    const { measure } = measuring((patches) => Math.min(patches, 4) / 16);
    expect(await thresholdForAccuracy(one, 0.125, measure, 4)).toMatchObject({ patches: 2, accuracy: 0.125 });
    await expect(thresholdForAccuracy(one, 0.5, measure, 4)).rejects.toThrow(
      "give at most 0.2500, the best, which takes 4.00",
    );
  });

  it("says the best that there was where it cannot be reached", async () => {
    const { measure } = measuring((patches) => (patches === 12 ? 0.93 : 0.9));
    await expect(thresholdForAccuracy(one, 0.95, measure)).rejects.toMatchObject({
      exitCode: 2,
      message:
        "--target_accuracy: is not reached with any number of patches, on the images that it was looked for on, got 0.95; " +
        "give at most 0.9300, the best, which takes 12.00 patches per image",
    });
  });
});

describe("an accuracy that is the same for any number of patches", () => {
  it("is said to be the best with the fewest of them", async () => {
    const image = { probabilities: Float32Array.of(0.75, 0.25), patches: 2 };
    const measure = async (thresholds: readonly number[]) => thresholds.map(() => 0.9);
    await expect(thresholdForAccuracy(image, 0.95, measure)).rejects.toThrow(
      "give at most 0.9000, the best, which takes 0.00 patches per image",
    );
  });
});

describe("meanEntropy", () => {
  it("is a bit a patch for coins, nothing for certainty, and the mean over images", () => {
    expect(meanEntropy({ probabilities: Float32Array.of(0.5, 0.5, 0, 1), patches: 2 })).toBe(1);
    // −0.25·log2(0.25) − 0.75·log2(0.75) = 0.5 + 0.311278
    expect(meanEntropy({ probabilities: Float32Array.of(0.25), patches: 1 })).toBeCloseTo(0.811278, 6);
  });
});
