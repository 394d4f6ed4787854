import { expect, it } from "vitest";
import { confusionsOf } from "../../src/method/class-metrics.ts";

it("counts how often each class was taken for each other, the commonest first", () => {
  const labels = [0, 0, 0, 1, 1, 2, 2, 2];
  const predictions = [0, 2, 2, 0, 1, 0, 2, 1];
  expect(confusionsOf(labels, predictions)).toEqual([
    { label: 0, prediction: 2, images: 2 },
    { label: 1, prediction: 0, images: 1 },
    { label: 2, prediction: 0, images: 1 },
    { label: 2, prediction: 1, images: 1 },
  ]);
  expect(confusionsOf([3, 1], [3, 1])).toEqual([]);
});

it("keeps every pair of thirty classes, and no more", () => {
  const pairs = Array.from({ length: 31 * 31 }, (_, i) => [i % 31, Math.floor(i / 31)]);
  const found = confusionsOf(
    pairs.map(([label]) => label),
    pairs.map(([, prediction]) => prediction),
  );
  expect(found).toHaveLength(30 * 29);
});
