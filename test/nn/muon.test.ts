/** Muon's iteration against the singular values of known matrices. */
import { expect, it } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { muonStep, orthogonal } from "../../src/nn/muon.ts";
import { copyInto } from "../../src/tensor/ops.ts";
import { keep, scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";

openLibtorch(findLibtorch(), { threads: 1 });

/** [2, 3] of singular values `a` and `b`, with the singular vectors of a turn by 30° and of the first two axes. */
function matrix(a: number, b: number): Float32Array {
  const [cos, sin] = [Math.cos(Math.PI / 6), 0.5];
  return Float32Array.of(a * cos, -b * sin, 0, a * sin, b * cos, 0);
}

/** What an iteration makes of a singular value, in float64; Jordan's coefficients. */
function iterated(value: number, norm: number): number {
  let x = value / norm;
  for (let n = 0; n < 3; n++) x = 3.4445 * x - 4.775 * x ** 3 + 2.0315 * x ** 5;
  return x;
}

it.each([
  [1, 1],
  [3, 0.5],
  [0.02, 0.01],
])("of singular values %d and %d makes those of the polynomial, with the same vectors", (a, b) => {
  const norm = Math.hypot(a, b);
  const expected = matrix(iterated(a, norm), iterated(b, norm));
  const lying = scope(() => orthogonal(fromArray(matrix(a, b), [2, 3]))).toFloat32();
  for (const [i, value] of expected.entries()) expect(lying[i]).toBeCloseTo(value, 4);
  // Standing, it is the same matrix, transposed.
  const [m0, m1, m2, m3, m4, m5] = matrix(a, b);
  const standing = scope(() => orthogonal(fromArray(Float32Array.of(m0, m3, m1, m4, m2, m5), [3, 2]))).toFloat32();
  const turned = [lying[0], lying[3], lying[1], lying[4], lying[2], lying[5]];
  for (const [i, value] of turned.entries()) expect(standing[i]).toBeCloseTo(value, 4);
});

it("leaves a filter bank alone, but for its norm, that has no gradient", () => {
  const bank = (values: ArrayLike<number>): Tensor => keep(fromArray(Float32Array.from(values), [2, 3]));
  const values = bank([3, 0, 0, 0, 4, 0]);
  const [gradient, moment] = [bank([0, 0, 0, 0, 0, 0]), bank([0, 0, 0, 0, 0, 0])];
  muonStep({ values, gradient, moment }, 0.5);
  const found = values.toFloat32();
  // √2 / 5 times as long.
  const factor = Math.SQRT2 / 5;
  for (const [i, value] of [3 * factor, 0, 0, 0, 4 * factor, 0].entries()) expect(found[i]).toBeCloseTo(value, 6);
  copyInto(values, fromArray(new Float32Array(6), [2, 3]));
  muonStep({ values, gradient, moment }, 0.5);
  expect(values.toFloat32()).toEqual(new Float32Array(6));
  for (const tensor of [values, gradient, moment]) tensor.free();
});
