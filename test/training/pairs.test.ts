/** Runs that learn from pairs: what looks, looks at the low picture, and what classifies sees the image. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Dataset, readImages, roomFor } from "../../src/data/dataset.ts";
import { openDataSplits } from "../../src/data/open.ts";
import { showImages } from "../../src/evaluation/show-images.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import type { OpenedRun } from "../../src/inference/opened-run.ts";
import { lowResolution, viewsOf } from "../../src/method/images.ts";
import { enlargePixels } from "../../src/method/pixels.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import type { StageName } from "../../src/options/stage-options.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { splitPair } from "../../src/utils/pairs.ts";
import { Random } from "../../src/utils/random.ts";
import { coarse, pairOf, size, writePairs } from "../e2e/pairs.ts";
import { outcome } from "../e2e/runs.ts";
import { evaluate, exact, type Given, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
const [pairs, alone] = [runs.at("pairs"), runs.at("alone")];

/** In their order: each stands on those before it. */
const stages: Readonly<Record<string, readonly [StageName, Given]>> = {
  hr: ["classifier_training", { random_masks: 0.5 }],
  lr: ["classifier_training", { stream_id: "LR", lr: 0.01 }],
  policy: ["pretrain", { ckpt_hr_cl: runs.at("hr"), fill: "lr", curriculum: false, lr: 0.01 }],
  rounds: [
    "pretrain",
    { ckpt_hr_cl: runs.at("hr"), fill: "lr", rounds: 2, estimator: "values", reward: "priced", curriculum: false },
  ],
  fine: ["finetune", { load: runs.at("policy"), ckpt_hr_cl: runs.at("hr"), random_masks: 0.5 }],
  two: ["finetune2stream", { load: runs.at("fine"), ckpt_hr_cl: runs.at("hr"), ckpt_lr_cl: runs.at("lr"), shards: 2 }],
};

let test: Dataset;
/** Of the test pairs, [N, S, S, 2C]. */
let pixels: Uint8Array;

beforeAll(async () => {
  await writePairs(pairs, { train: 12, test: 8 });
  await writePairs(alone, { train: 12, test: 8 }, false);
  for (const [name, [stage, given]] of Object.entries(stages))
    await runs.train(stage, name, { data_dir: pairs, ...given });
  test = (await openDataSplits({ dataDir: pairs, imageSize: size })).test;
  pixels = roomFor(test, test.length) as Uint8Array;
  await readImages(test, Uint32Array.from(test.labels.keys()), pixels);
}, 120_000);

it("the views of a pair are its image, and the low resolution of its low picture", () => {
  const random = new Random(1, "views");
  const [high, low] = [0, 1].map(() => random.uniforms(new Float32Array(2 * 3 * 8 * 8)));
  scope(() => {
    const planes = Array.from({ length: 2 }, (_, n) => [high, low].map((all) => all.subarray(n * 192, (n + 1) * 192)));
    const joined = fromArray(Float32Array.from(planes.flat().flatMap((part) => [...part])), [2, 6, 8, 8]);
    const sizes = { lowSize: 2, lowInput: 8 };
    const seen = viewsOf(joined, { channels: 3, ...sizes });
    expect(seen.images.toFloat32()).toEqual(high);
    expect(seen.low.toFloat32()).toEqual(lowResolution(fromArray(low, [2, 3, 8, 8]), sizes).toFloat32());
    const own = viewsOf(fromArray(high, [2, 3, 8, 8]), { channels: 3, ...sizes });
    expect(own.low.toFloat32()).toEqual(lowResolution(fromArray(high, [2, 3, 8, 8]), sizes).toFloat32());
  });
});

describe.each(Object.keys(stages))("%s", (name) => {
  const [stage, given] = stages[name];

  it("ends with the same bits when it was cut inside an epoch", async () => {
    const cut = `${name}-cut`;
    const { stopped } = await runs.train(stage, cut, { data_dir: pairs, ...given }, { reporter: stopAfter(2) });
    expect(stopped).toBe("SIGTERM");
    await runs.resume(stage, cut);
    expect(outcome(runs.at(cut))).toEqual(outcome(runs.at(name)));
  });

  it("is evaluated as it was tested in training", async () => {
    const { last, metrics } = outcome(runs.at(name));
    const logged = metrics.findLast(({ split }) => split === "test")!;
    const { rows } = await evaluate(runs.at(name, "checkpoints", last.name));
    expect(rows[0].accuracy).toBe(logged.accuracy);
    expect(rows[0].reward).toBe(logged.reward);
  });

  it("refuses data without pairs", async () => {
    await expect(evaluate(runs.at(name), { data_dir: alone })).rejects.toThrow(
      "data set alone: must be pairs, since the run takes the low resolution from a picture beside the image, got images alone",
    );
  });
});

const networks = {
  policy: ["agent", "resnet_hr"],
  rounds: ["agent", "resnet_hr"],
  two: ["agent", "resnet_hr", "resnet_lr"],
};

describe.each(["policy", "rounds", "two"] as const)("an opened run (%s)", (name) => {
  let run: OpenedRun;
  beforeAll(async () => {
    run = await openPredictor(runs.at(name), exact);
    expect([...run.networks].sort()).toEqual(networks[name]);
  });
  afterAll(() => run.free());

  it("says of pairs what it says of images and low pictures that come one after the other", async () => {
    const { image, low } = splitPair(pixels, 3);
    const views = run.views(pixels);
    expect(views.images).toEqual(image);
    // The low pictures of the set have as many pixels as the low resolution.
    const written = Array.from({ length: test.length }, (_, n) => pairOf(n % 2, new Random(1, "pairs", "test", n)).low);
    expect(views.low).toEqual(Uint8Array.from(written.flatMap((one) => [...one])));
    expect(low).toEqual(enlargePixels(views.low, coarse, size, 3));
    const predicted = await run.predict(pixels);
    const first = await run.decide(views.low);
    if (run.rounds === 1) {
      expect(first.mask).toEqual(predicted.mask);
      expect(first.patches).toEqual(predicted.patches);
    }
    const classes = await run.classify(image, predicted.mask, views.low);
    for (const [at, value] of classes.entries()) expect(value).toBeCloseTo(predicted.classes[at], 5);
  });

  it("looks at the low picture, normalized by its own statistics, and not at the image", async () => {
    const { images: image, low } = run.views(pixels);
    const first = await run.decide(low);
    expect(await run.decide(low, { images: image, mask: new Uint8Array(first.mask.length) })).toEqual(first);
    const own = await openPredictor(runs.at(name), exact);
    const held = own.hold({ images: image.map((byte) => 255 - byte), low });
    if (run.rounds === 1) expect(await held.probabilities()).toEqual(first.patches);
    held.free();
    await own.free();
    expect((await run.decide(low.map((byte) => 255 - byte))).patches).not.toEqual(first.patches);
  });

  it("says the same as an exported one", async () => {
    const out = runs.at(`onnx-${name}`);
    const { networks: exported, images } = await exportRun(exportSchema.parse({ load: runs.at(name), out, images: 4 }));
    expect(images.of).toBe("pairs, test");
    for (const { difference } of exported) expect(difference).toBeLessThan(1e-5);
    const onnx = await openPredictor(out, { engine: "onnx" });
    try {
      expect(onnx.description.low).toEqual(run.description.low);
      const [own, other] = [await run.predict(pixels), await onnx.predict(pixels)];
      expect(other.mask).toEqual(own.mask);
      for (const [at, value] of other.classes.entries()) expect(value).toBeCloseTo(own.classes[at], 4);
      for (const [at, value] of other.patches!.entries()) expect(value).toBeCloseTo(own.patches![at], 4);
      const { images: image, low } = onnx.views(pixels);
      const [a, b] = [await run.classify(image, own.mask, low), await onnx.classify(image, own.mask, low)];
      for (const [at, value] of b.entries()) expect(value).toBeCloseTo(a[at], 4);
    } finally {
      await onnx.free();
    }
  });

  it("refuses images alone", async () => {
    await expect(async () => run.predict(splitPair(pixels, 3).image.subarray(0, size * size * 3))).rejects.toThrow(
      "images: must be whole images of 32 × 32 pixels, 6144 bytes each, got 3072 bytes",
    );
  });
});

it("pictures for people show what the policy sees, and in dropped patches what the classifier sees", async () => {
  const load = runs.at("policy");
  const [shown] = await showImages(evalSchema.parse({ ...exact, load }), Uint32Array.of(3), {
    choice: { policy: "topk", budget: 1 },
  });
  const { image, low } = pairOf(1, new Random(1, "pairs", "test", 3));
  expect(shown.image).toEqual(image);
  expect(shown.lowResolution).toEqual(enlargePixels(low, coarse, size, 3));
  const { normalization, low: own } = (await openPredictor(load, exact)).description;
  for (const at of [0, 100, 1001, 2047, 3071]) {
    const [x, y, band] = [Math.floor(at / 3) % size, Math.floor(at / 3 / size), at % 3];
    const isTaken = shown.mask[4 * Math.floor(y / 8) + Math.floor(x / 8)] === 1;
    const normalized = (shown.lowResolution[at] / 255 - own!.mean[band]) / own!.std[band];
    const byte = Math.round(255 * (normalized * normalization.std[band] + normalization.mean[band]));
    expect(shown.masked[at]).toBe(isTaken ? image[at] : Math.max(0, Math.min(255, byte)));
  }
});

describe("what looks at the low resolution goes on with one that comes from where it came from:", () => {
  it("a policy of pairs refuses images alone, one of images alone refuses pairs", async () => {
    await runs.train("classifier_training", "hr-alone", { data_dir: alone });
    const hr = { ckpt_hr_cl: runs.at("hr-alone") };
    await runs.train("pretrain", "policy-alone", { data_dir: alone, ...hr });
    await expect(runs.train("finetune", "no", { data_dir: alone, load: runs.at("policy"), ...hr })).rejects.toThrow(
      `--load ${runs.at("policy")}: must take the low resolution from the image itself, as the data have it, got a picture beside the image (a column low)`,
    );
    await expect(
      runs.train("finetune", "no", { data_dir: pairs, load: runs.at("policy-alone"), ...hr }),
    ).rejects.toThrow(
      `--load ${runs.at("policy-alone")}: must take the low resolution from a picture beside the image`,
    );
    await expect(evaluate(runs.at("policy-alone"), { ckpt_lr_cl: runs.at("lr") })).rejects.toThrow(
      `--ckpt_lr_cl ${runs.at("lr")}: must take the low resolution from the image itself, as the data have it`,
    );
    await expect(evaluate(runs.at("policy-alone"), { data_dir: pairs })).rejects.toThrow(
      "data set pairs: must be images alone, since the run makes the low resolution of the image itself",
    );
  });

  it("a classifier of the high resolution may have learned from images alone", async () => {
    await runs.train("pretrain", "mixed", { data_dir: pairs, ckpt_hr_cl: runs.at("hr-alone") });
    expect((await openPredictor(runs.at("mixed"), exact)).description.low).toBeDefined();
  });
});
