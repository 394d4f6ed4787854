/** Whoever trains, evaluates or predicts gets back every tensor that it took: where it ends, is stopped, and fails. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Loader } from "../../src/data/loader.ts";
import { evaluateRun } from "../../src/evaluation/evaluate-run.ts";
import { showImages } from "../../src/evaluation/show-images.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { parseOptions, type StageName } from "../../src/options/stage-options.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import type { StepRunner } from "../../src/training/step-runner.ts";
import { train } from "../../src/training/train.ts";
import { trainEpoch } from "../../src/training/train-epoch.ts";
import { type Reporter, Stopped, silentReporter, stopOn } from "../../src/utils/reporter.ts";
import { makeImageFolder } from "../e2e/images.ts";
import { noiseDataset } from "./cases.ts";
import { epochOf } from "./training.ts";

let folder: string;
let before: number;
const at = (...names: string[]) => join(folder, ...names);

beforeAll(async () => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
  folder = mkdtempSync(join(tmpdir(), "patchdrop-gives-back-"));
  await makeImageFolder(at("data"), { classes: 3, train: 6, test: 2 });
  await makeImageFolder(at("two"), { classes: 2, train: 6, test: 2 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(() => {
  before = liveHandles();
});
afterEach(() => {
  expect(liveHandles()).toBe(before);
});

const machine = { threads: 1, precision: "fp32" };

function learn<S extends StageName>(stage: S, name: string, given: Record<string, unknown>, reporter?: Reporter) {
  const quick = { model: "R8_Scenes", data_dir: at("data"), batch_size: 8, max_epochs: 1 };
  return train(stage, parseOptions(stage, { ...quick, cv_dir: at(name), ...machine, ...given }), { reporter });
}

const evaluate = (name: string, given: Record<string, unknown> = {}, reporter?: Reporter) =>
  evaluateRun(evalSchema.parse({ load: at(name), ...machine, ...given }), reporter);

const stopping: Reporter = { ...silentReporter, stopping: () => "SIGTERM" };

// In order: each starts from the run folders before it.
describe("that ends", () => {
  it.each<[StageName, string, () => Record<string, unknown>]>([
    ["classifier_training", "hr", () => ({})],
    ["classifier_training", "lr", () => ({ stream_id: "LR" })],
    ["pretrain", "pretrain", () => ({ ckpt_hr_cl: at("hr") })],
    ["finetune", "finetune", () => ({ load: at("pretrain"), ckpt_hr_cl: at("hr") })],
    ["finetune2stream", "both", () => ({ load: at("finetune"), ckpt_lr_cl: at("lr"), fill: "lr" })],
  ])("%s to %s", async (stage, name, given) => {
    await learn(stage, name, given());
  });

  it.each([
    ["hr", {}],
    ["lr", {}],
    ["pretrain", { sweep: true }],
    ["both", { sweep: true, target_patches: 8 }],
  ])("evaluation of %s with %o", async (name, given) => {
    await evaluate(name, given);
  });

  it("evaluation with two further classifiers", async () => {
    await evaluate("finetune", { ckpt_hr_cl: at("hr"), ckpt_lr_cl: at("lr") });
  });

  it("pictures of single images", async () => {
    const options = evalSchema.parse({ load: at("both"), ...machine });
    expect(await showImages(options, Uint32Array.of(0, 3))).toHaveLength(2);
  });

  it("prediction, once the run is freed", async () => {
    const run = await openPredictor(at("both"), { threads: 1, precision: "fp32" });
    expect(liveHandles()).toBeGreaterThan(before);
    const low = new Uint8Array(8 * 8 * 3);
    const images = new Uint8Array(32 * 32 * 3);
    await run.predict(images);
    const { mask } = await run.decide(low);
    await run.classify(images, mask, low);
    await run.free();
  });
});

describe("that is stopped", () => {
  it("training", async () => {
    // From its first epoch on. Before, while the data are opened, it has nothing to save, and throws.
    const signal = { aborted: false };
    const progress: Reporter["progress"] = (label, ...rest) => {
      if (label.startsWith("epoch")) signal.aborted = true;
      return silentReporter.progress(label, ...rest);
    };
    const reporter = stopOn(signal, { ...silentReporter, progress });
    const { stopped } = await learn("pretrain", "stopped", { ckpt_hr_cl: at("hr") }, reporter);
    expect(stopped).toBe("SIGTERM");
  });

  it("evaluation", async () => {
    await expect(evaluate("both", { sweep: true }, stopping)).rejects.toEqual(new Stopped("SIGTERM"));
  });
});

describe("that fails", () => {
  it("training in its first step", async () => {
    const given = { ckpt_hr_cl: at("hr"), lr: 1e38 };
    await expect(learn("pretrain", "diverged", given)).rejects.toMatchObject({ kind: "notFinite" });
  });

  it("an epoch, in the second of four steps whose numbers are read together", async () => {
    const losses = [1, Number.NaN, 3, 4];
    const numbers = (loss: number) => ({
      loss: fromArray(Float32Array.of(loss), []),
      correct: fromArray(Float32Array.of(1), [1]),
    });
    const runner: StepRunner = {
      window: losses.length,
      async *steps() {
        for (const loss of losses) yield { indices: Uint32Array.of(7), take: () => numbers(loss) };
      },
      release() {},
      free() {},
    };
    const loader = new Loader(noiseDataset(losses.length), { batchSize: 1 });
    const training = epochOf({ runner, loader, reporter: silentReporter, epochs: 1 });
    await expect(trainEpoch(training, 0, { step: 0 }, () => {})).rejects.toThrow(
      "epoch 1, step 2: loss: must be finite, got NaN on images 7, …",
    );
  });

  it("training whose second network is of other classes", async () => {
    const given = { data_dir: at("two"), load: at("pretrain"), ckpt_hr_cl: at("hr") };
    await expect(learn("finetune", "classes", given)).rejects.toMatchObject({ kind: "input" });
  });

  it("training whose second network is missing", async () => {
    const given = { load: at("finetune"), ckpt_lr_cl: at("hr") };
    await expect(learn("finetune2stream", "missing", given)).rejects.toMatchObject({ kind: "input" });
  });

  it("training from weights that are not there", async () => {
    const given = { pretrained: at("nothing.pth") };
    await expect(learn("classifier_training", "weights", given)).rejects.toMatchObject({ kind: "input" });
  });

  it("training into a folder that holds a run", async () => {
    await expect(learn("classifier_training", "hr", {})).rejects.toMatchObject({ kind: "locked" });
  });

  it("evaluation with a classifier of another model", async () => {
    const given = { ckpt_hr_cl: at("pretrain"), model: "R32_C10" };
    await expect(evaluate("finetune", given)).rejects.toMatchObject({ kind: "input" });
  });
});
