import { expect, it } from "vitest";
import { composite } from "../../src/method/composite.ts";

const rgb = ["red", "green", "blue"];
const half = { mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] };

it("leaves a picture as it is", () => {
  const pixels = Uint8Array.of(1, 2, 3, 4, 5, 6);
  expect(composite(pixels, { bands: rgb, normalization: half })).toBe(pixels);
});

it("shows red, green and blue by their names, else the first three; one band is grey", () => {
  const normalization = { mean: [0, 0, 0, 0], std: [1, 1, 1, 1] };
  const pixels = Uint8Array.of(10, 20, 30, 40);
  expect([...composite(pixels, { bands: ["blue", "green", "red", "nir"], normalization })]).toEqual([30, 20, 10]);
  expect([...composite(pixels, { bands: ["nir", "red", "green", "swir16"], normalization })]).toEqual([10, 20, 30]);
  expect([...composite(pixels, { bands: ["band 8"], normalization })].slice(0, 6)).toEqual([10, 10, 10, 20, 20, 20]);
});

it("shows measured values from two deviations below their mean to two above it", () => {
  const values = Float32Array.of(1000, 1400, 600, 1200, 800, 5000, -5000);
  const shown = composite(values, { bands: ["nir"], normalization: { mean: [1000], std: [200] } });
  // 127.5 is rounded up.
  expect(Array.from({ length: 7 }, (_, i) => shown[3 * i])).toEqual([128, 255, 0, 191, 64, 255, 0]);
});
