/** What a checkpoint says of its run is what its user goes by; of one that is older than that, what it did. */
import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { normalizationFor } from "../../src/data/normalizations.ts";
import { syntheticNormalization } from "../../src/data/synthetic.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { readOnnxMetadata } from "../../src/formats/onnx-metadata.ts";
import { describeRun } from "../../src/inference/describe-run.ts";
import { openPredictor, openSaved, placeOf, sourcesOf } from "../../src/inference/open-run.ts";
import type { OpenedRun, Predicted } from "../../src/inference/opened-run.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import type { PixelArray } from "../../src/utils/pixel-array.ts";
import { rewriteState } from "../checkpoints/rewrite-state.ts";
import { linked, loggedTest } from "../e2e/runs.ts";
import { evaluate, exact, type Given, memoryData, SmallRuns } from "../training/small-runs.ts";

const runs = new SmallRuns();

/** The predictions of a run that was opened for them. */
async function predicted(opened: OpenedRun | Promise<OpenedRun>, images: PixelArray): Promise<Predicted> {
  const run = await opened;
  try {
    return await run.predict(images);
  } finally {
    await run.free();
  }
}

describe("a run on images with statistics of their own", () => {
  const normalization = { mean: [0.1, 0.7, 0.4], std: [0.9, 0.3, 0.05] };
  const data = memoryData(undefined, normalization);
  const { images } = data.test.inMemory!;

  beforeAll(async () => {
    await runs.train("classifier_training", "hr", {}, { data });
    const given = { ckpt_hr_cl: runs.at("hr"), curriculum: false, lr: 1e-2, max_epochs: 1 };
    await runs.train("pretrain", "policy", given, { data });
  });

  /** The run with these statistics, whatever it says itself. */
  const openedWith = (name: string, own: typeof normalization | ReturnType<typeof normalizationFor>) => {
    const checkpoint = openCheckpoint(runs.at(name));
    const description = { ...describeRun(checkpoint), normalization: own };
    return openSaved({ sources: sourcesOf(checkpoint), description }, placeOf({ ...exact, device: "cpu" }));
  };

  it.each(["hr", "policy"])("predicts with these: %s", async (name) => {
    const said = await predicted(openPredictor(runs.at(name), exact), images);
    expect(said).toEqual(await predicted(openedWith(name, normalization), images));
    expect(said).not.toEqual(await predicted(openedWith(name, normalizationFor("cifar")), images));
  });

  it.each(["hr", "policy"])("answers as its training's test counted: %s", async (name) => {
    const { classes, mask } = await predicted(openPredictor(runs.at(name), exact), images);
    const labels = [...data.test.labels];
    const answers = labels.map((_, i) => {
      const own = classes.subarray(3 * i, 3 * i + 3);
      return own.indexOf(Math.max(...own));
    });
    const logged = loggedTest(runs.at(name), linked(runs.at(name), "best"));
    expect(answers.filter((answer, i) => answer === labels[i]).length / labels.length).toBe(logged.accuracy);
    const taken = mask.reduce((sum, one) => sum + one, 0) / labels.length;
    expect(taken).toBe(name === "hr" ? 16 : logged.sparsity);
  });

  it("learned with these", async () => {
    await runs.train("classifier_training", "usual", {}, { data: memoryData() });
    const [own, usual] = ["hr", "usual"].map((name) => readMetrics(runs.at(name))[0]);
    expect([own.split, usual.split]).toEqual(["train", "train"]);
    expect(own.loss).not.toBe(usual.loss);
  });

  it("is exported with these", async () => {
    await exportRun(exportSchema.parse({ load: runs.at("policy"), out: runs.at("onnx"), images: 1, threads: 1 }));
    for (const file of ["policy.onnx", "classifier.onnx"]) {
      const metadata = new Map(readOnnxMetadata(readFileSync(runs.at("onnx", file)), file));
      expect(metadata.get("mean")).toBe("[0.1,0.7,0.4]");
      expect(metadata.get("std")).toBe("[0.9,0.3,0.05]");
      expect(metadata.get("classes")).toBe('["class0","class1","class2"]');
    }
    const onnx = await predicted(openPredictor(runs.at("onnx"), { engine: "onnx", threads: 1 }), images);
    const own = await predicted(openPredictor(runs.at("policy"), exact), images);
    expect(onnx.mask).toEqual(own.mask);
    for (const [i, value] of own.classes.entries()) expect(onnx.classes[i]).toBeCloseTo(value, 4);
  });
});

describe("a checkpoint of before 0.2.0, which says none of it", () => {
  let data_dir: string;
  beforeAll(async () => {
    data_dir = await runs.makeFolder();
    await runs.train("classifier_training", "folder-hr", { data_dir });
    const given = { data_dir, ckpt_hr_cl: runs.at("folder-hr"), curriculum: false, lr: 1e-2, fill: "lr" };
    await runs.train("pretrain", "new", { ...given, max_epochs: 1 });
    runs.copy("new", "old");
    for (const link of ["best", "last"]) {
      rewriteState(runs.at("old", link), ({ config, progress }) => {
        delete config.description;
        delete config.options.estimator;
        delete progress.decided;
      });
      if (linked(runs.at("old"), "best") === linked(runs.at("old"), "last")) break;
    }
    expect(openCheckpoint(runs.at("old")).config.description).toBeUndefined();
  });

  it("is evaluated as it was", async () => {
    const of = (name: string) => evaluate(runs.at(name));
    const { checkpoint, ...found } = await of("new");
    expect({ ...(await of("old")), checkpoint }).toEqual({ checkpoint, ...found });
  });

  it("predicts as it did", async () => {
    const images = memoryData().test.inMemory!.images;
    const say = (name: string) => predicted(openPredictor(runs.at(name), exact), images);
    expect(await say("old")).toEqual(await say("new"));
  });

  it.each<[string, Given, ReturnType<typeof normalizationFor>]>([
    ["of the scenes", { model: "R8_Scenes", dataset: "synthetic" }, syntheticNormalization],
    ["of the scenes, which needed no flag", { model: "R8_Scenes" }, syntheticNormalization],
    ["of class folders of small pictures", { model: "R8_Scenes", data_dir: "data" }, normalizationFor("cifar")],
    ["of CIFAR", { model: "R32_C10", data_dir: "cifar" }, normalizationFor("cifar")],
    ["of fMoW", { model: "R34_fMoW", data_dir: "fmow" }, normalizationFor("fmow")],
    ["of ImageNet", { model: "R50_ImgNet", data_dir: "imagenet" }, normalizationFor("imagenet")],
  ])("has the statistics that its data set had then: one %s", (_, options, normalization) => {
    const { config, ...checkpoint } = openCheckpoint(runs.at("old"));
    const older = { ...checkpoint, config: { ...config, options: options as typeof config.options } };
    expect(describeRun(older).normalization).toEqual(normalization);
    expect(describeRun(older).classes).toEqual(["class0", "class1", "class2"]);
  });
});
