/** Quantiles of values that are counted in bounded memory, against those of all values sorted. */
import { expect, it } from "vitest";
import { ValueHistogram } from "../../src/data/value-histogram.ts";
import { Random } from "../../src/utils/random.ts";

const shares = [0.001, 0.02, 0.25, 0.5, 0.98, 1];

/** The least value that has the share of all at or below it. */
function sortedQuantile(values: Float32Array, share: number): number {
  return values.toSorted()[Math.ceil(share * values.length) - 1];
}

function counted(values: Float32Array): ValueHistogram {
  const histogram = new ValueHistogram();
  for (const value of values) histogram.add(value);
  return histogram;
}

const random = new Random(1, "values");
const draw = (of: () => number) => Float32Array.from({ length: 10_000 }, of);

it.each([
  ["bytes", draw(() => random.integer(256))],
  ["whole numbers up to 4096", draw(() => random.integer(4097))],
  ["whole numbers of either sign", draw(() => random.integer(8193) - 4096)],
  ["one value", draw(() => 7)],
  ["zeros of both signs", draw(() => (random.integer(2) === 0 ? 0 : -0))],
])("are exact: %s", (_, values) => {
  const histogram = counted(values);
  for (const share of shares) expect(histogram.quantile(share)).toBe(sortedQuantile(values, share) + 0);
});

it.each([
  ["16 bits", draw(() => random.integer(65_536))],
  ["temperatures in kelvin", draw(() => 290 + 10 * random.uniform())],
  ["reflectances about 0", draw(() => 0.3 * (random.uniform() - 0.2))],
  ["all sizes", draw(() => (random.integer(2) - 0.5) * 2 ** (random.integer(250) - 125) * random.uniform())],
  ["a few that are far off", draw(() => (random.integer(1000) === 0 ? -3.4e38 : random.uniform()))],
])("are off by 1/2048 of the value at most, towards 0: %s", (_, values) => {
  const histogram = counted(values);
  for (const share of shares) {
    const exact = sortedQuantile(values, share);
    const found = histogram.quantile(share);
    expect(Math.abs(found)).toBeLessThanOrEqual(Math.abs(exact));
    expect(Math.abs(exact - found)).toBeLessThanOrEqual(Math.abs(exact) / 2048);
  }
});

it("does not depend on the order", () => {
  const values = draw(() => 1e6 * (random.uniform() - 0.5));
  const [one, other] = [counted(values), counted(values.toReversed())];
  for (const share of shares) expect(one.quantile(share)).toBe(other.quantile(share));
});
