/** What is believed of a results.json that is there. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, expect, it } from "vitest";
import type { RunEvaluation } from "../../src/evaluation/evaluation.ts";
import { experimentKey, type Results, readResults, writeResults } from "../../src/experiment/experiment-results.ts";

const folder = mkdtempSync(join(tmpdir(), "patchdrop-results-"));
const file = join(folder, "results.json");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const hash = (digit: string) => digit.repeat(64);
const evaluation: RunEvaluation = {
  ...{
    checkpoint: "out/a/checkpoints/x",
    stage: "pretrain",
    model: "R8_Scenes",
    dataset: "data",
    split: "test",
    images: 4,
  },
  rows: [{ name: "policy", kind: "policy", accuracy: 0.7512345678901234, patches: 1.5 }],
  patchUse: [1, 0.25],
};
const results: Results = {
  command: "patchdrop run x.yaml",
  made_from: hash("a"),
  page: hash("b"),
  rows: evaluation.rows,
  evaluations: { a: evaluation },
  keys: { a: hash("c") },
  seconds: { a: 1.25 },
};

const notes: string[] = [];
const read = () => readResults(file, (text) => notes.push(text));
const damaged = `${file}: damaged, changed, or of another version; all stages are evaluated again`;
beforeEach(() => {
  notes.length = 0;
  writeResults(file, results);
});

it("reads what was written", () => {
  expect(read()).toEqual({
    format: 2,
    made_from: hash("a"),
    page: hash("b"),
    evaluations: { a: evaluation },
    keys: { a: hash("c") },
  });
  expect(notes).toEqual([]);
});

it("keeps that a class without images has no accuracy", () => {
  const classes = [{ name: "none", images: 0, accuracy: Number.NaN, patches: Number.NaN, patchUse: [Number.NaN] }];
  const details = { classes } as unknown as RunEvaluation["details"];
  writeResults(file, { ...results, evaluations: { a: { ...evaluation, details } } });
  expect(read()?.evaluations.a.details?.classes).toEqual(classes);
});

it("finds nothing, and says nothing, where there is no file", () => {
  rmSync(file);
  expect(read()).toBeUndefined();
  expect(notes).toEqual([]);
});

it.each<[string, (text: string) => string]>([
  ["cut", (text) => text.slice(0, text.length / 2)],
  ["empty", () => ""],
  ["no object", () => "[1]"],
  ["with another number in it", (text) => text.replace("0.7512345678901234", "0.9512345678901234")],
  ["with a stage less", (text) => text.replace(/"seconds": \{[^}]*\}/, '"seconds": {}')],
  ["without its checksum", (text) => text.replace(/,\s*"sha256": "\w+"/, "")],
  ["of an earlier version", () => JSON.stringify({ command: "patchdrop run", rows: [], evaluations: {}, seconds: {} })],
])("believes nothing of a file that is %s, and says so", (_, change) => {
  const text = readFileSync(file, "utf8");
  expect(change(text)).not.toBe(text);
  writeFileSync(file, change(text));
  expect(read()).toBeUndefined();
  expect(notes).toEqual([damaged]);
});

it("has another key for another title, summary, gallery, stage, evaluation, length of training or profile", () => {
  const stage = { name: "a", stage: "pretrain", options: {} } as never;
  const experiment = { title: "t", summary: "s", gallery: "a", stages: [stage] };
  const made = { keys: { a: hash("c") }, seconds: { a: 1 }, times: [] };
  const keys = [
    experimentKey(experiment, made),
    experimentKey({ ...experiment, title: "u" }, made),
    experimentKey({ ...experiment, summary: "u" }, made),
    experimentKey({ ...experiment, gallery: undefined }, made),
    experimentKey({ ...experiment, stages: [] }, made),
    experimentKey(experiment, { ...made, keys: { a: hash("d") } }),
    experimentKey(experiment, { ...made, seconds: { a: 2 } }),
    experimentKey(experiment, { ...made, times: [{ name: "a", times: { sessions: 1, seconds: 1, kinds: [] } }] }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(experimentKey({ ...experiment }, { ...made })).toBe(keys[0]);
});
