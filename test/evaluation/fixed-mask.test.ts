import { describe, expect, it } from "vitest";
import { exchanged, greedyOrder, type Worth } from "../../src/evaluation/fixed-mask.ts";
import { maskOf } from "../../src/method/grid.ts";

/** Patches that are worth this each, and these pairs more when both are taken. */
function worthOf(patches: readonly number[], pairs: readonly (readonly [number, number, number])[] = []) {
  const tried: string[] = [];
  const worth: Worth = async (masks) =>
    masks.map((mask) => {
      tried.push(mask.join(""));
      const alone = patches.reduce((sum, value, k) => sum + value * mask[k], 0);
      return pairs.reduce((sum, [a, b, value]) => sum + value * mask[a] * mask[b], alone);
    });
  return { worth, tried };
}

describe("greedyOrder", () => {
  it("adds the patch that is worth most, P + … + 1 masks in all; of equals the first", async () => {
    const { worth, tried } = worthOf([1, 3, 2, 2]);
    expect(await greedyOrder(4, worth)).toEqual({ order: [1, 2, 3, 0], values: [3, 5, 7, 8] });
    expect(tried).toHaveLength(4 + 3 + 2 + 1);
  });

  it("asks what a patch is worth beside those that are taken", async () => {
    // 0 alone is best; with it 3 is worth 1 + 5.
    const { worth } = worthOf([4, 3, 2, 1], [[0, 3, 5]]);
    expect((await greedyOrder(4, worth)).order).toEqual([0, 3, 1, 2]);
  });
});

describe("exchanged", () => {
  it("finds a pair that greed misses", async () => {
    // Greed takes 0 (4), then 1 (3): 7. The pair 1, 2 is worth 3 + 2 + 6 = 11, one exchange away.
    const { worth } = worthOf([4, 3, 2, 1], [[1, 2, 6]]);
    expect((await greedyOrder(4, worth)).order.slice(0, 2)).toEqual([0, 1]);
    expect([...(await exchanged(maskOf([0, 1], 4), worth))]).toEqual([0, 1, 1, 0]);
  });

  it("goes on from exchange to exchange, twice at most", async () => {
    const { worth } = worthOf([1, 2, 3, 4, 5, 6]);
    expect([...(await exchanged(maskOf([0, 1], 6), worth))]).toEqual([0, 0, 0, 0, 1, 1]);
    expect([...(await exchanged(maskOf([0, 1, 2], 6), worth))]).toEqual([0, 0, 1, 0, 1, 1]);
  });

  it.each([0, 2])("leaves a mask of %d of 2 patches as it is", async (count) => {
    const { worth } = worthOf([1, 2]);
    const mask = maskOf([0, 1].slice(0, count), 2);
    expect(await exchanged(mask, worth)).toEqual(mask);
  });
});
