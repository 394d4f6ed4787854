import { expect, it } from "vitest";
import { acquireRun, evaluateRun, train } from "../../src/api/calls.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { openDataSplits } from "../../src/data/open.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { refuseUnknown } from "../../src/utils/refuse-unknown.ts";

it("names all that are unknown, with the nearest that there is", () => {
  expect(() => refuseUnknown({ data_dir: 1, sead: 2, zzz: 3 }, ["data_dir", "seed"], "f")).toThrow(
    "f: sead: must be an option that there is; did you mean seed?\n" +
      "f: zzz: must be an option that there is; the options are data_dir, seed",
  );
  expect(() => refuseUnknown({ seed: 2 }, ["data_dir", "seed"], "f")).not.toThrow();
});

/** As a program in JavaScript calls it: no compiler has seen the options. */
const call = (work: (options: never) => unknown, options: unknown) => async () => work(options as never);
const stage = parseOptions("classifier_training", {});
const rule = "must be an option that there is";

it.each<[string, () => Promise<unknown>, string]>([
  [
    "train",
    call((options) => train("classifier_training", options), { ...stage, max_epoch: 3 }),
    "--max_epoch: must be an option of classifier_training, got 3; did you mean max_epochs?",
  ],
  [
    "train's context",
    call((context) => train("classifier_training", stage, context), { reportr: 1 }),
    `train classifier_training: reportr: ${rule}; did you mean reporter?`,
  ],
  [
    "parseOptions",
    call((options) => parseOptions("pretrain", options), { ckpt_hr_cl: "hr", alphaa: 0.8 }),
    "--alphaa: must be an option of pretrain, got 0.8; did you mean alpha?",
  ],
  [
    "evaluateRun",
    call((options) => evaluateRun(options), { load: "x", sweeps: true }),
    "--sweeps: must be an option of eval, got true; did you mean sweep?",
  ],
  [
    "openPredictor",
    call((options) => openPredictor("x", options), { budgets: 4 }),
    `openPredictor: budgets: ${rule}; did you mean budget?`,
  ],
  [
    "acquireRun",
    call((options) => acquireRun("x.tif", options), { load: "x", out: "o", band: "1,1,1" }),
    "--band: must be an option of acquire, got 1,1,1; did you mean bands?",
  ],
  [
    "openDataSplits",
    call((options) => openDataSplits(options), { data_dir: "x", imageSize: 32 }),
    `openDataSplits: data_dir: ${rule}; did you mean dataDir?`,
  ],
  [
    "MemoryDataset",
    call((given) => new MemoryDataset(given), { augment: false }),
    `MemoryDataset: augment: ${rule}; did you mean augmented?`,
  ],
])("%s refuses a misspelt option before it does anything", async (_, misspelt, message) => {
  await expect(misspelt()).rejects.toThrow(message);
});
