/** A stage says where what it starts from held out other images than it does, or has not trained to its end. */
import { beforeAll, expect, it } from "vitest";
import { type Given, listener, memoryData, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  await runs.train("classifier_training", "quarter", { data_dir, val_fraction: 0.25, max_epochs: 1 });
  await runs.train("classifier_training", "none", { data_dir, max_epochs: 1 });
});

async function said(from: string, name: string, more: Given): Promise<string[]> {
  const { reporter, notes } = listener();
  const given = { data_dir, ckpt_hr_cl: runs.at(from), max_epochs: 1, ...more };
  await runs.train("pretrain", name, given, { reporter });
  return notes.filter((note) => note.includes("held out"));
}

it("nothing where both hold out the same", async () => {
  expect(await said("quarter", "same", { val_fraction: 0.25 })).toEqual([]);
  expect(await said("none", "neither", {})).toEqual([]);
});

it("what to give where the stage holds out fewer, and what is wrong where it holds out more", async () => {
  expect(await said("quarter", "fewer", {})).toEqual([
    `--ckpt_hr_cl ${runs.at("quarter")}: held out 0.25 of the training images, this stage 0: ` +
      "give --val_fraction 0.25 to choose on images that it has not learned from",
  ]);
  expect(await said("none", "more", { val_fraction: 0.5 })).toEqual([
    `--ckpt_hr_cl ${runs.at("none")}: held out 0 of the training images, this stage 0.5: ` +
      "it has learned from images that are held out here",
  ]);
});

it("which run has not ended, and how it would", async () => {
  await runs.train("classifier_training", "cut", { max_epochs: 2 }, { data: memoryData(), reporter: stopAfter(1) });
  const { reporter, notes } = listener();
  await runs.train(
    "pretrain",
    "early",
    { ckpt_hr_cl: runs.at("cut"), max_epochs: 1 },
    { data: memoryData(), reporter },
  );
  expect(notes[0]).toBe(
    `--ckpt_hr_cl ${runs.at("cut")}: has trained 0 of its 2 epochs: patchdrop classifier_training --cv_dir ${runs.at("cut")} --resume trains the others`,
  );
});
