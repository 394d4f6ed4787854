import { describe, expect, it } from "vitest";
import type { Level } from "../../src/method/budget.ts";
import { searchThreshold, tryThresholds } from "../../src/method/search-threshold.ts";

/** A policy whose probabilities are uniform: threshold t takes the share 1 − t of 16 patches, and as much accuracy. */
const asked: number[][] = [];
const measure = async (thresholds: readonly number[]): Promise<Level[]> => {
  asked.push([...thresholds]);
  return thresholds.map((threshold) => {
    const share = Math.max(1 - threshold, 0);
    return { threshold, patches: 16 * share, accuracy: share };
  });
};
const sigmoid = (logit: number) => Math.fround(1 / (1 + Math.exp(-logit)));

describe("thresholds that are tried", () => {
  it("go from none to all in equal steps of their logits", async () => {
    const levels = await tryThresholds(measure);
    expect(levels.length).toBe(35);
    expect(levels[0]).toEqual({ threshold: 2, patches: 0, accuracy: 0 });
    expect(levels[1].threshold).toBe(sigmoid(10));
    expect(levels[17].threshold).toBe(0.5);
    expect(levels[18].threshold).toBe(sigmoid(-0.625));
    expect(levels[34]).toEqual({ threshold: 0, patches: 16, accuracy: 1 });
  });

  it("are refined between two: 6 of 16 patches lie between logits of 0.625 and 0, next to 13 of 16 parts", async () => {
    asked.length = 0;
    const level = await searchThreshold({ patches: 6 }, measure, 16);
    expect(level.threshold).toBe(sigmoid((0.625 * 13) / 16));
    expect(asked.map(({ length }) => length)).toEqual([35, 15]);
  });

  it("are the first that reaches an accuracy", async () => {
    const { threshold, accuracy } = await searchThreshold({ accuracy: 6 / 16 }, measure, 16);
    expect(threshold).toBe(sigmoid((0.625 * 13) / 16));
    expect(accuracy).toBeGreaterThanOrEqual(6 / 16);
  });

  it("are none or all at the ends", async () => {
    expect((await searchThreshold({ patches: 0 }, measure, 16)).threshold).toBe(2);
    expect((await searchThreshold({ patches: 16 }, measure, 16)).threshold).toBe(0);
    expect((await searchThreshold({ accuracy: 0 }, measure, 16)).threshold).toBe(2);
    const few = async (thresholds: readonly number[]) =>
      (await measure(thresholds)).map((level) => ({ ...level, patches: level.patches / 2 }));
    // Where even the lowest takes fewer, it is taken.
    expect((await searchThreshold({ patches: 9 }, few, 16)).threshold).toBe(0);
  });

  it("do not reach what can't be reached", async () => {
    const half = async (thresholds: readonly number[]) =>
      (await measure(thresholds)).map((level) => ({ ...level, accuracy: level.accuracy / 2 }));
    await expect(searchThreshold({ accuracy: 0.75 }, half, 16)).rejects.toThrow(
      "--target_accuracy: is not reached with any number of patches, on the images that it was looked for on, got 0.75; give at most 0.5000, the best, which takes 16.00 patches per image",
    );
    await expect(searchThreshold({ patches: 5 }, measure, 4)).rejects.toThrow(
      "--target_patches: must be within 0 … 4, got 5",
    );
  });
});
