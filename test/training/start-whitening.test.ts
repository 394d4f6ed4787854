/** What a whitening convolution makes of images: numbers without correlation and of variance 1, whatever the images are like. */
import { expect, it } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { conv2d } from "../../src/tensor/network-ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { whiteningWeights } from "../../src/training/start-whitening.ts";
import { Random } from "../../src/utils/random.ts";

openLibtorch(findLibtorch(), { threads: 1 });

const [count, channels, side] = [64, 3, 9];

/** Images in which neighbours and colours are alike. */
function smooth(): Float32Array {
  const noise = new Random(5, "images").normals(new Float32Array(count * channels * (side + 1) ** 2));
  const at = (b: number, c: number, y: number, x: number) =>
    noise[((b * channels + c) * (side + 1) + y) * (side + 1) + x];
  return Float32Array.from({ length: count * channels * side * side }, (_, i) => {
    const [x, y, c, b] = [
      i % side,
      Math.floor(i / side) % side,
      Math.floor(i / side ** 2) % channels,
      Math.floor(i / (channels * side ** 2)),
    ];
    return at(b, c, y, x) + at(b, c, y + 1, x + 1) + 2 * at(b, 0, y, x + 1);
  });
}

it("gives 12 directions without correlation, of variance 1, and their negatives", () => {
  const [outputs, weights] = scope(() => {
    const images = fromArray(smooth(), [count, channels, side, side]);
    const weight = whiteningWeights(images, 2);
    expect(weight.shape).toEqual([24, 12]);
    const square = fromArray(weight.toFloat32(), [24, channels, 2, 2]);
    return [conv2d(images, square).toFloat32(), weight.toFloat32()];
  });
  for (let i = 0; i < 12 * 12; i++) expect(weights[144 + i]).toBe(-weights[i]);
  const squares = (side - 1) ** 2;
  const product = (a: number, b: number): number => {
    let sum = 0;
    for (let image = 0; image < count; image++) {
      for (let place = 0; place < squares; place++) {
        sum += outputs[(image * 24 + a) * squares + place] * outputs[(image * 24 + b) * squares + place];
      }
    }
    return sum / (count * squares);
  };
  for (let a = 0; a < 12; a++) {
    // 5e-4 is added to the variances before they are divided by.
    expect(product(a, a)).toBeGreaterThan(0.99);
    expect(product(a, a)).toBeLessThan(1.001);
    for (let b = 0; b < a; b++) expect(Math.abs(product(a, b))).toBeLessThan(1e-3);
  }
});

it("does not make much of what never varies", () => {
  const grey = new Float32Array(count * channels * side * side).fill(0.25);
  const weights = scope(() => whiteningWeights(fromArray(grey, [count, channels, side, side]), 2)).toFloat32();
  // 1 / √5e-4 at most.
  expect(Math.max(...weights.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(5e-4) + 1e-3);
});
