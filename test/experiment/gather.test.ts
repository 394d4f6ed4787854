import { join } from "node:path";
import { expect, it } from "vitest";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { writeCompute } from "../../src/compute/stored-compute.ts";
import type { RunEvaluation } from "../../src/evaluation/evaluation.ts";
import { gatherPage, tableOf } from "../../src/experiment/gather.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { sampleCompute } from "../report/sample.ts";
import { save, savedConfig } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { listener } from "../training/small-runs.ts";

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

it("maps a sweep to milliseconds where they were measured, and says why where it can't", async ({ onTestFinished }) => {
  const checkpoint = join(temporaryFolder(onTestFinished), "1");
  writeCheckpoint(checkpoint, save(1), { sequence: 1, logs: {}, config: savedConfig });
  const point = (patches: number) => ({ patches, accuracy: 0.5, classes: [] });
  const series = (name: string, kind: "policy" | "baseline") => ({ name, kind, points: [point(0), point(6)] });
  const cascade = "how many, by confidence, same mean";
  const health = { entropyBits: 1, distinctMasks: 1, commonestMask: 1, imagesByPatches: [4] };
  const { evaluation } = policy("a");
  const swept: RunEvaluation = {
    ...evaluation,
    ...{ checkpoint, columns: 4 },
    rows: ["policy", "one fixed mask, same mean", "random, same number"].map((name, n) => {
      return { name, kind: n === 0 ? "policy" : "baseline", accuracy: 0.5, patches: 12 };
    }),
    sweep: { rule: "threshold", classes: [], series: [series("policy", "policy"), series(cascade, "baseline")] },
    details: { classes: [], health, examples: { fewest: [], most: [], right: [], wrong: [] } },
  };
  const words = { ...{ title: "", summary: "", command: "" }, curves: [], times: [] };
  const timed = async () => {
    const { reporter, notes } = listener();
    const options = evalSchema.parse({ load: checkpoint });
    const page = await gatherPage([{ name: "a", options, evaluation: swept }], words, () => undefined, reporter);
    const found = page.policies[0].timed?.series.map(({ points }) => points.map(({ milliseconds }) => milliseconds));
    return { found, notes: notes.slice(1) };
  };
  expect(await timed()).toEqual({ found: undefined, notes: [] });
  writeCompute({ ...sampleCompute, checkpoint });
  // Of the policy half a millisecond more; a cascade's first look at 0 patches takes 2; as evaluated, 5.5 of 12 patches.
  expect(await timed()).toEqual({ found: [[2.5, 4.5], [4, 6], [6]], notes: [] });
  writeCompute({ ...sampleCompute, rounds: 4, checkpoint });
  expect(await timed()).toEqual({
    found: undefined,
    notes: [expect.stringMatching(/^a: no chart of accuracy against milliseconds: it decides in rounds/)],
  });
});
