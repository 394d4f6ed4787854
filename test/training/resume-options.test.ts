/**
 * `--cv_dir RUN --resume` alone goes on with the run's own options. What would make it another run is refused, with the old
 * value and the new one; what changes nothing that was learned may differ.
 */
import { cpSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { weightsHash } from "../../src/checkpoints/beside-weights.ts";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { listCheckpoints, readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { rewriteConfig, rewriteState } from "../checkpoints/rewrite-state.ts";
import { linked, timelessMetrics } from "../e2e/runs.ts";
import { type Given, listener, memoryData, refusal, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;
// None of them a default.
const unusual = { lr: 0.02, momentum: 0.5, wd: 1e-3, clip: 2, label_smoothing: 0.1, seed: 4, batch_size: 10 };

beforeAll(async () => {
  data_dir = await runs.makeFolder("data");
  await runs.makeFolder("other", { classes: 3, train: 8, test: 5 });
  const given = { ...unusual, data_dir };
  await runs.train("classifier_training", "whole", { ...given, max_epochs: 3 });
  await runs.train("classifier_training", "two", given);
  await runs.train("classifier_training", "cut", given, { reporter: stopAfter(2) });
  await runs.train("classifier_training", "onecycle", { ...given, schedule: "onecycle", max_epochs: 1 });
});

/** All that a run ends with: its files by their hashes. */
function outcome(name: string) {
  const { files } = readState(runs.at(name, "last"));
  return { files, best: linked(runs.at(name), "best"), metrics: timelessMetrics(runs.at(name)) };
}

/** The lines of what a resume of a copy of `name` is refused with; the copy is as it was before. */
async function refused(name: string, more: Given): Promise<string[]> {
  const copy = runs.copy(name, `refused-${name}`);
  const before = readFileSync(join(copy, "config.json"), "utf8");
  const error = await refusal(() => runs.resume("classifier_training", `refused-${name}`, more));
  expect(error.kind).toBe("locked");
  expect(readFileSync(join(copy, "config.json"), "utf8")).toBe(before);
  const [first, ...changes] = error.message.split("\n");
  expect(first).toBe(
    `${copy}: must be resumed with its own options and data; give the old values, or start another run in another folder (--cv_dir; of patchdrop run: --out)`,
  );
  return changes;
}

describe("resumed with its folder alone", () => {
  it("a run ends as one that was not cut", async () => {
    expect(linked(runs.at("cut"), "last")).toBe("ckpt_E_0_S_2");
    await runs.resume("classifier_training", "cut");
    expect(outcome("cut")).toEqual(outcome("two"));
  });

  it("a run of another stage is refused, with the command that resumes it", async () => {
    const error = await refusal(() => runs.resume("pretrain", "two"));
    const next = `patchdrop classifier_training --cv_dir ${runs.at("two")} --resume`;
    expect(error.faults).toEqual([
      { where: runs.at("two"), rule: "must hold a run of pretrain to resume", got: "classifier_training", next },
    ]);
    expect(error.kind).toBe("locked");
  });
});

it("a run with an option that is gone is refused by its name", async () => {
  runs.copy("two", "former");
  rewriteConfig(runs.at("former"), ({ options }) => {
    options.fold = "1/2";
  });
  const error = await refusal(() => runs.resume("classifier_training", "former"));
  const rule = "was begun with --fold, which this version of patchdrop does not have";
  expect(error.message).toBe(`${runs.at("former")}: ${rule}, got 1/2; use it as it is, or begin another run`);
  expect(error.kind).toBe("locked");
});

describe("what would make it another run", () => {
  it("is refused, each option from its old value to the new one", async () => {
    expect(await refused("two", { lr: 0.05 })).toEqual(["  lr: 0.02 → 0.05"]);
    expect(await refused("two", { batch_size: 8, seed: 1, stream_id: "LR" })).toEqual([
      "  batch_size: 10 → 8",
      "  seed: 4 → 1",
      '  stream_id: "HR" → "LR"',
    ]);
  });

  it("is other data, wherever they lie", async () => {
    expect(await refused("two", { data_dir: runs.at("other") })).toEqual([
      expect.stringMatching(/^ {2}dataset\.test: "[0-9a-f]{64}" → "[0-9a-f]{64}"$/),
    ]);
  });

  it("is another number of epochs where the learning rate depends on it", async () => {
    expect(await refused("onecycle", { max_epochs: 2 })).toEqual(["  max_epochs: 1 → 2"]);
  });

  it("is a data set whose images are seen in another way", async () => {
    await runs.train("classifier_training", "memory", { max_epochs: 1 }, { data: memoryData() });
    const data = memoryData(undefined, { mean: [0.5, 0.5, 0.5], std: [0.25, 0.25, 0.25] });
    const error = await refusal(() => runs.resume("classifier_training", "memory", { max_epochs: 2 }, { data }));
    expect(error.message).toMatch(/\n {2}dataset\.normalization\.mean: \[0\.49.*\] → \[0\.5,0\.5,0\.5\]\n/);
    await runs.resume("classifier_training", "memory", { max_epochs: 2 }, { data: memoryData() });
  });
});

describe("what changes nothing that was learned", () => {
  const { reporter, notes } = listener();
  beforeEach(() => {
    notes.length = 0;
  });
  const resume = (name: string, more: Given) => runs.resume("classifier_training", name, more, { reporter });

  it("is more epochs: the run ends as one that was to have so many", async () => {
    runs.copy("two", "longer");
    await resume("longer", { max_epochs: 3 });
    expect(outcome("longer")).toEqual(outcome("whole"));
    expect(notes.filter((note) => note.includes("bits"))).toEqual([]);
  });

  it("is the place of the data, and how they are read", async () => {
    runs.copy("two", "moved");
    cpSync(data_dir, runs.at("elsewhere"), { recursive: true });
    await resume("moved", { max_epochs: 3, data_dir: runs.at("elsewhere"), num_workers: 1, skip_bad: 5 });
    expect(outcome("moved")).toEqual(outcome("longer"));
  });

  it("is the run's own place", async () => {
    runs.copy("two", "old-place");
    renameSync(runs.at("old-place"), runs.at("new-place"));
    await resume("new-place", { max_epochs: 3 });
    expect(outcome("new-place")).toEqual(outcome("longer"));
  });

  it("is the number of threads, of which the bits depend: a note says so", async () => {
    runs.copy("two", "threads");
    rewriteConfig(runs.at("threads"), ({ options, versions }) => {
      options.threads = 7;
      versions.threads = "7";
    });
    await resume("threads", { max_epochs: 3, threads: 1 });
    expect(notes).toContain('threads: "7" → "1"; the resumed run may differ in its last bits');
    expect(outcome("threads").metrics).toEqual(outcome("longer").metrics);
  });

  it("is not the number of ranks that shared each batch: a note says so", async () => {
    runs.copy("two", "ranks");
    rewriteConfig(runs.at("ranks"), ({ versions }) => {
      versions.ranks = "2";
    });
    await resume("ranks", { max_epochs: 3 });
    expect(notes).toContain(
      'ranks: "2" → "1"; without --shards, batch norm now sees other shares of each batch: the run goes on as another one would',
    );
  });
});

it("what a run started from may have moved, and must have the same weights", async () => {
  const data = memoryData();
  for (const [name, seed] of [
    ["start", 1],
    ["other start", 2],
  ] as const) {
    await runs.train("classifier_training", name, { max_epochs: 1, seed }, { data });
  }
  await runs.train("pretrain", "started", { ckpt_hr_cl: runs.at("start"), max_epochs: 1 }, { data });
  const starts = { ckpt_hr_cl: weightsHash(runs.at("start", "best")) };
  expect(readRunConfig(runs.at("started")).starts).toEqual(starts);
  const resume = (ckpt_hr_cl: string) =>
    runs.resume("pretrain", "started", { ckpt_hr_cl: runs.at(ckpt_hr_cl), max_epochs: 2 }, { data });
  const error = await refusal(() => resume("other start"));
  expect(error.message).toContain(`\n  ckpt_hr_cl: "${runs.at("start")}" → "${runs.at("other start")}"`);
  renameSync(runs.at("start"), runs.at("moved start"));
  await resume("moved start");
  expect(readRunConfig(runs.at("started"))).toMatchObject({ options: { ckpt_hr_cl: runs.at("moved start") }, starts });
});

it("a run of before 0.2.0, whose estimator had no name, goes on", async () => {
  const data = memoryData();
  await runs.train("classifier_training", "hr", { max_epochs: 1 }, { data });
  const given = { ckpt_hr_cl: runs.at("hr"), lr: 1e-2 };
  await runs.train("pretrain", "new", given, { data });
  runs.copy("new", "older");
  rewriteConfig(runs.at("older"), (config) => {
    delete config.options.estimator;
    delete config.description;
  });
  for (const { name } of listCheckpoints(runs.at("older"))) {
    rewriteState(runs.at("older", "checkpoints", name), ({ config }) => {
      delete config.options.estimator;
      delete config.description;
    });
  }
  for (const name of ["new", "older"]) await runs.resume("pretrain", name, { max_epochs: 3 }, { data });
  expect(outcome("older").metrics).toEqual(outcome("new").metrics);
  expect(outcome("older").files).toEqual(outcome("new").files);
});
