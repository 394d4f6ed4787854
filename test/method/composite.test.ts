import { describe, expect, it } from "vitest";
import { composite, compositeOf } from "../../src/method/composite.ts";

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

/** The first of each pixel's colours. */
const greys = (shown: Uint8Array) => [...shown.filter((_, i) => i % 3 === 0)];

it("stretches measured values from their 2nd percentile to their 98th", () => {
  const values = Float32Array.of(1000, 3000, 2000, 1400, 5000, -5000);
  const normalization = { mean: [1], std: [1] };
  const stretch = { black: [1000], white: [3000] };
  // (1400 − 1000) / 2000 · 255 = 51; 127.5 is rounded up.
  expect(greys(composite(values, { bands: ["nir"], normalization, stretch }))).toEqual([0, 255, 128, 51, 255, 0]);
});

it.each([
  ["no percentiles are known", undefined],
  ["they are the same", { black: [900], white: [900] }],
])("shows values from two deviations below their mean to two above it where %s", (_, stretch) => {
  const values = Float32Array.of(1000, 1400, 600, 1200, 800, 5000, -5000);
  const shown = composite(values, { bands: ["nir"], normalization: { mean: [1000], std: [200] }, stretch });
  expect(greys(shown)).toEqual([128, 255, 0, 191, 64, 255, 0]);
});

describe("which bands are shown", () => {
  const normalization = { mean: [0, 0, 0, 0], std: [1, 1, 1, 1] };
  const named = { bands: ["red", "green", "blue", "nir"], normalization };
  const numbered = { ...named, bands: ["band 2", "band 3", "band 4", "band 8"], rendering: { bands: [2, 3, 4, 8] } };
  const coloured = { ...named, bands: rgb, rendering: { bands: [4, 3, 2] } };

  it.each([
    ["names, in any case", named, ["NIR", "red", "green"], [3, 0, 1]],
    ["places among bands that have names", named, [4, 1, 2], [3, 0, 1]],
    ["one as grey", named, ["nir"], [3, 3, 3]],
    ["numbers as the run was given them", numbered, [8, 4, 3], [3, 2, 1]],
    ["names of those", numbered, ["band 8", "band 2", "band 2"], [3, 0, 0]],
    ["numbers of colours", coloured, [2, 3, 4], [2, 1, 0]],
  ])("may be %s", (_, shown, asked, expected) => {
    expect(compositeOf(shown, asked)).toEqual(expected);
    const pixels = Uint8Array.from({ length: shown.bands.length }, (_, i) => 10 * i);
    expect([...composite(pixels, shown, compositeOf(shown, asked))]).toEqual(expected.map((band) => 10 * band));
  });

  it.each([
    [named, ["swir16"], "--composite: must be bands of the run: red, green, blue, nir, got swir16"],
    [named, [5, 1, 1], "--composite: must be bands of the run: red, green, blue, nir, got 5"],
    [numbered, [1], "--composite: must be bands of the run: 2, 3, 4, 8 (band 2, band 3, band 4, band 8), got 1"],
  ])("must be bands of the run", (shown, asked, message) => {
    expect(() => compositeOf(shown, asked)).toThrow(message);
  });
});
