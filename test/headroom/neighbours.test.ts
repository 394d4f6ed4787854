import { expect, it } from "vitest";
import { bestOfNeighbours } from "../../src/headroom/neighbours.ts";

it("an image gets the mask that served the images like it best", async () => {
  // Sixty-four known images of two kinds: mask 0 serves the first kind, mask 1 the second, and mask 2 both a little.
  const kinds = Array.from({ length: 64 }, (_, m) => m % 2);
  const known = Float32Array.from(kinds.flatMap((kind) => (kind === 0 ? [0.9, 0.1] : [0.2, 0.8])));
  const worth = [kinds.map((kind) => 1 - kind), kinds, kinds.map(() => 0.4)];
  const low = Float32Array.of(0.85, 0.15, 0.1, 0.9);
  expect([...(await bestOfNeighbours({ worth, known, classes: 2 }, low))]).toEqual([0, 1]);
});

it("where all are alike, all get the mask that is best on average; of equals the first", async () => {
  const known = Float32Array.from({ length: 80 }, () => 0.5);
  const worth = [Array(40).fill(0.5), Array(40).fill(0.7), Array(40).fill(0.7)];
  expect([...(await bestOfNeighbours({ worth, known, classes: 2 }, Float32Array.of(0.5, 0.5)))]).toEqual([1]);
});
