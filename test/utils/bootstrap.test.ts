import { expect, it } from "vitest";
import { bootstrapMean } from "../../src/utils/bootstrap.ts";

it("has the interval of the normal distribution for many images", async () => {
  // 1000 differences of −1, 0 and 1: mean 0.1, variance 0.3 − 0.01, so that a standard error is √(0.29 / 1000) = 0.01703.
  const values = Array.from({ length: 1000 }, (_, i) => (i < 200 ? 1 : i < 300 ? -1 : 0));
  const { mean, low, high } = await bootstrapMean(values);
  expect(mean).toBeCloseTo(0.1, 12);
  // The ends of 2000 resamples err by about a twentieth of a standard error.
  expect(Math.abs(low - (0.1 - 1.96 * 0.01703))).toBeLessThan(0.003);
  expect(Math.abs(high - (0.1 + 1.96 * 0.01703))).toBeLessThan(0.003);
});

it("is one point where all images agree, and the same for the same seed", async () => {
  expect(await bootstrapMean(Float64Array.of(1, 1, 1))).toEqual({ mean: 1, low: 1, high: 1 });
  const values = [0, 1, 1, 0, 1];
  expect(await bootstrapMean(values, 7)).toEqual(await bootstrapMean(values, 7));
});
