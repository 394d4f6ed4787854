/**
 * What each stage begins with: its model, the networks that it takes and from where, which of them learn, and what it is
 * tested by; and what one short training of it records. The checkpoints here are made, not trained.
 */

import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import manifest from "../../package.json" with { type: "json" };
import { readCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import type { RunDescription } from "../../src/checkpoints/description.ts";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { alone } from "../../src/distributed/process-group.ts";
import type { JsonObject } from "../../src/files/json.ts";
import { encodeSafetensors } from "../../src/formats/safetensors.ts";
import { checkpointOf } from "../../src/inference/named-checkpoint.ts";
import { freshNetwork, type Learner, type NetworkName, states } from "../../src/models/networks.ts";
import { findModel, type ModelOptions } from "../../src/models/registry.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { parseOptions, type StageName, type StageOptions, withModelDefaults } from "../../src/options/stage-options.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { withModel } from "../../src/training/choose-model.ts";
import { classifierTraining } from "../../src/training/classifier-training.ts";
import { finetune, finetune2stream } from "../../src/training/finetune.ts";
import type { Learning } from "../../src/training/learning.ts";
import { pretrain } from "../../src/training/pretrain.ts";
import { prepare, type Setting } from "../../src/training/setting.ts";
import { train } from "../../src/training/train.ts";
import { rewriteConfig } from "../checkpoints/rewrite-state.ts";
import { noiseDataset } from "./cases.ts";
import { exact, type Given, listener, memoryData, refusal } from "./small-runs.ts";

let folder: string;
let before: number;
const at = (...names: string[]) => join(folder, ...names);
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-stages-"));
  before = liveHandles();
});
afterEach(() => {
  expect(liveHandles()).toBe(before);
  rmSync(folder, { recursive: true, force: true });
});

/** Four patches of 16 × 16 pixels, and a low resolution of 16: none of them a default. */
const sizes = { lr_size: 16, patch_size: 16 } as const;
const named = { model: "R8_Scenes", variant: "2019", ...sizes } as const;
const data = memoryData({ classes: 3, train: 1, test: 1 });
const quick = { ...exact, ...named, batch_size: 4, max_epochs: 1 };

interface Made {
  model?: Pick<ModelOptions, "model" | "arch" | "lr_size" | "patch_size"> & { variant: "2019" | "2020" };
  seed?: number;
  progress?: JsonObject;
  classes?: readonly string[];
}

/** A run of one checkpoint, whose networks are fresh ones of a seed. */
function makeRun(name: string, networks: readonly NetworkName[], made: Made = {}): string {
  const { model: options = named, seed = 7, progress = { epoch: 1, step: 0, seconds: 0 } } = made;
  const model = findModel(options);
  const { classes = data.train.classes } = made;
  const description: RunDescription = {
    ...{ model: model.name, variant: model.variant, imageSize: model.imageSize, lowSize: model.lowSize },
    ...(model.arch && { arch: model.arch }),
    ...{
      patchSize: model.grid.patchSize,
      bands: ["red", "green", "blue"],
      pixelType: "uint8",
      transform: "cifar",
      fill: "zero",
    },
    ...{ normalization: data.train.normalization, classes: [...classes] },
    ...{ rounds: 1, policyHead: "mean", choice: { policy: "threshold", threshold: 0.5 } },
  };
  const run = RunFolder.create(at(name), {
    ...{ stage: "made", options: { ...options }, versions: {}, description },
    dataset: { name: "squares", fingerprint: "0" },
  });
  const learners = networks.map((one) => [one, fresh(one, seed, options)] as const);
  run.save({ name: "ckpt", networks: states(new Map(learners)), optimizer: new Map(), progress, isBest: true });
  run.close();
  for (const [, { parameters }] of learners) parameters.free();
  return at(name);
}

function fresh(name: NetworkName, seed: number, options: Made["model"] = named): Learner {
  return freshNetwork({ model: findModel(options!), classes: 3, device: "cpu" }, seed, name);
}

/** A network's weights as one short text: what differs of thousands of numbers would take long to tell. */
function digest({ parameters }: Learner): string {
  return createHash("sha256").update(parameters.flat.toFloat32()).digest("hex");
}

/** The weights of a fresh network of that seed. */
function weightsOf(name: NetworkName, seed: number, options?: Made["model"]): string {
  const learner = fresh(name, seed, options);
  const found = digest(learner);
  learner.parameters.free();
  return found;
}

/** A stage as it begins, what it noted, and what it leaves behind unless it is freed. */
async function begun<S extends StageName>(
  stage: S,
  start: (options: ReturnType<typeof withModelDefaults<S>>, setting: Setting) => Learning | Promise<Learning>,
  given: Given,
  checkpoint?: Setting["checkpoint"],
) {
  const { reporter, notes } = listener();
  const options = withModelDefaults(stage, parseOptions(stage, { ...quick, ...given }));
  const prepared = await prepare(options, { reporter, group: alone }, data);
  try {
    const learning = await start(options, { ...prepared, checkpoint });
    const { networks, optimizer, uniformsPerImage, rewarding, decided } = learning;
    const seen = {
      networks: [...networks.keys()],
      learned: [...optimizer.state().keys()],
      decided: decided && [0, 1, 2, 3, 4].map((epoch) => decided(epoch)),
      weights: Object.fromEntries([...networks].map(([name, learner]) => [name, digest(learner)])),
      ...{ uniformsPerImage, rewarding, notes },
    };
    learning.free?.();
    optimizer.free();
    for (const { parameters } of networks.values()) parameters.free();
    return seen;
  } finally {
    prepared.normalizer.free();
  }
}

const adamOf = (...names: string[]) =>
  names.flatMap((name) => ["first", "second", "steps"].map((one) => `${name}.${one}`));

describe("classifier training", () => {
  it.each([
    ["HR", "resnet_hr"],
    ["LR", "resnet_lr"],
  ] as const)("of the stream %s is of a fresh %s, by SGD, with no policy", async (stream_id, name) => {
    const seen = await begun("classifier_training", classifierTraining, { stream_id, seed: 3 });
    expect(seen).toEqual({
      ...{ networks: [name], learned: [`${name}.first`, `${name}.steps`], weights: { [name]: weightsOf(name, 3) } },
      ...{ decided: undefined, uniformsPerImage: 0, rewarding: undefined, notes: [] },
    });
  });

  it("gives its network back where it cannot start from other weights", async () => {
    const given = { pretrained: at("nothing.pth") };
    await expect(begun("classifier_training", classifierTraining, given)).rejects.toThrow(
      "nothing.pth: does not exist",
    );
  });

  it("that is resumed reads no other weights", async () => {
    const checkpoint = readCheckpoint(join(makeRun("own", ["resnet_hr"]), "last"));
    const seen = await begun("classifier_training", classifierTraining, { pretrained: at("nothing.pth") }, checkpoint);
    expect(seen.weights).toEqual({ resnet_hr: weightsOf("resnet_hr", 7) });
  });
});

describe("pretraining", () => {
  it("is of a fresh policy, under the classifier that judges, which does not learn", async () => {
    const ckpt_hr_cl = makeRun("hr", ["resnet_hr"]);
    const given = { ckpt_hr_cl, seed: 3, reward: "linear", penalty: -0.25 };
    expect(await begun("pretrain", pretrain, given)).toEqual({
      networks: ["agent", "resnet_hr"],
      learned: adamOf("agent"),
      weights: { agent: weightsOf("agent", 3), resnet_hr: weightsOf("resnet_hr", 7) },
      decided: [1, 2, 3, 4, 4],
      uniformsPerImage: 4,
      rewarding: { kind: "linear", penalty: -0.25, price: 0.01 },
      notes: [],
    });
  });

  it("starts from a policy that is given, and without a curriculum decides all patches", async () => {
    const given = { load: makeRun("policy", ["agent"]), ckpt_hr_cl: makeRun("hr", ["resnet_hr"]), curriculum: false };
    const seen = await begun("pretrain", pretrain, given);
    expect(seen.weights.agent).toEqual(weightsOf("agent", 7));
    expect(seen.decided).toEqual([4, 4, 4, 4, 4]);
  });

  it("names the flag of a checkpoint of another model", async () => {
    const [hr, wrong] = [
      makeRun("hr", ["resnet_hr"]),
      makeRun("wrong", ["agent"], { model: { ...named, lr_size: 8 } }),
    ];
    const other = makeRun("other", ["resnet_hr"], { model: { ...named, model: "R32_C10" } });
    const whereOf = async (given: Given) => (await refusal(() => begun("pretrain", pretrain, given))).faults[0].where;
    expect(await whereOf({ load: wrong, ckpt_hr_cl: hr })).toBe(`--load ${wrong}`);
    expect(await whereOf({ ckpt_hr_cl: other })).toBe(`--ckpt_hr_cl ${other}`);
  });

  it("that is resumed has its networks from its own checkpoint, wherever the flags' are", async () => {
    const checkpoint = readCheckpoint(join(makeRun("own", ["agent", "resnet_hr"]), "last"));
    const seen = await begun("pretrain", pretrain, { load: at("gone"), ckpt_hr_cl: at("gone") }, checkpoint);
    expect(seen.weights).toEqual({ agent: weightsOf("agent", 7), resnet_hr: weightsOf("resnet_hr", 7) });
    const lacking = { ...checkpoint, networks: new Map([["agent", checkpoint.networks.get("agent")!]]) };
    await expect(begun("pretrain", pretrain, { ckpt_hr_cl: at("gone") }, lacking)).rejects.toThrow(
      "must hold the network resnet_hr, got agent; give a checkpoint of a stage that trains it",
    );
  });
});

describe("finetuning", () => {
  const rewarding = { reward: "linear", penalty: -0.25 };

  it("is of policy and classifier, each from its checkpoint", async () => {
    const load = makeRun("policy", ["agent", "resnet_hr"]);
    const given = { ...rewarding, load, ckpt_hr_cl: makeRun("hr", ["resnet_hr"], { seed: 8 }) };
    expect(await begun("finetune", finetune, given)).toEqual({
      networks: ["agent", "resnet_hr"],
      learned: adamOf("agent", "resnet_hr"),
      weights: { agent: weightsOf("agent", 7), resnet_hr: weightsOf("resnet_hr", 8) },
      decided: undefined,
      uniformsPerImage: 4,
      rewarding: { kind: "linear", penalty: -0.25, price: 0.01 },
      notes: [],
    });
  });

  it("with two streams is of the two networks of one checkpoint, beside a classifier that does not learn", async () => {
    const load = makeRun("policy", ["agent", "resnet_hr"]);
    const given = { ...rewarding, load, ckpt_lr_cl: makeRun("lr", ["resnet_lr"], { seed: 9 }) };
    const all = {
      networks: ["agent", "resnet_hr", "resnet_lr"],
      learned: adamOf("agent", "resnet_hr"),
      decided: undefined,
      uniformsPerImage: 4,
      rewarding: { kind: "linear", penalty: -0.25, price: 0.01 },
      notes: [],
    };
    const weights = { agent: weightsOf("agent", 7), resnet_lr: weightsOf("resnet_lr", 9) };
    expect(await begun("finetune2stream", finetune2stream, given)).toEqual({
      ...all,
      weights: { ...weights, resnet_hr: weightsOf("resnet_hr", 7) },
    });
    const other = makeRun("hr", ["resnet_hr"], { seed: 8 });
    expect(await begun("finetune2stream", finetune2stream, { ...given, ckpt_hr_cl: other })).toEqual({
      ...all,
      weights: { ...weights, resnet_hr: weightsOf("resnet_hr", 8) },
    });
  });

  it("names the flag of a checkpoint that lies elsewhere", async () => {
    const [policy, hr] = [makeRun("policy", ["agent", "resnet_hr"]), makeRun("hr", ["resnet_hr"])];
    const wrong = makeRun("wrong", ["agent", "resnet_hr", "resnet_lr"], { model: { ...named, model: "R32_C10" } });
    const low = makeRun("low", ["agent", "resnet_hr", "resnet_lr"], { model: { ...named, lr_size: 8 } });
    const refused = async (stage: "finetune" | "finetune2stream", given: Given) => {
      const start = stage === "finetune" ? finetune : finetune2stream;
      const error = await refusal(() => begun(stage as "finetune2stream", start as typeof finetune2stream, given));
      return { kind: error.kind, ...error.faults[0] };
    };
    const next = "give the same --model, --variant, --arch and sizes";
    const ours = "must be for the model R8_Scenes 2019 at 32 pixels";
    expect(await refused("finetune", { load: wrong, ckpt_hr_cl: hr })).toEqual({
      ...{ kind: "input", where: `--load ${wrong}`, rule: `${ours}, low resolution 16, 2x2 patches` },
      ...{ got: "R32_C10 2019 at 32 pixels, low resolution 16, 2x2 patches", next },
    });
    expect(await refused("finetune", { load: policy, ckpt_hr_cl: wrong })).toEqual({
      ...{ kind: "input", where: `--ckpt_hr_cl ${wrong}`, rule: ours, got: "R32_C10 2019 at 32 pixels", next },
    });
    const both = { load: policy, ckpt_lr_cl: low };
    expect(await refused("finetune2stream", both)).toMatchObject({ where: `--ckpt_lr_cl ${low}` });
    expect(await refused("finetune2stream", { ...both, load: wrong })).toMatchObject({ where: `--load ${wrong}` });
    expect(await refused("finetune2stream", { ...both, ckpt_hr_cl: wrong })).toMatchObject({
      where: `--ckpt_hr_cl ${wrong}`,
    });
    // A classifier of high resolution fits any low one.
    await begun("finetune", finetune, { load: policy, ckpt_hr_cl: low });
  });

  it("takes a policy beside whichever classifier it learned, and none of other patches", async () => {
    const patches = { ...named, arch: "patches" } as const;
    const [dense, sparse] = [
      makeRun("dense", ["agent", "resnet_hr"]),
      makeRun("sparse", ["agent", "resnet_hr"], { model: patches, seed: 8 }),
    ];
    expect((await begun("finetune", finetune, { load: dense, ckpt_hr_cl: sparse, arch: "patches" })).weights).toEqual({
      agent: weightsOf("agent", 7),
      resnet_hr: weightsOf("resnet_hr", 8, patches),
    });
    expect((await begun("finetune", finetune, { load: sparse, ckpt_hr_cl: dense })).weights).toEqual({
      agent: weightsOf("agent", 8),
      resnet_hr: weightsOf("resnet_hr", 7),
    });
    const refused = async <S extends StageName>(stage: S, start: Parameters<typeof begun<S>>[1], given: Given) =>
      (await refusal(() => begun(stage, start, given))).faults[0];
    // Of one column of four patches, which are as many.
    const column = makeRun("column", ["agent"], { model: { ...named, patch_size: "32x8" } });
    expect(await refused("finetune", finetune, { load: column, ckpt_hr_cl: dense })).toMatchObject({
      where: `--load ${column}`,
      rule: "must be for the model R8_Scenes 2019 at 32 pixels, low resolution 16, 2x2 patches",
      got: "R8_Scenes 2019 at 32 pixels, low resolution 16, 1x4 patches",
    });
    const lr = makeRun("lr", ["resnet_lr"], { model: patches });
    expect(
      await refused("finetune2stream", finetune2stream, { load: dense, ckpt_lr_cl: lr, arch: "patches" }),
    ).toMatchObject({
      where: `--load ${dense}`,
      rule: "must be for the model R8_Scenes 2019 with --arch patches at 32 pixels, low resolution 16, 2x2 patches",
      got: "R8_Scenes 2019 at 32 pixels",
    });
    // It sees the low resolution beside the patches.
    const coarse = makeRun("coarse", ["resnet_hr"], { model: { ...patches, lr_size: 8 } });
    expect(await refused("finetune", finetune, { load: dense, ckpt_hr_cl: coarse, arch: "patches" })).toMatchObject({
      where: `--ckpt_hr_cl ${coarse}`,
      got: "R8_Scenes 2019 with --arch patches at 32 pixels, low resolution 8, 2x2 patches",
    });
  });

  it("takes no classifier of other classes, and a policy of any", async () => {
    const other = makeRun("other", ["agent", "resnet_hr"], { classes: ["class0", "class2", "class1"] });
    const hr = makeRun("hr", ["resnet_hr"]);
    await begun("finetune", finetune, { load: other, ckpt_hr_cl: hr });
    const { kind, faults } = await refusal(() => begun("finetune", finetune, { load: other, ckpt_hr_cl: other }));
    expect(kind).toBe("input");
    expect(faults).toMatchObject([{ where: `--ckpt_hr_cl ${other}`, got: "class2" }]);
  });

  it("says of a policy that is loaded that its curriculum was not over", async () => {
    const having = (decided: number) => ({ progress: { epoch: 1, step: 0, seconds: 0, decided } });
    const early = makeRun("early", ["agent", "resnet_hr"], having(3));
    const whole = makeRun("whole", ["agent", "resnet_hr"], having(4));
    const notes = async (load: string, ckpt_hr_cl: string) =>
      (await begun("finetune", finetune, { load, ckpt_hr_cl })).notes;
    expect(await notes(early, whole)).toEqual([
      `--load ${early}: the curriculum was not over: the policy had learned to decide 3 of 4 patches`,
    ]);
    expect(await notes(whole, early)).toEqual([]);
  });
});

it("a file of weights, which says nothing of its model, is taken for what it is asked to be", () => {
  const { parameters } = fresh("resnet_hr", 7);
  writeFileSync(at("hr.safetensors"), encodeSafetensors(parameters.stateDict()));
  parameters.free();
  expect(checkpointOf({ flag: "--ckpt_hr_cl", path: at("hr.safetensors") }, "resnet_hr", findModel(named)).path).toBe(
    at("hr.safetensors"),
  );
});

describe("what a stage stands on", () => {
  const prepared = async (stage: StageName, given: Given, images = data) => {
    const options = withModelDefaults(stage, parseOptions(stage, { ...quick, ...given }));
    const setting = await prepare(options, { reporter: listener().reporter, group: alone }, images);
    setting.normalizer.free();
    return setting;
  };

  it("is the machine, the programs and the data", async () => {
    const { versions, classes, device, cuda, precision, model } = await prepared("classifier_training", {});
    expect(versions).toEqual({
      ...{ patchdrop: manifest.version, node: process.version, libtorch: findLibtorch().version, threads: "1" },
    });
    expect({ classes, device, cuda, precision }).toEqual({
      classes: 3,
      device: "cpu",
      cuda: undefined,
      precision: "fp32",
    });
    expect(model).toMatchObject({ name: "R8_Scenes", lowSize: 16 });
  });

  it("is described for whoever opens its checkpoints, the fill among it where there is one", async () => {
    const { description } = await prepared("classifier_training", {});
    expect(description).toEqual({
      ...{ model: "R8_Scenes", variant: "2019", imageSize: 32, lowSize: 16, patchSize: 16, fill: "zero" },
      ...{
        bands: ["red", "green", "blue"],
        pixelType: "uint8",
        transform: "cifar",
        normalization: data.train.normalization,
      },
      ...{ classes: ["class0", "class1", "class2"], choice: { policy: "threshold", threshold: 0.5 } },
      ...{ rounds: 1, policyHead: "mean" },
    });
    const policy = await prepared("pretrain", { ckpt_hr_cl: "unread", fill: "lr" });
    expect(policy.description.fill).toBe("lr");
  });

  it("is refused where the data are of another size", async () => {
    const small = { train: noiseDataset(3), test: noiseDataset(3) };
    await expect(prepared("classifier_training", {}, small)).rejects.toThrow(
      "has images of 8 × 8, the model takes 32 × 32",
    );
  });
});

describe("the model of a stage", () => {
  const chosen = async <S extends StageName>(options: StageOptions<S>, images = data) => {
    const { reporter, notes } = listener();
    const { model, variant, lr_size, patch_size, img_size } = await withModel(options, reporter, images);
    return { model, variant, lr_size, patch_size, img_size, notes };
  };
  const none = { lr_size: undefined, patch_size: undefined, img_size: undefined };

  it("is what a flag says, of 2019 unless another does", async () => {
    const of = (given: Given) => chosen(parseOptions("classifier_training", given));
    expect(await of({ model: "R32_C100" })).toEqual({ ...none, model: "R32_C100", variant: "2019", notes: [] });
    expect(await of({ model: "R32_C100", variant: "2020" })).toMatchObject({ variant: "2020" });
  });

  it("is that of the checkpoint that comes first and says one", async () => {
    const hr = makeRun("hr", ["resnet_hr"]);
    const policy = makeRun("policy", ["agent"], { model: { model: "R32_C10", variant: "2020" } });
    const options = parseOptions("finetune", { load: policy, ckpt_hr_cl: hr });
    expect(await chosen(options)).toEqual({
      ...{ ...none, model: "R32_C10", variant: "2020", notes: [`--model R32_C10, as in ${policy}`] },
    });
    writeFileSync(at("agent.safetensors"), "");
    const foreign = parseOptions("finetune", { load: at("agent.safetensors"), ckpt_hr_cl: hr });
    expect(await chosen(foreign)).toEqual({
      ...{ ...none, ...named, notes: [`--model R8_Scenes, as in ${hr}`] },
    });
    const lr = parseOptions("finetune2stream", { load: at("agent.safetensors"), ckpt_lr_cl: hr });
    expect(await chosen(lr)).toMatchObject({ notes: [`--model R8_Scenes, as in ${hr}`] });
  });

  it("has the classifier that it starts from, whichever the policy learned beside", async () => {
    const patches = { ...named, arch: "patches" } as const;
    const [dense, sparse] = [
      makeRun("dense", ["agent", "resnet_hr"]),
      makeRun("sparse", ["agent", "resnet_hr"], { model: patches }),
    ];
    const archIn = async (given: Given) => {
      const { reporter, notes } = listener();
      const { arch } = await withModel(
        parseOptions("finetune2stream", { ckpt_lr_cl: dense, ...given }),
        reporter,
        data,
      );
      return [arch, ...notes];
    };
    const of = (path: string) => `--model R8_Scenes, as in ${path}`;
    expect(await archIn({ load: dense, ckpt_hr_cl: sparse })).toEqual([
      "patches",
      of(dense),
      `--arch patches, as in ${sparse}`,
    ]);
    expect(await archIn({ load: sparse, ckpt_hr_cl: dense })).toEqual([
      undefined,
      of(sparse),
      `no --arch, as in ${dense}`,
    ]);
    expect(await archIn({ load: sparse })).toEqual(["patches", of(sparse)]);
    expect(await archIn({ load: dense, model: "R8_Scenes", ckpt_hr_cl: sparse })).toEqual([
      "patches",
      `--arch patches, as in ${sparse}`,
    ]);
    expect(await archIn({ load: dense, arch: "patches" })).toEqual(["patches", of(dense)]);
  });

  it("goes by what is given before what the checkpoint has, and by the checkpoint where nothing is", async () => {
    const hr = makeRun("hr", ["resnet_hr"]);
    const options = { ...parseOptions("pretrain", { ckpt_hr_cl: hr, patch_size: 8 }), lr_size: undefined };
    expect(await chosen(options)).toMatchObject({ lr_size: 16, patch_size: 8 });
  });

  it("suits the data where nothing says one: those that are given, or those that the options name", async () => {
    const thumbnails = parseOptions("classifier_training", {});
    expect(await chosen(thumbnails)).toEqual({
      ...{ ...none, model: "R32_C10", variant: "2019" },
      notes: ["--model R32_C10, of 32 pixels, is taken for images of 32 × 32"],
    });
    const scenes = parseOptions("classifier_training", { dataset: "synthetic" });
    const { reporter, notes } = listener();
    const found = await withModel(scenes, reporter, undefined);
    expect(found).toMatchObject({ model: "R8_Scenes", variant: "2019", dataset: "synthetic" });
    expect(notes).toEqual(["--model R8_Scenes, made for these data"]);
  });

  it("suits them in its variant, and is told by their size", async () => {
    const small = { train: noiseDataset(3), test: noiseDataset(3) };
    expect(await chosen(parseOptions("classifier_training", { variant: "2020" }), small)).toMatchObject({
      ...{ model: "R32_C10", variant: "2020" },
      notes: ["--model R32_C10, of 32 pixels, is taken for images of 8 × 8"],
    });
  });
});

describe("a training", () => {
  const learn = <S extends StageName>(stage: S, given: Given, notes?: string[]) => {
    const { reporter } = listener();
    const hears = { ...reporter, note: (text: string) => void notes?.push(text) };
    const options = parseOptions(stage, { ...quick, cv_dir: at("run"), ...given });
    return train(stage, options, notes === undefined ? { data } : { data, reporter: hears });
  };

  it("records what it is, and gives its folder free", async () => {
    const { run, test } = await learn("classifier_training", { lr: 0.25 });
    expect(run).toBe(at("run"));
    expect(test!.accuracy * 3).toBeCloseTo(Math.round(test!.accuracy * 3), 9); // of three images
    const { stage, options, versions, dataset, description } = readRunConfig(run);
    expect({ stage, dataset }).toEqual({
      stage: "classifier_training",
      dataset: {
        ...{ name: "squares", classes: ["class0", "class1", "class2"] },
        ...{ fingerprint: data.train.fingerprint, test: data.test.fingerprint },
      },
    });
    expect(options).toMatchObject({ ...named, lr: 0.25, max_epochs: 1 });
    expect(versions.patchdrop).toBe(manifest.version);
    expect(description).toMatchObject({ model: "R8_Scenes", lowSize: 16 });
    expect(readdirSync(run)).not.toContain("run.lock");
  });

  it.each<[StageName, NetworkName[], () => Given]>([
    ["pretrain", ["agent", "resnet_hr"], () => ({ ckpt_hr_cl: makeRun("hr", ["resnet_hr"]) })],
    [
      "finetune",
      ["agent", "resnet_hr"],
      () => ({ load: makeRun("policy", ["agent"]), ckpt_hr_cl: makeRun("hr", ["resnet_hr"]) }),
    ],
    [
      "finetune2stream",
      ["agent", "resnet_hr", "resnet_lr"],
      () => ({ load: makeRun("policy", ["agent", "resnet_hr"]), ckpt_lr_cl: makeRun("lr", ["resnet_lr"]) }),
    ],
  ])("%s leaves a checkpoint of %o, and no tensor", async (stage, networks, given) => {
    const { run, test } = await learn(stage, given());
    expect([...readCheckpoint(join(run, "last")).networks.keys()]).toEqual(networks);
    expect(test).toHaveProperty("reward");
  });

  it("goes on where it is resumed, and passes on what its folder has to say", async () => {
    await learn("classifier_training", { max_epochs: 1 });
    rewriteConfig(at("run"), ({ versions }) => {
      versions.node = "v0";
    });
    const notes: string[] = [];
    await learn("classifier_training", { resume: true, max_epochs: 2 }, notes);
    expect(notes[0]).toBe(`node: "v0" → "${process.version}"; the resumed run may differ in its last bits`);
    expect(readCheckpoint(join(at("run"), "last")).progress.epoch).toBe(2);
    expect(readdirSync(at("run", "checkpoints"))).toHaveLength(2);
  });

  it("that cannot start leaves no folder, no lock and no tensor", async () => {
    const lr = makeRun("lr", ["resnet_lr"]);
    await expect(learn("pretrain", { ckpt_hr_cl: lr })).rejects.toThrow("must hold the network resnet_hr");
    expect(existsSync(at("run"))).toBe(false);
    await learn("classifier_training", {});
    await expect(learn("classifier_training", {})).rejects.toMatchObject({ kind: "locked" });
    const other = { resume: true, lr: 0.5 };
    await expect(learn("classifier_training", other)).rejects.toMatchObject({ kind: "locked" });
    expect(readdirSync(at("run"))).not.toContain("run.lock");
  });
});
