/** What networks see, as arrays: worked by hand, and equal to what images.ts computes on libtorch's tensors. */
import { expect, it } from "vitest";
import { type Grid, makeGrid } from "../../src/method/grid.ts";
import { lowResolution, maskPatches, Normalizer } from "../../src/method/images.ts";
import { dropPatches, softmax, toBytes, toPlanes } from "../../src/method/planes.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

openLibtorch(findLibtorch(), { threads: 1 });

const statistics = { mean: [0.2, 0.4, 0.6], std: [0.25, 0.5, 0.125] };

function randomBytes(length: number): Uint8Array {
  const random = new Random(1, "planes");
  return new Uint8Array(length).map(() => random.integer(256));
}

it("normalizes by hand: (x / 255 − mean) / std, a channel a plane", () => {
  const planes = toPlanes(Uint8Array.of(255, 0, 51, 0, 255, 153, 0, 0, 0, 51, 102, 153), 2, statistics);
  const expected = [3.2, -0.8, -0.8, 0, -0.8, 1.2, -0.8, 0, -3.2, 0, -4.8, 0];
  for (const [at, value] of expected.entries()) expect(planes[at], `element ${at}`).toBeCloseTo(value, 5);
});

it.each([
  ["two images of 4 × 4 patches", makeGrid(32, 8), 8],
  ["a low resolution of thirds", makeGrid(12, 6), 4],
] as const)("is what the tensors hold: %s", (_, grid: Grid, lowSize: number) => {
  const { imageSize, patches } = grid;
  const bytes = randomBytes(2 * imageSize * imageSize * 3);
  const random = new Random(1, "mask");
  const masks = new Uint8Array(2 * patches).map(() => random.integer(2));
  const planes = toPlanes(bytes, imageSize, statistics);
  scope(() => {
    const images = new Normalizer(statistics, "cpu").images(bytes, imageSize);
    expect(planes).toEqual(images.toFloat32());
    const mask = fromArray(Float32Array.from(masks), [2, patches]);
    // A negative number times a mask of 0 is −0.
    const dropped = maskPatches(images, mask, grid)
      .toFloat32()
      .map((value) => value + 0);
    expect(dropPatches(planes, masks, grid)).toEqual(dropped);
    const low = lowResolution(images, { lowSize, lowInput: lowSize });
    expect(dropPatches(planes, masks, grid, lowSize)).toEqual(maskPatches(images, mask, grid, low).toFloat32());
  });
  expect(toBytes(planes, imageSize, statistics)).toEqual(bytes);
});

it("turns logits into probabilities, row by row, however large they are", () => {
  expect([...softmax(Float32Array.of(0, Math.log(3), 1000, 1000), 2)]).toEqual([0.25, 0.75, 0.5, 0.5]);
});
