import { expect, it } from "vitest";
import { sweepChart, sweepText } from "../../src/report/sweep-table.ts";

const point = (patches: number, accuracy: number, ofClasses: number[]) => ({
  patches,
  accuracy,
  classes: ofClasses.map((one) => ({ patches, accuracy: one })),
});
const policy = {
  name: "policy",
  kind: "policy" as const,
  points: [
    { ...point(0, 0.1, [0, 0.2, Number.NaN]), threshold: 2 },
    { ...point(4.125, 0.755, [0.8, 0.71, Number.NaN]), threshold: 0.123456 },
    { ...point(16, 1, [1, 1, Number.NaN]), threshold: 0 },
  ],
};
const random = {
  name: "random patches",
  kind: "baseline" as const,
  points: policy.points.map((one) => ({ ...one, accuracy: 0.1 })),
};
const classes = ["cat", "d\u001bog", "none"];

it("has a line a point, and a line a class that has images", () => {
  expect(sweepText({ rule: "threshold", classes, series: [policy, random] })).toBe(
    [
      "Accuracy % by mean number of patches S; the baselines take the same number of each image:",
      "",
      "S      threshold  policy  random patches",
      "-----  ---------  ------  --------------",
      "0.00        none    10.0            10.0",
      "4.13      0.1235    75.5            10.0",
      "16.00        all   100.0            10.0",
      "",
      "Accuracy % of the policy by class, at each S:",
      "",
      "class  0.00  4.13  16.00",
      "-----  ----  ----  -----",
      "cat     0.0  80.0  100.0",
      "d\uFFFDog   20.0  71.0  100.0",
      "",
    ].join("\n"),
  );
});

it("names K where the sweep goes along the K most probable", () => {
  const points = [{ ...point(4, 0.75, [0.75]), budget: 4 }];
  const text = sweepText({ rule: "topk", classes: ["cat"], series: [{ ...policy, points }] });
  expect(text).toContain("S     K  policy\n----  -  ------\n4.00  4    75.0\n");
});

it("is a chart of lines, the policy as it was evaluated, and the levels without a line", () => {
  const rows = [
    { name: "policy (finetune)", kind: "policy" as const, patches: 5, accuracy: 0.8 },
    { name: "random patches, same number", kind: "baseline" as const, patches: 5, accuracy: 0.5 },
    { name: "all patches", kind: "baseline" as const, patches: 16, accuracy: 0.876 },
    { name: "LR classifier, no patches", kind: "baseline" as const, patches: 0, accuracy: 0.6 },
  ];
  const chart = sweepChart({ series: [policy, random] }, rows);
  expect(chart.map(({ label, kind }) => [label, kind])).toEqual([
    ["policy", "policy"],
    ["random patches", "baseline"],
    ["as evaluated", "chosen"],
    ["all patches 87.6 %", "reference"],
    ["LR classifier 60.0 %", "reference"],
  ]);
});
