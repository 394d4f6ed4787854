/** What a policy sees in a round, as arrays: worked by hand, and equal to what images.ts computes on libtorch's tensors. */
import { expect, it } from "vitest";
import { type Grid, makeGrid } from "../../src/method/grid.ts";
import { doubtOf, lowResolution, roundView } from "../../src/method/images.ts";
import { dropPatches, roundPlanes, softmax } from "../../src/method/planes.ts";
import { doubts } from "../../src/method/rounds.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

openLibtorch(findLibtorch(), { threads: 1 });

it("has by hand the colours, which patches are there, and the classifier's doubt, image by image", () => {
  // Two images of 4 × 4 pixels in two patches, one over the other; each number tells its plane and its place in it.
  const grid = makeGrid(4, "4x2");
  const seen = Float32Array.from({ length: 2 * 3 * 16 }, (_, at) => 100 * (1 + Math.floor(at / 16)) + (at % 16));
  const view = roundPlanes(seen, Uint8Array.of(0, 1, 1, 0), Float32Array.of(0.75, 0.125), grid);
  const [none, all] = [Array(8).fill(0), Array(8).fill(1)];
  const expected = [
    ...[...seen.subarray(0, 48), ...none, ...all, ...Array(16).fill(0.75)],
    ...[...seen.subarray(48), ...all, ...none, ...Array(16).fill(0.125)],
  ];
  expect([...view]).toEqual(expected);
});

it.each([
  ["4 × 4 patches", makeGrid(32, 8), 8],
  ["a low resolution of thirds", makeGrid(12, 6), 4],
  ["patches that are not square", makeGrid(16, "4x8"), 4],
] as const)("is what the tensors hold: %s", (_, grid: Grid, lowSize: number) => {
  const { imageSize, patches } = grid;
  const [count, classes] = [3, 5];
  const random = new Random(1, "round planes");
  const images = random.normals(new Float32Array(count * 3 * imageSize ** 2));
  const logits = random.normals(new Float32Array(count * classes));
  const masks = new Uint8Array(count * patches).map(() => random.integer(2));
  const doubt = doubts(softmax(logits, classes), classes);
  const view = roundPlanes(dropPatches(images, masks, grid, lowSize), masks, doubt, grid);
  const expected = scope(() => {
    const whole = fromArray(images, [count, 3, imageSize, imageSize]);
    const low = lowResolution(whole, { lowSize, lowInput: lowSize });
    const mask = fromArray(Float32Array.from(masks), [count, patches]);
    return roundView({ images: whole, low, grid }, mask, doubtOf(fromArray(logits, [count, classes]))).toFloat32();
  });
  expect(view.length).toBe(expected.length);
  // A softmax in float32 against one in double precision; the rest is copied.
  expect(Math.max(...view.map((value, at) => Math.abs(value - expected[at])))).toBeLessThan(1e-6);
});
