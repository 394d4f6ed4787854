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

it("drops patches by hand: to zero, or to the top left pixel of its block, image by image", () => {
  // Two images of 4 × 4 pixels in four patches; each number tells its plane and its place in it.
  const grid = makeGrid(4, 2);
  const planes = Float32Array.from({ length: 2 * 3 * 16 }, (_, at) => 100 * (1 + Math.floor(at / 16)) + (at % 16));
  const masks = Uint8Array.of(1, 0, 1, 0, 0, 1, 1, 1);
  const plane = (values: Float32Array, number: number) => [...values.subarray(16 * number, 16 * number + 16)];
  const dropped = dropPatches(planes, masks, grid);
  expect(plane(dropped, 0)).toEqual([100, 101, 0, 0, 104, 105, 0, 0, 108, 109, 0, 0, 112, 113, 0, 0]);
  expect(plane(dropped, 5)).toEqual([0, 0, 602, 603, 0, 0, 606, 607, 608, 609, 610, 611, 612, 613, 614, 615]);
  const filled = dropPatches(planes, masks, grid, 2);
  expect(plane(filled, 0)).toEqual([100, 101, 102, 102, 104, 105, 102, 102, 108, 109, 110, 110, 112, 113, 110, 110]);
  expect(plane(filled, 4)).toEqual([500, 500, 502, 503, 500, 500, 506, 507, 508, 509, 510, 511, 512, 513, 514, 515]);
});

it("gives back the bytes, a channel after the other in each pixel", () => {
  const bytes = Uint8Array.of(255, 0, 51, 0, 255, 153, 0, 0, 0, 51, 102, 153, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
  expect(toBytes(toPlanes(bytes, 2, statistics), 2, statistics)).toEqual(bytes);
  expect(toBytes(Float32Array.of(0, 0, 0), 1, statistics)).toEqual(Uint8Array.of(51, 102, 153)); // the mean colour
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
  expect([...softmax(Float32Array.of(-1000, 1000, 0), 3)]).toEqual([0, 1, 0]);
});
