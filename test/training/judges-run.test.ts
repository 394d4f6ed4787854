/** Cross-fitting: classifiers that each leave out a fold, and a policy that learns from what they say of the images that they left out. */
import { rmSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpoint, savedNetwork } from "../../src/checkpoints/open-checkpoint.ts";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { weightsHash } from "../../src/checkpoints/stored-choice.ts";
import { type Dataset, imageBytes } from "../../src/data/dataset.ts";
import { withoutFold } from "../../src/data/folds.ts";
import { assertInOrder, isDone } from "../../src/experiment/stage-run.ts";
import { loadNetwork } from "../../src/models/networks.ts";
import { liveHandles } from "../../src/native/call.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import { parseOptions, withModelDefaults } from "../../src/options/stage-options.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { openJudges } from "../../src/training/open-judges.ts";
import { pretrain } from "../../src/training/pretrain.ts";
import { prepare } from "../../src/training/setting.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { row } from "../../src/utils/rows.ts";
import { linked, timelessMetrics } from "../e2e/runs.ts";
import { evaluate, exact, type Given, memoryData, refusal, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();
const byValues = { estimator: "values", reward: "priced", fill: "lr", lr: 1e-2 };
const judgesOf = (...names: string[]) => names.map((name) => runs.at(name)).join(",");

const classifier = (name: string, more: Given) =>
  runs.train("classifier_training", name, { max_epochs: 1, lr: 0.05, random_masks: 0.5, ...more }, { data });
const pretrained = (name: string, more: Given = {}, reporter = stopAfter(Number.POSITIVE_INFINITY)) => {
  const given = { ckpt_hr_cl: runs.at("hr"), judges: judgesOf("one", "two"), ...byValues, ...more };
  return runs.train("pretrain", name, given, { data, reporter });
};

beforeAll(async () => {
  await classifier("hr", {});
  await classifier("one", { fold: "1/2" });
  await classifier("two", { fold: "2/2" });
  await classifier("other two", { fold: "2/2", seed: 2 });
  await pretrained("policy");
});

/** All that a run ends with: its files by their hashes. */
function outcome(name: string) {
  return { files: readState(runs.at(name, "last")).files, metrics: timelessMetrics(runs.at(name)) };
}

/** What a start is refused with; it must leave as many tensors as there were. */
async function refused(more: Given): Promise<string> {
  const before = liveHandles();
  const { kind, message } = await refusal(() => pretrained("refused", more));
  expect(liveHandles()).toBe(before);
  return `${kind}: ${message}`.replaceAll(`${runs.folder}/`, "");
}

describe("a run of a fold", () => {
  it("learns from the images of the others, whatever its seed", () => {
    const of = (name: string) => readRunConfig(runs.at(name));
    expect(["hr", "one", "two", "other two"].map((name) => of(name).options.fold)).toEqual([
      ...[undefined, "1/2", "2/2", "2/2"],
    ]);
    const [hr, one, two, other] = ["hr", "one", "two", "other two"].map((name) => of(name).dataset);
    expect(other).toEqual(two);
    expect(new Set([hr, one, two].map(({ fingerprint }) => fingerprint)).size).toBe(3);
    expect(one.test).toBe(hr.test);
  });

  it("goes on with its fold, and is refused another", async () => {
    runs.copy("one", "longer");
    await runs.resume("classifier_training", "longer", { max_epochs: 2 }, { data });
    expect(readRunConfig(runs.at("longer")).options.fold).toBe("1/2");
    const { message } = await refusal(() =>
      runs.resume("classifier_training", "longer", { fold: "2/2", max_epochs: 3 }, { data }),
    );
    expect(message).toContain('\n  fold: "1/2" → "2/2"\n');
  });

  it("is evaluated on the images that it learned from, or on those that were held out before", async () => {
    const data_dir = await runs.makeFolder();
    const given = { data_dir, val_fraction: 0.25, fold: "1/2", max_epochs: 1 };
    await runs.train("classifier_training", "held", given);
    // Of 24 images 6 are held out, and half of the others left out.
    expect((await evaluate(runs.at("held"), { split: "train" })).images).toBe(9);
    expect((await evaluate(runs.at("held"), { split: "val" })).images).toBe(6);
  });
});

describe("a policy whose images are judged by those who do not know them", () => {
  it("learns what it would not from one judge, whatever the judges' order", async () => {
    await pretrained("turned", { judges: judgesOf("two", "one") });
    expect(outcome("turned")).toEqual(outcome("policy"));
    await pretrained("by one", { judges: undefined });
    await pretrained("by another", { judges: judgesOf("one", "other two") });
    for (const other of ["by one", "by another"]) {
      expect(outcome(other).files["agent.safetensors"]).not.toEqual(outcome("policy").files["agent.safetensors"]);
    }
  });

  it("has the classifier of --ckpt_hr_cl beside it, and names it and its judges by their weights", () => {
    expect(outcome("policy").files["resnet_hr.safetensors"]).toEqual(outcome("hr").files["resnet_hr.safetensors"]);
    expect(readRunConfig(runs.at("policy")).judges).toEqual({
      "1/2": weightsHash(runs.at("one", "best")),
      "2/2": weightsHash(runs.at("two", "best")),
    });
    expect(readRunConfig(runs.at("policy")).starts).toEqual({ ckpt_hr_cl: weightsHash(runs.at("hr", "best")) });
  });

  it("ends with the same bits where it was cut and goes on", async () => {
    expect((await pretrained("cut", {}, stopAfter(2))).stopped).toBe("SIGTERM");
    expect(linked(runs.at("cut"), "last")).toBe("ckpt_E_0_S_2");
    // Wherever its judges are now, and what it started from.
    runs.copy("one", "moved");
    runs.copy("hr", "moved hr");
    const moved = { judges: judgesOf("moved", "two"), ckpt_hr_cl: runs.at("moved hr") };
    await runs.resume("pretrain", "cut", moved, { data });
    expect(readRunConfig(runs.at("cut"))).toMatchObject({
      options: { ckpt_hr_cl: runs.at("moved hr") },
      starts: { ckpt_hr_cl: weightsHash(runs.at("hr", "best")) },
    });
    expect(outcome("cut")).toEqual(outcome("policy"));
  });

  it("does not go on with others, or with none", async () => {
    const resumed = (judges: string) =>
      refusal(() => runs.resume("pretrain", "policy", { judges, max_epochs: 3 }, { data }));
    const hash = (name: string) => weightsHash(runs.at(name, "best"));
    const { kind, message } = await resumed(judgesOf("one", "other two"));
    expect([kind, ...message.split("\n")]).toEqual([
      "locked",
      `${runs.at("policy")}: must be resumed with its own options and data; give the old values, or start another run in another folder (--cv_dir; of patchdrop run: --out)`,
      `  judges: weights of fold 2/2: "${hash("two")}" → "${hash("other two")}"`,
    ]);
    expect((await resumed(judgesOf("one", "gone"))).message).toContain(`${runs.at("gone")}: does not exist`);
    const another = await refusal(() => runs.resume("pretrain", "policy", { ckpt_hr_cl: runs.at("one") }, { data }));
    expect(another.message).toContain(`\n  ckpt_hr_cl: "${runs.at("hr")}" → "${runs.at("one")}"`);
    await pretrained("without", { judges: undefined, max_epochs: 1 });
    const added = await refusal(() =>
      runs.resume("pretrain", "without", { judges: judgesOf("one", "two"), max_epochs: 2 }, { data }),
    );
    expect(added.message).toContain(`\n  judges: weights of fold 1/2: (none) → "${hash("one")}"\n`);
  });

  it("has three judges where there are three folds", async () => {
    for (const fold of ["1/3", "2/3", "3/3"]) await classifier(`of ${fold[0]}`, { fold });
    await pretrained("by three", { judges: judgesOf("of 3", "of 1", "of 2"), max_epochs: 1 });
    expect(Object.keys(readRunConfig(runs.at("by three")).judges!).sort()).toEqual(["1/3", "2/3", "3/3"]);
  });
});

describe("the judge of an image", () => {
  /** Bytes of all images. */
  const bytesOf = async (dataset: Dataset) => {
    const bytes = new Uint8Array(dataset.length * imageBytes(dataset));
    await dataset.read(Uint32Array.from(dataset.labels.keys()), bytes);
    return bytes;
  };
  const named = (bytes: Uint8Array, image: number) =>
    Buffer.from(row(bytes, image, imageBytes(data.train))).toString("latin1");

  it("is the classifier that did not learn from it", async () => {
    const given = { ckpt_hr_cl: runs.at("hr"), judges: judgesOf("two", "one"), ...exact, ...byValues };
    const options = parseOptions("pretrain", { model: "R8_Scenes", variant: "2019", ...given });
    const stage = withModelDefaults("pretrain", options);
    const setting = { ...(await prepare(stage, silentReporter, data)), checkpoint: undefined };
    const bytes = await bytesOf(data.train);
    const images = () => setting.normalizer.images(bytes, data.train.imageSize);
    const learning = pretrain(stage, setting);
    const judges = openJudges(stage.judges!, 0, setting);
    const found = scope(() => {
      const folds = fromArray(BigInt64Array.from(learning.foldOf!, BigInt), [data.train.length]);
      return judges.forward(images(), folds).toFloat32();
    });
    for (const [name, fold] of [["one", "1/2"] as const, ["two", "2/2"] as const]) {
      const saved = savedNetwork(openCheckpoint(runs.at(name)), "resnet_hr");
      const { network, parameters } = loadNetwork(setting, "resnet_hr", saved);
      const alone = new FrozenNetwork(network, parameters, "fp32");
      const wanted = scope(() => alone.forward(images()).toFloat32());
      const { train } = withoutFold(data, fold);
      const learned = await bytesOf(train);
      const known = new Set(Array.from(train.labels.keys(), (image) => named(learned, image)));
      const unknown = Array.from(data.train.labels.keys()).filter((image) => !known.has(named(bytes, image)));
      expect(unknown).toHaveLength(12);
      const logits = (all: Float32Array) => unknown.flatMap((image) => [...row(all, image, 3)]);
      expect(logits(found)).toEqual(logits(wanted).map((logit) => expect.closeTo(logit, 4)));
      for (const used of [alone, parameters]) used.free();
    }
    learning.free?.();
    for (const used of [judges, setting.normalizer, learning.optimizer]) used.free();
    for (const { parameters } of learning.networks.values()) parameters.free();
  });
});

describe("judges are refused", () => {
  it.each<[string, Given, string]>([
    [
      "with another estimator",
      { estimator: "self_critical" },
      "usage: --judges: needs --estimator values, got --estimator self_critical; give --estimator values --reward priced, or leave --judges out",
    ],
    [
      "where one left out nothing",
      { judges: judgesOf("one", "hr") },
      "input: --judges hr: must be of one of 2 folds, as many as there are judges, got no --fold; give one classifier of each fold: classifier_training --fold 1/2 … 2/2",
    ],
    [
      "where there are more than folds",
      { judges: judgesOf("one", "two", "other two") },
      ["one", "two", "other two"]
        .map(
          (name) =>
            `--judges ${name}: must be of one of 3 folds, as many as there are judges, got ${name === "one" ? 1 : 2}/2; give one classifier of each fold: classifier_training --fold 1/3 … 3/3`,
        )
        .join("\n")
        .replace(/^/, "input: "),
    ],
    [
      "where two are of the same fold",
      { judges: judgesOf("two", "other two") },
      "input: --judges other two: must be of another fold than two, got 2/2; give one classifier of each fold",
    ],
    [
      "where they knew other images",
      { val_fraction: 0.25 },
      ["one", "two"]
        .map(
          (name, i) =>
            `--judges ${name}: must have learned from all training images of this run but its fold's, got squares with --val_fraction 0; train it on the same data with --fold ${i + 1}/2 --val_fraction 0.25`,
        )
        .join("\n")
        .replace(/^/, "input: "),
    ],
    ["where one is not there", { judges: judgesOf("one", "none") }, "input: none: does not exist; give the --cv_dir"],
  ])("%s, and nothing is left behind", async (_, more, message) => {
    expect(await refused(more)).toContain(message);
  });

  it("of another model", async () => {
    await classifier("large", { fold: "2/2", model: "R32_C10" });
    expect(await refused({ judges: judgesOf("one", "large") })).toBe(
      "input: --judges large: must be for the model R8_Scenes 2019 at 32 pixels, got R32_C10 2019 at 32 pixels; give the same --model, --variant and sizes",
    );
  });
});

describe("in an experiment", () => {
  const options = (stage: "classifier_training" | "pretrain", name: string, more: Given) =>
    parseOptions(stage, { ...readRunConfig(runs.at(name)).options, cv_dir: runs.at(name), ...more });
  const policy = (judges: string) =>
    ({ name: "policy", stage: "pretrain", options: options("pretrain", "policy", { judges }) }) as const;
  const two = () =>
    ({ name: "two", stage: "classifier_training", options: options("classifier_training", "two", {}) }) as const;

  it("a stage is done with its own judges, and refused with others", () => {
    expect(isDone(policy(judgesOf("two", "one")))).toBe(true);
    expect(() => isDone(policy(judgesOf("one", "other two")))).toThrow("judges: weights of fold 2/2");
  });

  it("a stage must have begun after its judges were trained", async () => {
    const stages = [two(), policy(judgesOf("one", "two"))];
    expect(() => assertInOrder(stages)).not.toThrow();
    rmSync(runs.at("two"), { recursive: true });
    await classifier("two", { fold: "2/2" });
    expect(() => assertInOrder([two(), policy(judgesOf("one", "two"))])).toThrow(
      `${runs.at("policy")}: must have begun after two, which it starts from, was trained to epoch 1; remove this folder`,
    );
  });
});
