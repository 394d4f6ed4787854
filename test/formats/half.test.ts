/** Float32 as binary16. Values from the format: 1 bit of sign, 5 of exponent with bias 15, 10 of fraction. */
import { expect, it } from "vitest";
import { toHalf } from "../../src/formats/half.ts";
import { asFloat32 } from "../../src/formats/safetensors.ts";

it.each([
  ["one", 1, 0x3c00],
  ["minus two", -2, 0xc000],
  ["minus zero", -0, 0x8000],
  ["the largest", 65504, 0x7bff],
  ["the largest that is rounded to it", 65519, 0x7bff],
  ["what is nearer to infinity", 65520, 0x7c00],
  ["the largest float32", 3.4e38, 0x7c00],
  ["minus infinity", Number.NEGATIVE_INFINITY, 0xfc00],
  ["no number", Number.NaN, 0x7e00],
  ["the smallest normal one", 2 ** -14, 0x0400],
  ["the smallest of all", 2 ** -24, 0x0001],
  ["half of it, a tie, to even", 2 ** -25, 0x0000],
  ["a tie above one, to even", 1 + 2 ** -11, 0x3c00],
  ["the tie after the next, to even", 1 + 3 * 2 ** -11, 0x3c02],
  ["a third, whose fraction is cut at 10 bits", 1 / 3, 0x3555],
  ["what is rounded up to the next exponent", 2 - 2 ** -12, 0x4000],
])("%s: %d", (_, value, bits) => {
  expect(toHalf(Float32Array.of(value))[0].toString(16)).toBe(bits.toString(16));
});

it("gives back what reading gave of every finite half", () => {
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits).filter((bits) => (bits & 0x7c00) !== 0x7c00);
  expect(all.length).toBe(65536 - 2 * 1024);
  const values = asFloat32({ dtype: "F16", shape: [all.length], data: new Uint8Array(all.buffer) });
  expect(Buffer.from(toHalf(values).buffer).equals(Buffer.from(all.buffer))).toBe(true);
});
