import { describe, expect, it } from "vitest";
import { computeText, millisecondsAt, timedTradeoff } from "../../src/report/compute-table.ts";
import { policySections } from "../../src/report/policies.ts";
import type { TradeoffSeries } from "../../src/report/tradeoff.ts";
import { sampleCompute, samplePolicy } from "./sample.ts";

const curve = [
  { patches: 0, ms: 2 },
  { patches: 4, ms: 3 },
  { patches: 16, ms: 6 },
];

it("lies between two numbers of patches in proportion", () => {
  // A quarter of a millisecond a patch throughout; 4 is measured itself.
  expect([0, 1, 4, 10, 16].map((patches) => millisecondsAt(curve, patches))).toEqual([2, 2.25, 3, 4.5, 6]);
  expect(millisecondsAt([curve[0], { patches: 4, ms: 10 }, curve[2]], 7)).toBe(9);
});

const series = (label: string, kind: TradeoffSeries["kind"], ...patches: number[]): TradeoffSeries => {
  return { label, kind, points: patches.map((one) => ({ patches: one, accuracy: 0.5 })) };
};
const swept = [
  series("policy", "policy", 0, 6),
  series("as evaluated", "chosen", 12),
  series("one fixed mask", "baseline", 0, 6),
  series("how many", "baseline", 6),
];
const machine =
  "A Processor, 2 threads, fp32 on cpu, libtorch 2.12.0, 2026-11-29; other programs kept 0.3 processors busy";
const msOf = (found: ReturnType<typeof timedTradeoff>) =>
  "why" in found ? found.why : found.series.map(({ points }) => points.map(({ milliseconds }) => milliseconds));

describe("a sweep against milliseconds", () => {
  it("adds the policy's look to what it chooses, and a first look to what decides by it, in the largest batches", () => {
    const found = timedTradeoff(swept, sampleCompute, { lookFirst: ["how many"] });
    // With 6 patches 4 ms, between 3 and 5; with 12 patches 5.5, between 5 and 6.
    expect(msOf(found)).toEqual([[2.5, 4.5], [6], [2, 4], [6]]);
    expect(found).toMatchObject({
      batch: 64,
      machine,
    });
  });

  it("adds a second stream's classifier to all", () => {
    const low = { ...sampleCompute.rows[2], network: "resnet_lr" as const };
    const two = { ...sampleCompute, rows: [...sampleCompute.rows, low] };
    expect(msOf(timedTradeoff(swept, two, { lookFirst: [] }))).toEqual([[3, 5], [6.5], [2.5, 4.5], [4.5]]);
  });

  it("is not there for rounds, nor without a classifier", () => {
    const why = (more: object) => msOf(timedTradeoff(swept, { ...sampleCompute, ...more }, { lookFirst: [] }));
    expect(why({ rounds: 4 })).toMatch(/^it decides in rounds/);
    expect(why({ rows: [sampleCompute.rows[2]] })).toMatch(/no classifier of the high resolution$/);
  });

  it("is a chart of the page, with the machine below it", async () => {
    const timed = timedTradeoff(swept, sampleCompute, { lookFirst: ["how many"] });
    if ("why" in timed) throw new Error(timed.why);
    const heading = "Accuracy against milliseconds an image";
    const section = (await policySections([samplePolicy({ timed })])).find((one) => one.heading === heading);
    const text = String(section?.content);
    expect(text).toContain(`aria-label="${heading}. policy: 50.0 % at 2.500 ms, 50.0 % at 4.500 ms. `);
    expect(text).toContain("one fixed mask: 50.0 % at 2.000 ms, 50.0 % at 4.000 ms");
    expect(text).toContain(`${machine}; batches of 64 images.`);
    // 680 × 340 with margins of 44 left, 20 right, 30 above and 40 below: 0 … 6 ms lie at x = 44 … 660, and a single accuracy in the
    // middle of 30 … 300. The policy at 2.5 and 4.5 ms, the fixed mask at 2 and 4.
    expect(text).toContain('d="M300.667,165L506,165"');
    expect(text).toContain('d="M249.333,165L454.667,165"');
    const without = await policySections([samplePolicy()]);
    expect(without.map((one) => one.heading)).not.toContain(heading);
  });
});

it("is a table of a row a network, number of patches and batch", () => {
  const text = computeText({ ...sampleCompute, checkpoint: "runs/policy" });
  const lines = text.split("\n");
  expect(lines.slice(0, 3)).toEqual(["runs/policy", machine, "16 patches an image"]);
  expect(lines.slice(6).map((line) => line.trim().split(/ {2,}/))).toEqual([
    ["classifier", "0", "1", "1.00", "20.00", "19.75 … 20.50"],
    ["classifier", "16", "1", "1.00", "60.00", "59.75 … 60.50"],
    ["policy", "–", "64", "1.00", "0.500", "0.250 … 1.00"],
    ["classifier", "0", "64", "1.00", "2.00", "1.75 … 2.50"],
    ["classifier", "4", "64", "1.00", "3.00", "2.75 … 3.50"],
    ["classifier", "8", "64", "1.00", "5.00", "4.75 … 5.50"],
    ["classifier", "16", "64", "1.00", "6.00", "5.75 … 6.50"],
    ["dense classifier", "0", "64", "1.00", "8.00", "7.75 … 8.50"],
    [""],
    ["no joules: nobody counts"],
    [""],
  ]);
  const { noJoules: _, ...metered } = sampleCompute;
  const rows = metered.rows.slice(2, 3).map((row) => ({ ...row, joules: 0.0125 }));
  const said = computeText({ ...metered, rounds: 4, rows, checkpoint: "runs/rounds" });
  expect(said).toMatch(/\npolicy, one of 4 rounds +– +64 +1\.00 +0\.500 +0\.250 … 1\.00 +0\.0125\n$/);
});
