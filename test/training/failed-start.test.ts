/** A start that fails leaves nothing: no run folder, no lock, and no tensor of what was loaded before. */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { convertCheckpoint } from "../../src/checkpoints/convert-checkpoint.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { liveHandles } from "../../src/native/call.ts";
import type { StageName } from "../../src/options/stage-options.ts";
import { rewriteState } from "../checkpoints/rewrite-state.ts";
import { evaluate, type Given, memoryData, refusal, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();
const run = (name: string) => runs.at(name);

beforeAll(async () => {
  const classifier = (name: string, more: Given) =>
    runs.train("classifier_training", name, { max_epochs: 1, ...more }, { data });
  await classifier("hr", {});
  await classifier("lr", { stream_id: "LR" });
  await classifier("other-model", { model: "R32_C10" });
  const given = { max_epochs: 1, ckpt_hr_cl: run("hr") };
  await runs.train("pretrain", "policy", given, { data });
  await runs.train("pretrain", "other-low", { ...given, lr_size: 16 }, { data });
  convertCheckpoint(run("policy"), run("agent.safetensors"), { network: "agent" });
  writeFileSync(run("text.pth"), "no weights");
  mkdirSync(run("occupied"));
  writeFileSync(run("occupied/thesis.txt"), "");
});

/** What `work` is refused with; it must leave as many tensors as there were. */
async function cleanRefusal(work: () => unknown): Promise<string> {
  const before = liveHandles();
  const { message } = await refusal(work);
  expect(liveHandles()).toBe(before);
  return message;
}

/** Flags of a stage that starts from the policy and from these classifiers. */
const from = (high: string, low?: string): Given => ({
  load: run("policy"),
  ckpt_hr_cl: run(high),
  ...(low === undefined ? {} : { ckpt_lr_cl: run(low) }),
});

describe("a training that cannot start", () => {
  it.each<[string, StageName, Given, string]>([
    ["a classifier that is not there", "finetune", from("none"), "none: does not exist"],
    ["a classifier of the other resolution", "finetune", from("lr"), "must hold the network resnet_hr"],
    ["a classifier of another model", "finetune", from("other-model"), "R8_Scenes 2019 at 32 pixels, got R32_C10 2019"],
    [
      "a policy where a classifier belongs",
      "pretrain",
      { ckpt_hr_cl: run("agent.safetensors") },
      "agent.safetensors: resnet_hr: must have the tensors of this model and no others, got ",
    ],
    ["a file without weights", "finetune2stream", from("hr", "text.pth"), "must be a file of torch.save"],
    ["the last of three networks missing", "finetune2stream", from("hr", "hr"), "must hold the network resnet_lr"],
    [
      "a policy of another low resolution",
      "finetune2stream",
      { ...from("hr", "lr"), load: run("other-low") },
      "R8_Scenes 2019 at 32 pixels, low resolution 8, 4x4 patches, got ",
    ],
    [
      "ImageNet weights of another network",
      "classifier_training",
      { pretrained: run("agent.safetensors") },
      "missing, e.g. conv1.weight",
    ],
    [
      "ImageNet weights that are not there",
      "classifier_training",
      { pretrained: run("none.pth") },
      "none.pth: does not exist",
    ],
  ])("for %s leaves nothing", async (what, stage, given, message) => {
    expect(await cleanRefusal(() => runs.train(stage, what, given, { data }))).toContain(message);
    expect(existsSync(run(what))).toBe(false);
  });

  it("for a folder that holds something leaves it as it was, and no tensor", async () => {
    const message = await cleanRefusal(() => runs.train("finetune", "occupied", from("hr"), { data }));
    expect(message).toContain("the folder must be new or empty");
    expect(existsSync(run("occupied/run.lock"))).toBe(false);
    expect(existsSync(run("occupied/config.json"))).toBe(false);
  });

  it("gives the folder free where a run is not resumed", async () => {
    runs.copy("policy", "cut");
    rewriteState(runs.at("cut", "last"), (state) => {
      delete state.files["resnet_hr.safetensors"];
    });
    const message = await cleanRefusal(() => runs.resume("pretrain", "cut", { max_epochs: 2 }, { data }));
    expect(message).toContain("must hold the network resnet_hr");
    expect(existsSync(runs.at("cut", "run.lock"))).toBe(false);
  });
});

describe("a run that cannot be opened", () => {
  it("leaves no tensor: to predict, for networks of another shape", async () => {
    runs.copy("policy", "mixed");
    rewriteState(runs.at("mixed", "last"), ({ config }) => {
      config.description = { ...Object(config.description), classes: ["a", "b"] };
    });
    const message = await cleanRefusal(() => openPredictor(run("mixed"), { threads: 1 }));
    expect(message).toContain("resnet_hr: must know the 2 classes of the data, got 3");
  });

  it("leaves no tensor: a choice of patches where nothing chooses", async () => {
    const message = await cleanRefusal(() => openPredictor(run("hr"), { threads: 1, budget: 3 }));
    expect(message).toMatch(/^--budget: needs a run with a policy, got .*hr/);
  });

  it("leaves no tensor: to evaluate, for a file of weights of another model", async () => {
    const data_dir = await runs.makeFolder();
    const message = await cleanRefusal(() => evaluate(run("agent.safetensors"), { model: "R8_Scenes", data_dir }));
    expect(message).toContain("missing, e.g. conv1.weight");
  });
});

it("a training that ends leaves no tensor either", async () => {
  const before = liveHandles();
  await runs.train("finetune2stream", "two", { ...from("hr", "lr"), max_epochs: 1 }, { data });
  expect(liveHandles()).toBe(before);
});
