/** What dropped patches are filled with goes from the classifier's run to the stages that start from it. */
import { beforeAll, expect, it } from "vitest";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { rewriteConfig } from "../checkpoints/rewrite-state.ts";
import { type Given, listener, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  await runs.train("classifier_training", "plain", { data_dir, max_epochs: 1 });
  await runs.train("classifier_training", "masked", { data_dir, random_masks: 0.5, max_epochs: 1 });
  await runs.train("pretrain", "policy", { data_dir, ckpt_hr_cl: runs.at("masked"), max_epochs: 1 });
});

const fillsOf = (name: string) => {
  const { options, description } = readRunConfig(runs.at(name));
  return [options.fill, description?.fill];
};

async function pretrained(from: string, more: Given = {}) {
  const { reporter, notes } = listener();
  const name = `${from}-${Object.values(more).join()}`;
  const given = { data_dir, ckpt_hr_cl: runs.at(from), max_epochs: 1, ...more };
  await runs.train("pretrain", name, given, { reporter });
  return { fills: fillsOf(name), said: notes.filter((note) => note.startsWith("--fill")) };
}

it("a classifier that learned on masks has seen the low resolution in them, any other none", () => {
  expect(fillsOf("masked")).toEqual([undefined, "lr"]);
  expect(fillsOf("plain")).toEqual([undefined, "zero"]);
});

it("a policy is judged as the classifier has learned, and says so, unless a flag says otherwise", async () => {
  expect(await pretrained("masked")).toEqual({ fills: ["lr", "lr"], said: [`--fill lr, as in ${runs.at("masked")}`] });
  expect(await pretrained("masked", { fill: "zero" })).toEqual({ fills: ["zero", "zero"], said: [] });
  expect(await pretrained("plain")).toEqual({ fills: ["zero", "zero"], said: [] });
  expect(await pretrained("plain", { fill: "lr" })).toEqual({ fills: ["lr", "lr"], said: [] });
});

it("two streams take it from the policy's run where no classifier is named", async () => {
  const load = runs.at("policy");
  await runs.train("classifier_training", "lr", { data_dir, stream_id: "LR", max_epochs: 1 });
  await runs.train("finetune", "tuned", { data_dir, load, ckpt_hr_cl: runs.at("masked"), max_epochs: 1 });
  const two = { load: runs.at("tuned"), ckpt_lr_cl: runs.at("lr") };
  await runs.train("finetune2stream", "two", { data_dir, ...two, max_epochs: 1 });
  expect(fillsOf("two")).toEqual(["lr", "lr"]);
});

it("a run of before there were random masks goes on", async () => {
  runs.copy("plain", "older");
  rewriteConfig(runs.at("older"), ({ options }) => {
    expect(options.random_masks).toBe(0);
    delete options.random_masks;
  });
  await runs.resume("classifier_training", "older", { max_epochs: 2 });
  expect(readRunConfig(runs.at("older")).options.max_epochs).toBe(2);
});
