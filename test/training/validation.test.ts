/** With images held out, a training and its choices never look at the test images. */
import { beforeAll, expect, it } from "vitest";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import type { Dataset } from "../../src/data/dataset.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { asLogged, evaluate, type Given, listener, memoryData, refusal, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;
let notes: string[];

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  const { reporter, notes: said } = listener();
  await runs.train("classifier_training", "hr", { data_dir, val_fraction: 0.25, lr: 0.05 }, { reporter });
  await runs.train("pretrain", "policy", {
    data_dir,
    val_fraction: 0.25,
    ckpt_hr_cl: runs.at("hr"),
    curriculum: false,
  });
  notes = said;
});

it("tests are logged as those of the held-out images, and are what an evaluation on them finds", async () => {
  const logged = readMetrics(runs.at("policy"));
  expect(new Set(logged.map(({ split }) => split))).toEqual(new Set(["train", "val"]));
  // 6 of 24 images.
  const evaluation = await evaluate(runs.at("policy", "last"), { split: "val" });
  expect([evaluation.split, evaluation.images]).toEqual(["val", 6]);
  expect(logged.at(-1)).toMatchObject(asLogged(evaluation));
  expect((await evaluate(runs.at("policy"))).images).toBe(12);
  expect((await evaluate(runs.at("policy"), { split: "train" })).images).toBe(18);
  expect(notes.filter((note) => note.startsWith("epoch"))).toEqual([
    expect.stringMatching(/^epoch 1\/2: train .*; val accuracy/),
    expect.stringMatching(/^epoch 2\/2: train .*; val accuracy/),
  ]);
});

it("nothing is read of the test images", async () => {
  const { train, test } = memoryData();
  const unreadable: Dataset = {
    ...test,
    read: () => {
      throw new Error("the test images were looked at");
    },
  };
  const data = { train, test: unreadable };
  const blind = { val_fraction: 0.25, max_epochs: 1 };
  await runs.train("classifier_training", "blind", blind, { data });
  await expect(runs.train("classifier_training", "seeing", { max_epochs: 1 }, { data })).rejects.toThrow("looked at");
});

it("of other data, nothing was held out", async () => {
  const other = await runs.makeFolder("other", { classes: 3, train: 1, test: 2 });
  expect((await evaluate(runs.at("policy"), { data_dir: other })).images).toBe(6);
  expect((await evaluate(runs.at("policy"), { data_dir: other, split: "train" })).images).toBe(3);
  const { kind } = await refusal(() => evaluate(runs.at("policy"), { data_dir: other, split: "val" }));
  expect(kind).toBe("usage");
});

it("patience needs them, and a learning rate that does not wait for the end", async () => {
  const stopping = (given: Given) =>
    refusal(() => runs.train("classifier_training", "impatient", { data_dir, patience: 1, ...given }));
  expect((await stopping({})).message).toBe(
    "--patience: needs images that are held out to choose by, got 1; give --val_fraction 0.1, or data with val/",
  );
  expect((await stopping({ val_fraction: 0.25, schedule: "onecycle" })).message).toBe(
    "--patience: must be left out with --schedule onecycle, whose learning rate falls at the end, got 1; give --schedule constant, or fewer --max_epochs",
  );
});

it("a budget is calibrated on them", async () => {
  const { choice } = await evaluate(runs.at("policy"), { target_patches: 8 });
  expect(choice?.calibrated).toMatchObject({ split: "val", images: 6 });
});

it("a run without them has none to be evaluated on, and goes on as it was", async () => {
  await runs.train("classifier_training", "all", { data_dir, max_epochs: 1 });
  expect(readRunConfig(runs.at("all")).options.val_fraction).toBe(0);
  const { faults } = await refusal(() => evaluate(runs.at("all", "last"), { split: "val" }));
  expect(faults).toEqual([
    {
      where: "--split val",
      rule: "needs data with a validation split, or a run that was trained with --val_fraction and its data",
      got: runs.at("all", "last"),
      next: "train with it, or give another split",
    },
  ]);
  const other: Given = { val_fraction: 0.25, max_epochs: 2 };
  const { kind, message } = await refusal(() => runs.resume("classifier_training", "all", other));
  expect(kind).toBe("locked");
  expect(message).toContain("val_fraction: 0 → 0.25");
});
