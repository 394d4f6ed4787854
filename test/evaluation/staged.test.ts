import { describe, expect, it } from "vitest";
import {
  atBudget,
  decideAtOnce,
  decideInRounds,
  filledUp,
  outcomeOf,
  type Stage,
} from "../../src/evaluation/staged.ts";

/** Forty images: the first twenty are easy and seem so, the others are right with four patches only. */
const easy = Array.from({ length: 40 }, (_, i) => i < 20);
const sure = easy.map((one, i) => (one ? 0.9 : 0.3) + i / 1000);
const stages: Stage[] = [
  { patches: 0, confidence: sure, right: easy.map(Number) },
  { patches: 2, confidence: sure, right: easy.map(Number) },
  { patches: 4, confidence: easy.map(() => 1), right: easy.map(() => 1) },
];
const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
const both = [
  ["at once", decideAtOnce],
  ["in rounds", decideInRounds],
] as const;

describe.each(both)("%s", (_, planAt) => {
  it("gives patches to the images that need them, where they are worth their price", () => {
    // A right answer for four patches pays below a price of a quarter.
    expect([...planAt(stages, 0.2)(stages)]).toEqual(easy.map((one) => (one ? 0 : 2)));
    expect([...planAt(stages, 0.3)(stages)]).toEqual(easy.map(() => 0));
  });

  it("treats other images by their confidence", () => {
    const others = [0.95, 0.1, 0.35, 0.92];
    const seen = stages.map(({ patches }) => ({ patches, confidence: others, right: [1, 1, 1, 1] }));
    expect([...planAt(stages, 0.2)(seen)]).toEqual([0, 2, 2, 0]);
  });

  it("takes half of the plan's patches on average where half is the budget", () => {
    const whole = outcomeOf(atBudget(planAt, stages, 2), stages);
    expect(whole.patches).toBeCloseTo(2, 6);
    expect(mean(whole.right)).toBeCloseTo(1, 6);
    // Between none and four patches for the hard half: all images of it get four by a chance of a half.
    const half = outcomeOf(atBudget(planAt, stages, 1), stages);
    expect(half.patches).toBeCloseTo(1, 6);
    expect([...half.right]).toEqual(easy.map((one) => (one ? 1 : expect.closeTo(0.5, 6))));
  });

  it("takes fewer where more are worth nothing", () => {
    const { patches, right } = outcomeOf(atBudget(planAt, stages, 3.5), stages);
    expect(patches).toBeLessThanOrEqual(3.5);
    expect(mean(right)).toBe(1);
  });

  it("is filled up with all patches of some images where a number must be reached, and else stays as it is", () => {
    const plans = atBudget(planAt, stages, 3.5);
    const { patches, right } = outcomeOf(filledUp(plans, stages, 3.5), stages);
    expect(patches).toBeCloseTo(3.5, 6);
    expect(mean(right)).toBeCloseTo(1, 6);
    const enough = atBudget(planAt, stages, 1);
    expect(filledUp(enough, stages, 1)).toBe(enough);
  });
});

describe("rounds", () => {
  it("look again: what was unsure without patches may be sure with two", () => {
    // Without patches all seem alike; two patches tell the half that is right with them from the half that needs four.
    const alike = easy.map(() => 0.5);
    const told: Stage[] = [
      { patches: 0, confidence: alike, right: alike.map(() => 0) },
      { patches: 2, confidence: sure, right: easy.map(Number) },
      { patches: 4, confidence: alike, right: alike.map(() => 1) },
    ];
    expect([...decideInRounds(told, 0.1)(told)]).toEqual(easy.map((one) => (one ? 1 : 2)));
    // One decision can only give all of them the same, and four patches for all are worth their price.
    expect([...decideAtOnce(told, 0.1)(told)]).toEqual(easy.map(() => 2));
  });

  it("stop images of equal confidence together", () => {
    const tied: Stage[] = [
      { patches: 0, confidence: [0.5, 0.5, 0.9], right: [1, 0, 1] },
      { patches: 1, confidence: [1, 1, 1], right: [1, 1, 1] },
    ];
    expect([...decideInRounds(tied, 0.1)(tied)]).toEqual([1, 1, 0]);
    expect([...decideInRounds(tied, 0.6)(tied)]).toEqual([0, 0, 0]);
  });
});

it("a surer group never gets more patches than a less sure one", () => {
  // Noise: the surest image alone is wrong without patches.
  const noisy: Stage[] = [
    { patches: 0, confidence: sure, right: sure.map((one) => (one === Math.max(...sure) ? 0 : 1)) },
    { patches: 4, confidence: sure, right: sure.map(() => 1) },
  ];
  const ends = [...decideAtOnce(noisy, 0.01)(noisy)];
  const bySureness = sure.map((one, i) => [one, ends[i]] as const).sort(([a], [b]) => a - b);
  const stagesInOrder = bySureness.map(([, stage]) => stage);
  expect(stagesInOrder).toEqual(stagesInOrder.toSorted((a, b) => b - a));
});
