import { describe, expect, it } from "vitest";
import { studentMean, studentQuantile } from "../../src/utils/student.ts";

describe("studentQuantile", () => {
  // Abramowitz and Stegun, Handbook of Mathematical Functions, table 26.10, A = 0.95: three decimals.
  it.each([
    [1, 12.706],
    [2, 4.303],
    [3, 3.182],
    [4, 2.776],
    [5, 2.571],
    [6, 2.447],
    [7, 2.365],
    [8, 2.306],
    [9, 2.262],
    [10, 2.228],
    [29, 2.045],
    [30, 2.042],
    [120, 1.98],
  ])("has the table's value for %i degrees of freedom", (freedom, t) => {
    expect(Math.abs(studentQuantile(freedom) - t)).toBeLessThan(0.0005);
  });

  it("is exact where the distribution has an inverse in closed form", () => {
    // ν = 1: A = 2/π arctan t. ν = 2: A = t / √(2 + t²), so t = √2 A / √(1 − A²) = 1.343503 / 0.312250 = 4.302653.
    expect(studentQuantile(1)).toBeCloseTo(Math.tan(0.475 * Math.PI), 10);
    expect(studentQuantile(2)).toBeCloseTo((Math.SQRT2 * 0.95) / Math.sqrt(1 - 0.95 ** 2), 10);
  });
});

describe("studentMean", () => {
  it("has the mean and its interval over three values", () => {
    // 1, 2, 3: mean 2, standard deviation √((1 + 0 + 1) / 2) = 1, half width 4.303 · 1 / √3 = 2.484.
    const { mean, low, high } = studentMean([3, 1, 2]);
    expect(mean).toBe(2);
    expect(low).toBeCloseTo(2 - 2.484, 3);
    expect(high).toBeCloseTo(2 + 2.484, 3);
  });

  it("is wide over two values", () => {
    // 0.8 and 0.9: standard deviation √(2 · 0.05²) = 0.070711, half width 12.706 · 0.070711 / √2 = 0.6353.
    const { mean, low, high } = studentMean([0.8, 0.9]);
    expect(mean).toBeCloseTo(0.85, 12);
    expect(low).toBeCloseTo(0.85 - 0.6353, 4);
    expect(high).toBeCloseTo(0.85 + 0.6353, 4);
  });

  it("is one point where all values are the same", () => {
    expect(studentMean([0.5, 0.5, 0.5, 0.5])).toEqual({ mean: 0.5, low: 0.5, high: 0.5 });
  });
});
