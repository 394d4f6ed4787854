import { expect, it } from "vitest";
import type { RunEvaluation } from "../../src/evaluation/evaluation.ts";
import { tableOf } from "../../src/experiment/gather.ts";

function run(name: string, rows: readonly (readonly [string, "policy" | "baseline"])[], patchUse?: number[]) {
  const evaluation: RunEvaluation = {
    ...{ checkpoint: name, stage: "stage", model: "R8_Scenes", dataset: "synthetic", split: "test", images: 4 },
    rows: rows.map(([row, kind]) => ({ name: row, kind, accuracy: 0.5, patches: 1 })),
    patchUse,
  };
  return { name, evaluation };
}

const classifier = (name: string, label: string) => run(name, [[label, "baseline"]]);
const low = "LR classifier, no patches";
const policy = (name: string) =>
  run(
    name,
    [
      [`policy (${name})`, "policy"],
      ["all patches", "baseline"],
      [low, "baseline"],
    ],
    [1],
  );
const names = (...runs: ReturnType<typeof run>[]) => tableOf(runs).map((row) => row.name);

it("names rows by their run only where they need it", () => {
  expect(names(policy("a"))).toEqual(["policy (a)", "all patches", low]);
  expect(names(policy("a"), policy("b"))).toEqual([
    ...["a: policy", "a: all patches", `a: ${low}`],
    ...["b: policy", "b: all patches", `b: ${low}`],
  ]);
  expect(names(classifier("x", "HR classifier"), classifier("y", "HR classifier"))).toEqual([
    "x: HR classifier",
    "y: HR classifier",
  ]);
});

it("has a low-resolution classifier once, if it is among the runs", () => {
  expect(names(classifier("lr", low), policy("a"))).toEqual([low, "policy (a)", "all patches"]);
});
