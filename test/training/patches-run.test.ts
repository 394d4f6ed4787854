/** A run whose classifier works on the patches that are there, from its training to whatever starts from it. */

import { copyFileSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { confidenceFile, readConfidence } from "../../src/checkpoints/stored-confidence.ts";
import { openDataSplits } from "../../src/data/open.ts";
import { evaluateRun } from "../../src/evaluation/evaluate-run.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { openRun } from "../../src/inference/open-run.ts";
import { leaves } from "../../src/method/leave-early.ts";
import { findModel } from "../../src/models/registry.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { predictSchema } from "../../src/options/predict-options.ts";
import { Random } from "../../src/utils/random.ts";
import { evaluate, exact, type Given, listener, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;
const classifier = (name: string, more: Given = {}, context = {}) =>
  runs.train("classifier_training", name, { data_dir, arch: "patches", lr: 0.05, ...more }, context);

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  await classifier("hr");
  await classifier("lr", { stream_id: "LR", max_epochs: 1 });
  await runs.train("pretrain", "policy", { data_dir, ckpt_hr_cl: runs.at("hr"), model: undefined, max_epochs: 1 });
});

const weightsOf = (name: string) => openCheckpoint(runs.at(name)).networks.get("resnet_hr")!;
const open = (load: string, more: Given = {}) =>
  openRun(predictSchema.parse({ load, threads: 1, precision: "fp32", ...more }));

/** Three images under masks of none, five and all patches; what a dropped patch holds is `noise`. */
function threeImages(noise: number) {
  const random = new Random(1, "pixels");
  const [images, masks] = [new Uint8Array(3 * 32 * 32 * 3), new Uint8Array(3 * 16)];
  for (let k = 0; k < 16; k++) {
    masks[16 + k] = Number([1, 4, 6, 11, 15].includes(k));
    masks[32 + k] = 1;
  }
  for (let at = 0; at < images.length; at++) {
    const [image, y, x] = [Math.floor(at / 3072), Math.floor((at % 3072) / 96), Math.floor((at % 96) / 3)];
    const drawn = random.integer(256);
    const isThere = masks[16 * image + 4 * Math.floor(y / 8) + Math.floor(x / 8)] === 1;
    images[at] = isThere ? drawn : noise;
  }
  return { images, masks, low: new Uint8Array(3 * 8 * 8 * 3).map(() => random.integer(256)) };
}

/** Those of the test images. */
async function pixels(): Promise<{ images: Uint8Array }> {
  const { test } = await openDataSplits({ dataDir: data_dir, imageSize: 32, transform: "cifar" });
  const images = new Uint8Array(test.length * 32 * 32 * 3);
  await test.read(
    Uint32Array.from({ length: test.length }, (_, i) => i),
    images,
  );
  return { images };
}

describe("a run with --arch patches", () => {
  it("has the recipe of that network, but for what is given, and its low-resolution classifier that of the model", () => {
    expect(readRunConfig(runs.at("hr")).options).toMatchObject({
      ...{ arch: "patches", optimizer: "muon", random_masks: 1, schedule: "linear", lr: 0.05, max_epochs: 2 },
    });
    expect(readRunConfig(runs.at("hr")).description).toMatchObject({ arch: "patches", fill: "lr" });
    expect(readRunConfig(runs.at("lr")).options).toMatchObject({ arch: "patches", optimizer: "sgd", random_masks: 0 });
    const ownNames = [...openCheckpoint(runs.at("lr")).networks.get("resnet_lr")!.keys()];
    expect(ownNames.some((name) => name.startsWith("trunk"))).toBe(false);
  });

  it("that is stopped inside an epoch and goes on ends with the same bits", async () => {
    expect((await classifier("cut", {}, { reporter: stopAfter(4) })).stopped).toBe("SIGTERM");
    await runs.resume("classifier_training", "cut");
    expect(weightsOf("cut")).toEqual(weightsOf("hr"));
  });

  it("never reads what a dropped patch holds, and says the same of an image whatever stands beside it in the batch", async () => {
    const run = await open(runs.at("hr"));
    const [one, other] = [threeImages(0), threeImages(255)];
    const classes = await run.classify(one.images, one.masks, one.low);
    expect(await run.classify(other.images, one.masks, one.low)).toEqual(classes);
    for (let n = 0; n < 3; n++) {
      const of = <T extends Uint8Array>(all: T) => all.slice((n * all.length) / 3, ((n + 1) * all.length) / 3);
      const alone = await run.classify(of(one.images), of(one.masks), of(one.low));
      for (const [k, p] of alone.entries()) expect(p).toBeCloseTo(classes[n * run.classes.length + k], 5);
    }
    await run.free();
  });

  it("reads every patch that is there", async () => {
    const run = await open(runs.at("hr"));
    const { images, masks, low } = threeImages(0);
    const classes = await run.classify(images, masks, low);
    for (const k of [1, 4, 6, 11, 15]) {
      const fewer = masks.slice();
      fewer[16 + k] = 0;
      const without = await run.classify(images, fewer, low);
      expect(without.slice(0, 3)).toEqual(classes.slice(0, 3));
      expect(without.slice(3, 6)).not.toEqual(classes.slice(3, 6));
    }
    await run.free();
  });

  it("is what a policy learns from, finetunes and is evaluated with, without being told again", async () => {
    const { reporter, notes } = listener();
    const given = { data_dir, load: runs.at("policy"), ckpt_hr_cl: runs.at("hr"), model: undefined, max_epochs: 1 };
    await runs.train("finetune", "tuned", given, { reporter });
    expect(notes).toContain(`--model R8_Scenes, as in ${runs.at("policy")}`);
    const values = { estimator: "values", reward: "priced", rounds: 2, ckpt_hr_cl: runs.at("hr"), max_epochs: 1 };
    await runs.train("pretrain", "rounds", { data_dir, ...values, model: undefined });
    const two = { ...given, load: runs.at("tuned"), ckpt_hr_cl: undefined, ckpt_lr_cl: runs.at("lr") };
    await runs.train("finetune2stream", "two", two);
    for (const name of ["two", "rounds"]) {
      expect(readRunConfig(runs.at(name)).description).toMatchObject({ arch: "patches", fill: "lr" });
      expect((await evaluate(runs.at(name))).rows.at(-1)!.accuracy).toBeGreaterThanOrEqual(0);
    }
  });

  it("finetunes a policy that was pretrained beside a dense classifier", async () => {
    await runs.train("classifier_training", "dense", { data_dir, max_epochs: 1 });
    await runs.train("pretrain", "beside", { data_dir, ckpt_hr_cl: runs.at("dense"), max_epochs: 1 });
    const { reporter, notes } = listener();
    const given = { data_dir, load: runs.at("beside"), ckpt_hr_cl: runs.at("hr"), max_epochs: 1 };
    await runs.train("finetune", "crossed", { ...given, model: undefined }, { reporter });
    expect(notes).toContain(`--arch patches, as in ${runs.at("hr")}`);
    expect(readRunConfig(runs.at("crossed")).description).toMatchObject({ arch: "patches", fill: "lr" });
    await runs.train("finetune", "told", { ...given, arch: "patches" });
    expect(weightsOf("told")).toEqual(weightsOf("crossed"));
  });

  it("is judged by a dense classifier in place of its own", async () => {
    const { reporter, notes } = listener();
    const judged = { load: runs.at("tuned"), ckpt_hr_cl: runs.at("dense") };
    const { rows } = await evaluateRun(evalSchema.parse({ ...exact, ...judged, policy: "topk", budget: 16 }), reporter);
    expect(notes).toContain(`no --arch, as in ${runs.at("dense")}`);
    expect(notes).toContain(`--fill zero, as in ${runs.at("dense")}`);
    expect(rows[0].accuracy).toBe((await evaluate(runs.at("dense"))).rows[0].accuracy);
  });

  it("judges a policy that learned beside a dense classifier, by its own arch and fill", async () => {
    const { reporter, notes } = listener();
    const judged = { load: runs.at("beside"), ckpt_hr_cl: runs.at("hr") };
    const { rows } = await evaluateRun(evalSchema.parse({ ...exact, ...judged, policy: "topk", budget: 16 }), reporter);
    expect(notes).toContain(`--arch patches, as in ${runs.at("hr")}`);
    expect(notes).toContain(`--fill lr, as in ${runs.at("hr")}`);
    // With all patches any policy is right where the classifier by itself is.
    expect(rows[0].accuracy).toBe((await evaluate(runs.at("hr"))).rows[0].accuracy);
    const coarse = { ckpt_hr_cl: runs.at("hr"), lr_size: 16 };
    await expect(evaluate(runs.at("beside"), coarse)).rejects.toThrow(
      "must be for the model R8_Scenes 2019 with --arch patches at 32 pixels, low resolution 16, 4x4 patches, " +
        "got R8_Scenes 2019 with --arch patches at 32 pixels, low resolution 8, 4x4 patches",
    );
    const wrong = { ckpt_hr_cl: runs.at("dense"), arch: "patches" };
    await expect(evaluate(runs.at("tuned"), wrong)).rejects.toThrow(
      "must be for the model R8_Scenes 2019 with --arch patches at 32 pixels",
    );
  });

  it.each(["hr", "two", "rounds"])(
    "as ONNX models of %s agrees with libtorch, with no patch and with some",
    async (name) => {
      const out = runs.at(`onnx-${name}`);
      await exportRun(exportSchema.parse({ load: runs.at(name), out, data_dir }));
      const [ours, theirs] = [await open(runs.at(name)), await open(out, { engine: "onnx" })];
      const { images, masks, low } = threeImages(7);
      const [a, b] = [await ours.classify(images, masks, low), await theirs.classify(images, masks, low)];
      for (const [k, p] of a.entries()) expect(b[k]).toBeCloseTo(p, 5);
      const none = new Uint8Array(16);
      const [first, firstLow] = [images.slice(0, 3072), low.slice(0, 192)];
      const [c, d] = [await ours.classify(first, none, firstLow), await theirs.classify(first, none, firstLow)];
      for (const [k, p] of c.entries()) expect(d[k]).toBeCloseTo(p, 5);
      await ours.free();
      await theirs.free();
    },
  );

  describe("with --exit", () => {
    it("needs a confidence that eval calibrates, which then says how many images left", async () => {
      await expect(open(runs.at("policy"), { exit: 0.4 })).rejects.toThrow("calibrate: patchdrop eval with --exit 0.4");
      await expect(open(runs.at("hr"), { exit: 0.4 })).rejects.toThrow("--exit: needs a run with a policy");
      const whole = await evaluate(runs.at("policy"));
      const { exits, rows } = await evaluate(runs.at("policy"), { exit: 0.4 });
      expect(whole.exits).toBeUndefined();
      expect(exits!.calibrated).toMatchObject({ split: "train", images: 24 });
      expect(Math.abs(exits!.calibrated.confidence - exits!.calibrated.accuracy)).toBeLessThan(0.1);
      expect(exits!.imagesByPatches.reduce((sum, count) => sum + count, 0)).toBe(exits!.imagesByPatches[0]);
      expect(readConfidence(openCheckpoint(runs.at("policy")).path)!.temperature).toBe(exits!.temperature);
      // An image that leaves takes no patch, and the others take what they took.
      const run = await open(runs.at("policy"), { exit: 0.4 });
      const all = await open(runs.at("policy"));
      const { images } = await pixels();
      const [some, every] = [await run.predict(images), await all.predict(images)];
      const none = await all.classify(images, new Uint8Array(some.mask.length), all.views(images).low);
      let left = 0;
      for (let i = 0; i < 12; i++) {
        const own = none.slice(3 * i, 3 * i + 3).map((p) => Math.log(p));
        const isSure = leaves(own, 3, { confidence: 0.4, temperature: exits!.temperature })[0] === 1;
        left += Number(isSure);
        const mask = some.mask.slice(16 * i, 16 * i + 16);
        expect(mask).toEqual(isSure ? new Uint8Array(16) : every.mask.slice(16 * i, 16 * i + 16));
      }
      expect(left).toBe(exits!.imagesByPatches[0]);
      expect(rows[0].patches).toBeLessThanOrEqual(whole.rows[0].patches);
      await run.free();
      await all.free();
    });

    it("goes into an export, and holds for no other weights", async () => {
      const out = runs.at("onnx-exit");
      await exportRun(exportSchema.parse({ load: runs.at("policy"), out, data_dir }));
      const [ours, theirs] = [
        await open(runs.at("policy"), { exit: 0.4 }),
        await open(out, { engine: "onnx", exit: 0.4 }),
      ];
      expect(theirs.exit).toEqual(ours.exit);
      const { images } = await pixels();
      expect((await theirs.predict(images)).mask).toEqual((await ours.predict(images)).mask);
      await ours.free();
      await theirs.free();
      const other = openCheckpoint(runs.at("tuned")).path;
      copyFileSync(confidenceFile(openCheckpoint(runs.at("policy")).path), confidenceFile(other));
      await expect(open(runs.at("tuned"), { exit: 0.4 })).rejects.toThrow("must have been calibrated for the weights");
    });

    it("ends rounds, and a target is met with those that left", async () => {
      const { exits, choice, rows } = await evaluate(runs.at("rounds"), { exit: 0.34, target_patches: 3 });
      const counted = exits!.imagesByPatches.reduce((sum, count) => sum + count, 0);
      expect(counted).toBeLessThanOrEqual(12);
      expect(choice!.calibrated!.patches).toBeLessThanOrEqual(16);
      expect(rows[0].patches).toBeGreaterThanOrEqual(0);
      const once = await evaluate(runs.at("policy"), { exit: 0.4, target_patches: 16 });
      const [none] = once.exits!.imagesByPatches;
      expect(once.rows[0].patches).toBeCloseTo((16 * (12 - none)) / 12, 5);
      expect(none).toBeGreaterThan(0);
      // That threshold is for the images that stay.
      const calibrated = { policy: "calibrated" };
      await expect(open(runs.at("policy"), calibrated)).rejects.toThrow(
        "--exit: must be 0.4 with --policy calibrated, which was calibrated with it, got nothing",
      );
      const again = await open(runs.at("policy"), { ...calibrated, exit: 0.4 });
      expect(again.choice).toEqual(once.choice!.rule);
      await again.free();
    });

    it("needs what it was calibrated with, and a look at something", async () => {
      const file = confidenceFile(openCheckpoint(runs.at("policy")).path);
      await evaluate(runs.at("policy"), { exit: 0.4 });
      await expect(open(runs.at("policy"), { exit: 0.4, fill: "zero" })).rejects.toThrow(
        "--exit: needs a classifier that sees the low resolution where no patch is there, got --fill zero",
      );
      writeFileSync(file, readFileSync(file, "utf8").replace(/"temperature": [^,]+/, '"temperature": 9'));
      await expect(open(runs.at("policy"), { exit: 0.4 })).rejects.toThrow("does not match its own checksum");
      rmSync(file);
      await evaluate(runs.at("two"), { exit: 0.4, fill: "zero" });
      await expect(open(runs.at("two"), { exit: 0.4 })).rejects.toThrow(
        "--exit: was calibrated with --fill zero, got --fill lr",
      );
    });
  });

  it("takes sizes that halving brings together, and no shifted views", async () => {
    const of = (more: object) => findModel({ model: "R34_fMoW", arch: "patches", ...more });
    expect(of({}).seesMask).toBe(true);
    expect(() => of({ lr_size: 7 })).toThrow(
      "--lr_size: must be the image's side, halved at most 3 times, with --arch patches: here 112, 56, 28, 14, got 7",
    );
    expect(() => of({ img_size: 33, lr_size: 11, patch_size: 11 })).toThrow(
      "here 33, got 11; choose another, give an --img_size that halves more often, or leave --arch out",
    );
    expect(() => of({ patch_size: 14 })).toThrow(
      "--arch patches: needs patches of a multiple of 4 pixels, which one of the low resolution stands for, got 14x14 of an image of 112",
    );
    await expect(evaluate(runs.at("hr"), { tta: true })).rejects.toThrow("--tta: must be left out with --arch patches");
  });
});
