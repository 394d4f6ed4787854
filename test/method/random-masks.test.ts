import { beforeAll, expect, it } from "vitest";
import { randomMaskDraws, randomMasks } from "../../src/method/random-masks.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

function masksOf(rows: readonly (readonly number[])[], share: number): number[][] {
  return scope(() => {
    const uniforms = fromArray(Float32Array.from(rows.flat()), [rows.length, rows[0].length]);
    const masks = randomMasks(uniforms, share);
    const [, patches] = masks.shape;
    const flat = [...masks.toFloat32()];
    return rows.map((_, i) => flat.slice(i * patches, (i + 1) * patches));
  });
}

it("an image's first number says whether it gets a mask, its second the chance of each patch", () => {
  const patches = [0.1, 0.6, 0.49, 0.5];
  const rows = [
    [0.25, 0.5, ...patches],
    [0.25, 0, ...patches],
    [0.5, 0.5, ...patches],
    [0.75, 0, ...patches],
  ];
  expect(masksOf(rows, 0.5)).toEqual([
    [1, 0, 1, 0],
    [0, 0, 0, 0],
    [1, 1, 1, 1],
    [1, 1, 1, 1],
  ]);
  expect(masksOf(rows, 0)).toEqual(rows.map(() => [1, 1, 1, 1]));
  expect(masksOf(rows, 1)[3]).toEqual([0, 0, 0, 0]);
});

it("each number of patches from none to all is equally likely, and so is each patch", () => {
  const [images, patches] = [17_000, 16];
  const random = new Random(1, "masks");
  const rows = Array.from({ length: images }, () => [
    ...random.uniforms(new Float32Array(randomMaskDraws(1, patches))),
  ]);
  const masks = masksOf(rows, 1);
  const byCount = Array.from({ length: patches + 1 }, () => 0);
  const byPatch = Array.from({ length: patches }, () => 0);
  for (const mask of masks) {
    byCount[mask.reduce((sum, taken) => sum + taken)] += 1;
    for (const [k, taken] of mask.entries()) byPatch[k] += taken;
  }
  // Binomial: 17,000 / 17 = 1000 with a standard deviation of 31, and 8500 with one of 65; five of them.
  for (const count of byCount) expect(Math.abs(count - 1000)).toBeLessThan(155);
  for (const count of byPatch) expect(Math.abs(count - 8500)).toBeLessThan(325);
});
