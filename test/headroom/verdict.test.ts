import { expect, it } from "vitest";
import { type Measured, verdictOf } from "../../src/headroom/verdict.ts";

const gain = (mean: number, low: number, high: number) => ({ patches: 5.94, gain: { mean, low, high } });
const measured = (budgets: Measured["budgets"]): Measured => ({ none: 0.5, all: 0.8, budgets });
const nothing = gain(0, -0.01, 0.012);

it("names the largest certain gain, its interval and what the others gain there", () => {
  const { best, sentence } = verdictOf(
    measured([
      { budget: 4, many: nothing, rounds: gain(0.02, 0.005, 0.035), where: nothing },
      { budget: 8, many: gain(0.005, 0.001, 0.009), rounds: gain(0.031, 0.018, 0.044), where: gain(0.09, -0.01, 0.2) },
    ]),
  );
  expect(best).toMatchObject({ way: "rounds", budget: 8 });
  expect(sentence).toBe(
    "Looking can pay: 3.1 points (1.8 to 4.4) by looking in rounds, at 5.9 patches; by how many patches 0.5, by where they lie 9.0.",
  );
});

it.each([
  ["nothing is certain", gain(0.03, -0.001, 0.06), "6.0"],
  ["what is certain is less than a point", gain(0.009, 0.005, 0.013), "1.3"],
  ["all are worse", gain(-0.03, -0.04, -0.02), "1.2"],
])("says that a fixed mask is enough where %s", (_, rounds, bound) => {
  const { best, sentence } = verdictOf(measured([{ budget: 4, many: nothing, rounds, where: nothing }]));
  expect(best).toBeUndefined();
  expect(sentence).toBe(
    `A fixed mask is enough: at most ${bound} points are there, at 95 %. If that surprises, try a larger low resolution (--lr_size).`,
  );
});

it("says so where patches add nothing, whatever the rest: there is nothing to choose", () => {
  const budgets = [{ budget: 4, many: nothing, rounds: gain(0.02, 0.005, 0.035), where: nothing }];
  const { best, sentence } = verdictOf({ none: 0.331, all: 0.338, budgets });
  expect(best).toBeUndefined();
  expect(sentence).toBe(
    "Patches add nothing for this classifier: with all patches it has 33.8 %, without any 33.1 %. Train it longer, then ask again.",
  );
});
