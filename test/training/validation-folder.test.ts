/** A folder with train/, test/ and val/: what is chosen is chosen on val/, and a run knows it again. */
import { cpSync, mkdirSync, rmSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { linked, timelessMetrics } from "../e2e/runs.ts";
import { asLogged, evaluate, type Given, refusal, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;
const counts = { classes: 3, train: 8, test: 4, val: 2 };

/** The test images are those of val/, each in the folder of the next class: what is right of the one is wrong of the other. */
function makeTestContrary(folder: string): void {
  rmSync(runs.at(folder, "test"), { recursive: true });
  mkdirSync(runs.at(folder, "test"));
  for (let label = 0; label < 3; label++) {
    cpSync(runs.at(folder, "val", `class${label}`), runs.at(folder, "test", `class${(label + 1) % 3}`), {
      recursive: true,
    });
  }
}

beforeAll(async () => {
  data_dir = await runs.makeFolder("data", counts);
  await runs.train("classifier_training", "hr", { data_dir, lr: 0.05 });
  await runs.train("pretrain", "policy", { data_dir, ckpt_hr_cl: runs.at("hr"), curriculum: false });
});

it("tests are logged as those of val/, and are what an evaluation on it finds", async () => {
  const logged = readMetrics(runs.at("policy"));
  expect(new Set(logged.map(({ split }) => split))).toEqual(new Set(["train", "val"]));
  const evaluation = await evaluate(runs.at("policy", "last"), { split: "val" });
  expect([evaluation.split, evaluation.images]).toEqual(["val", 6]);
  expect(logged.at(-1)).toMatchObject(asLogged(evaluation));
});

it("each split is evaluated on its own images, all of them", async () => {
  expect((await evaluate(runs.at("policy"))).images).toBe(12);
  expect((await evaluate(runs.at("policy"), { split: "train" })).images).toBe(24);
});

it("a budget is calibrated on val/", async () => {
  const { choice } = await evaluate(runs.at("policy"), { target_patches: 8 });
  expect(choice?.calibrated).toMatchObject({ split: "val", images: 6 });
});

it("best is the best on val/, however bad on test/", async () => {
  const contrary = await runs.makeFolder("contrary", counts);
  makeTestContrary("contrary");
  await runs.train("classifier_training", "contrary-run", { data_dir: contrary, lr: 0.05, max_epochs: 6 });
  const accuracies = readMetrics(runs.at("contrary-run")).flatMap(({ split, accuracy }) =>
    split === "val" ? [Number(accuracy)] : [],
  );
  const highest = Math.max(...accuracies);
  // Chance is a third.
  expect(highest).toBeGreaterThan(0.5);
  const epoch = 1 + accuracies.indexOf(highest);
  expect(linked(runs.at("contrary-run"), "best")).toMatch(new RegExp(`^ckpt_E_${epoch}_`));
  expect(asLogged(await evaluate(runs.at("contrary-run"))).accuracy).toBeLessThan(0.5);
  expect(asLogged(await evaluate(runs.at("contrary-run"), { split: "val" })).accuracy).toBe(highest);
});

it("holds nothing out besides", async () => {
  const given = { data_dir, val_fraction: 0.25 };
  const { kind, message } = await refusal(() => runs.train("classifier_training", "both", given));
  expect([kind, message]).toEqual([
    "usage",
    "--val_fraction: must be 0 for data with a validation split of their own, got 0.25; leave out the flag, or the split",
  ]);
});

it("a run that was cut goes on to the same end, and not with other validation images", async () => {
  const given = { data_dir, lr: 0.05 };
  await runs.train("classifier_training", "cut", given, { reporter: stopAfter(2) });
  const other = await runs.makeFolder("other", { ...counts, val: 3 });
  const without = await runs.makeFolder("without", { classes: 3, train: 8, test: 4 });
  const changes = async (more: Given) =>
    (await refusal(() => runs.resume("classifier_training", "cut", more))).message.split("\n").slice(1);
  expect(await changes({ data_dir: other })).toEqual([
    expect.stringMatching(/^ {2}dataset\.val: "\w{64}" → "\w{64}"$/),
  ]);
  expect(await changes({ data_dir: without })).toEqual([expect.stringMatching(/^ {2}dataset\.val: "\w{64}" → null$/)]);
  await runs.resume("classifier_training", "cut");
  expect(timelessMetrics(runs.at("cut"))).toEqual(timelessMetrics(runs.at("hr")));
  expect(linked(runs.at("cut"), "best")).toBe(linked(runs.at("hr"), "best"));
});

it("a run without one records none, as before, and does not go on with one that came later", async () => {
  const later = await runs.makeFolder("later", { classes: 3, train: 8, test: 4 });
  await runs.train("classifier_training", "early", { data_dir: later, max_epochs: 1 });
  expect(readRunConfig(runs.at("early")).dataset).not.toHaveProperty("val");
  cpSync(runs.at("data", "val"), runs.at("later", "val"), { recursive: true });
  const error = await refusal(() => runs.resume("classifier_training", "early", { max_epochs: 2 }));
  expect([error.kind, error.message.split("\n").slice(1)]).toEqual([
    "locked",
    [expect.stringMatching(/^ {2}dataset\.val: null → "\w{64}"$/)],
  ]);
});
