/** Leaving early: which images do, and the temperature under which a classifier is as sure as it may be. */
import { describe, expect, it } from "vitest";
import { calibratedConfidences, fitTemperature, leaves } from "../../src/method/leave-early.ts";

/** Logits of two classes in which the first has the probability p. */
const logitsOf = (...probabilities: number[]) =>
  Float32Array.from(probabilities.flatMap((p) => [Math.log(p / (1 - p)), 0]));

describe("the calibrated confidence", () => {
  it("is the likeliest class's probability once logits are divided by the temperature", () => {
    expect([...calibratedConfidences(logitsOf(0.8, 0.1), 2, 1)]).toEqual([expect.closeTo(0.8), expect.closeTo(0.9)]);
    // Odds of 4 and of 1/9, whose square roots are 2 and 1/3.
    const [first, second] = calibratedConfidences(logitsOf(0.8, 0.1), 2, 2);
    expect([first, second]).toEqual([expect.closeTo(2 / 3), expect.closeTo(3 / 4)]);
  });

  it("lets images leave from the given one on", () => {
    expect([...leaves(logitsOf(0.8, 0.1, 0.6), 2, { confidence: 0.75, temperature: 1 })]).toEqual([1, 1, 0]);
    expect([...leaves(logitsOf(0.8, 0.1, 0.6), 2, { confidence: 0.7, temperature: 2 })]).toEqual([0, 1, 0]);
    expect([...leaves(logitsOf(0.5), 2, { confidence: 0.5, temperature: 3 })]).toEqual([1]);
  });
});

describe("the temperature", () => {
  it("makes a classifier that says 0.9 and is right three times of four say 0.75", () => {
    // The odds 9 must become 3: the logit ln 9 over T = ln 3, so T = 2.
    expect(fitTemperature(logitsOf(0.9, 0.9, 0.9, 0.9), [0, 0, 0, 1], 2)).toBeCloseTo(2, 4);
  });

  it("makes one that is too modest surer", () => {
    // Odds of 1.5 where 9 in 10 are right: ln 1.5 / T = ln 9.
    const labels = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const expected = Math.log(1.5) / Math.log(9);
    expect(fitTemperature(logitsOf(...labels.map(() => 0.6)), labels, 2)).toBeCloseTo(expected, 4);
  });

  it("stays within its range where there is no best one", () => {
    expect(fitTemperature(logitsOf(0.9, 0.8), [0, 0], 2)).toBeCloseTo(0.05, 3);
    expect(fitTemperature(logitsOf(0.9, 0.8), [1, 1], 2)).toBeCloseTo(20, 0);
  });
});
