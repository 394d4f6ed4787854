/** What several seeds say together: means of rows, and which lines are drawn. */
import { describe, expect, it } from "vitest";
import type { EvaluationRow, PolicySweep } from "../../src/evaluation/evaluation.ts";
import { linesOver, meanRows } from "../../src/experiment/over-seeds.ts";

const policy = (accuracy: number, patches: number): EvaluationRow => {
  return { name: "policy (a)", kind: "policy", accuracy, patches, patchesStd: 1, distinctMasks: 3, reward: 0.5 };
};
/** The interval of one evaluation's gain, over its images, is none over seeds. */
const centre = (accuracy: number, gain?: number): EvaluationRow => {
  const ofImages = gain === undefined ? undefined : { mean: gain, low: -1, high: 1 };
  return { name: "centre patches", kind: "baseline", accuracy, patches: 8, gain: ofImages };
};
/** Of 1, 2, 3 it is t · s / √n = 4.303 · 1 / √3 = 2.484. */
const halfOf123 = 2.484;

describe("meanRows", () => {
  it("has the mean of each row over the seeds, by name, with Student's interval", () => {
    const rows = meanRows([
      [policy(0.1, 6), centre(0.5, 0.02)],
      [policy(0.3, 8), centre(0.5, 0.06)],
      // In another order.
      [centre(0.5, 0.04), policy(0.2, 7)],
    ]);
    expect(rows).toEqual([
      {
        ...{ name: "policy (a)", kind: "policy" },
        accuracy: {
          mean: expect.closeTo(0.2, 12),
          low: expect.closeTo(0.2 - halfOf123 / 10, 4),
          high: expect.closeTo(0.2 + halfOf123 / 10, 4),
        },
        patches: { mean: 7, low: expect.closeTo(7 - halfOf123, 3), high: expect.closeTo(7 + halfOf123, 3) },
      },
      {
        ...{ name: "centre patches", kind: "baseline" },
        accuracy: { mean: 0.5, low: 0.5, high: 0.5 },
        patches: { mean: 8, low: 8, high: 8 },
        // 2, 4 and 6 points: twice 1, 2, 3.
        gain: {
          mean: expect.closeTo(0.04, 12),
          low: expect.closeTo(0.04 - halfOf123 / 50, 4),
          high: expect.closeTo(0.04 + halfOf123 / 50, 4),
        },
      },
    ]);
  });

  it("leaves out what not every seed has", () => {
    const rows = meanRows([[policy(0.1, 6), centre(0.5, 0.02)], [centre(0.7)]]);
    expect(rows.map(({ name }) => name)).toEqual(["centre patches"]);
    expect(rows[0].accuracy.mean).toBeCloseTo(0.6, 12);
    expect(rows[0]).not.toHaveProperty("gain");
  });
});

describe("linesOver", () => {
  const sweep = (lines: Readonly<Record<string, readonly number[]>>): PolicySweep => ({
    ...{ rule: "threshold", classes: [] },
    series: Object.entries(lines).map(([name, accuracies]) => ({
      name,
      kind: name === "policy" ? "policy" : "baseline",
      points: accuracies.map((accuracy, patches) => ({ patches, accuracy, classes: [] })),
    })),
  });

  it("has each seed's policy and the baseline that is best on average", () => {
    const sweeps = [
      // Means of the baselines here: 0.5, 0.6; there, with a point less: 0.5, 0.3. Together: 0.5, 0.45.
      sweep({ policy: [0.1, 0.9, 0.9], "random patches": [0.1, 0.5, 0.9], "centre patches": [0.1, 0.8, 0.9] }),
      sweep({ policy: [0.2, 0.8], "random patches": [0.2, 0.8], "centre patches": [0.2, 0.4] }),
    ];
    const lines = linesOver([4, 7], sweeps);
    expect(lines.map(({ label, kind }) => [label, kind])).toEqual([
      ["policy, seed 4", "policy"],
      ["policy, seed 7", "policy"],
      ["random patches, seed 4", "baseline"],
      ["random patches, seed 7", "baseline"],
    ]);
    expect(lines[3].points.map(({ patches, accuracy }) => [patches, accuracy])).toEqual([
      [0, 0.2],
      [1, 0.8],
    ]);
  });

  it("has none where a seed has no sweep", () => {
    expect(linesOver([1, 2], [])).toEqual([]);
  });
});
