/** The report's first sentence. */
import { expect, it } from "vitest";
import { summaryOf } from "../../src/experiment/report-runs.ts";

type Runs = Parameters<typeof summaryOf>[0];

/** A policy of 16 patches, with the accuracy of all patches beside it. */
function policy(name: string, accuracy: number, patches: number): Runs[number] {
  const rows = [
    { name: "policy", accuracy, patches },
    { name: "all patches", accuracy: 0.9, patches: 16 },
  ];
  const evaluation = { dataset: "made", split: "test", images: 10_000, rows, patchUse: new Array(16).fill(0.5) };
  return { name, evaluation } as unknown as Runs[number];
}

it("names the most accurate policy, and of those that look the same the one with the fewest patches", () => {
  const all = "of the 10,000 test images of made and reads";
  expect(summaryOf([policy("a", 0.84, 9), policy("b", 0.8604, 12), policy("c", 0.8602, 10)])).toBe(
    `The most accurate of 3 policies, c, recognizes 86.0 % ${all} 10.00 of the 16 patches of each; with all 16 it recognizes 90.0 %.`,
  );
  expect(summaryOf([policy("b", 0.861, 12), policy("c", 0.8602, 10)])).toMatch(/^The most accurate of 2 policies, b,/);
});

it("needs no policy", () => {
  const { name, evaluation } = policy("hr", 0.9, 16);
  const run = { name, evaluation: { ...evaluation, patchUse: undefined } } as Runs[number];
  expect(summaryOf([run])).toBe("hr recognizes 90.0 % of the 10,000 test images of made.");
});
