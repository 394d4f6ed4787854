/**
 * An estimator has no bias: its loss's gradient, weighted over all masks that it can draw, is that of −E[R(a)]. With two
 * patches all draws can be written down.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { type EstimatorName, estimatorOf, estimators } from "../../src/method/estimator.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { backward, plantGradient, withGradients } from "../../src/tensor/autograd.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const p = [0.3, 0.8];
const patches = p.length;
/** R of the masks 00, 01, 10, 11: not a sum over patches. */
const earned = [-0.5, 0.4, 0.9, 0.2];
const bitsOf = (mask: number) => [mask >> 1, mask & 1];
const chance = (mask: number) => bitsOf(mask).reduce((all, bit, k) => all * (bit === 1 ? p[k] : 1 - p[k]), 1);
/** ∂E[R] / ∂p: of the first patch (R(1·) − R(0·)), over the second patch's chances; and the other way round. */
const slope = [
  (1 - p[1]) * (earned[2] - earned[0]) + p[1] * (earned[3] - earned[1]),
  (1 - p[0]) * (earned[1] - earned[0]) + p[0] * (earned[3] - earned[2]),
];

/** All tuples of `count` masks. */
function tuples(count: number): number[][] {
  if (count === 0) return [[]];
  return tuples(count - 1).flatMap((before) => [0, 1, 2, 3].map((mask) => [...before, mask]));
}

const rowsOf = (mask: Tensor) => {
  const flat = mask.toFloat32();
  return Array.from({ length: flat.length / patches }, (_, b) => 2 * flat[b * patches] + flat[b * patches + 1]);
};
const matrix = (rows: readonly (readonly number[])[]) =>
  fromArray(Float32Array.from(rows.flat()), [rows.length, rows[0].length]);

/** The masks that uniform numbers draw, and the gradient of the loss at each row's probabilities. */
function learned(name: EstimatorName, draws: readonly (readonly number[])[]) {
  const estimator = estimatorOf(name);
  return scope(() => {
    const probabilities = matrix(draws.map(() => p));
    const gradient = plantGradient(probabilities);
    // A number of 0 takes a patch, one next to 1 drops it.
    const uniforms = matrix(
      draws.map((masks) => masks.flatMap((mask) => bitsOf(mask).map((bit) => (bit === 1 ? 0 : 0.999)))),
    );
    const proposed = estimator.propose(probabilities, uniforms);
    const tried = proposed.map((mask) => {
      const rewards = rowsOf(mask).map((one) => earned[one]);
      return { mask, reward: fromArray(Float32Array.from(rewards), [rewards.length]) };
    });
    const loss = withGradients(() => estimator.loss(probabilities, tried, { over: "sum" }));
    backward(loss, [probabilities]);
    const baseline = [...estimator.baseline(tried).toFloat32()];
    return { proposed: proposed.map(rowsOf), gradient: [...gradient.toFloat32()], baseline };
  });
}

describe.each(Object.keys(estimators) as EstimatorName[])("%s", (name) => {
  const draws = tuples(estimatorOf(name).drawsPerPatch);

  it("draws its masks from the distribution", () => {
    const { proposed } = learned(name, draws);
    for (let n = 0; n < draws[0].length; n++) expect(proposed[n]).toEqual(draws.map((masks) => masks[n]));
  });

  it("has the gradient of the expected reward, on average over all that it can draw", () => {
    const { gradient } = learned(name, draws);
    const expected = slope.map((_, k) =>
      draws.reduce((sum, masks, b) => {
        const weight = masks.reduce((all, mask) => all * chance(mask), 1);
        // The loss is a mean over the rows, each of which is a batch of its own here.
        return sum + weight * draws.length * gradient[b * patches + k];
      }, 0),
    );
    for (const [k, one] of slope.entries()) expect(expected[k]).toBeCloseTo(-one, 5);
  });
});

it("leave_one_out compares each mask with the mean of the other three", () => {
  const { baseline } = learned("leave_one_out", [[0, 1, 2, 3]]);
  expect(baseline).toEqual([expect.closeTo((0.4 + 0.9 + 0.2) / 3, 6)]);
});
