import { expect, it } from "vitest";
import { findExamples } from "../../src/evaluation/examples.ts";

// Images 0 … 7: right or wrong, and how many patches were taken.
const right = Uint8Array.of(1, 1, 1, 0, 0, 1, 1, 1);
const counts = Uint16Array.of(4, 1, 9, 2, 16, 3, 2, 4);

it("finds those with the fewest patches that are right, those with the most, and draws from the rest, no image twice", () => {
  const found = findExamples(right, counts, 1, 2);
  expect(found.fewest).toEqual([1, 6]);
  expect(found.most).toEqual([4, 2]); // right or wrong
  expect(found.right.toSorted()).toEqual(expect.arrayContaining(found.right.filter((i) => [0, 5, 7].includes(i))));
  expect(found.right).toHaveLength(2);
  expect(found.wrong).toEqual([3]);
});

it("draws by the seed", () => {
  const many = new Uint8Array(1000).fill(1);
  const same = new Uint16Array(1000).fill(3);
  expect(findExamples(many, same, 1)).toEqual(findExamples(many, same, 1));
  expect(findExamples(many, same, 1)).not.toEqual(findExamples(many, same, 2));
});
