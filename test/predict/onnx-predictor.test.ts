/** Exported runs in ONNX Runtime: the same lines as the checkpoints' in libtorch, and folders that are refused. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { writeChoice } from "../../src/checkpoints/stored-choice.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { outsideMetadata } from "../../src/formats/onnx-metadata.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { maskBits } from "../../src/method/grid.ts";
import { fillDropped, lowPixels } from "../../src/method/pixels.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { predictSchema } from "../../src/options/predict-options.ts";
import { parseOptions, type StageName } from "../../src/options/stage-options.ts";
import type { Prediction } from "../../src/predict/lines.ts";
import { predict } from "../../src/predict/predict.ts";
import { train } from "../../src/training/train.ts";
import { row } from "../../src/utils/rows.ts";
import { makeImageFolder } from "../e2e/images.ts";

openLibtorch(findLibtorch(), { threads: 1 });

/** Largest difference of a probability between the engines. */
const tolerance = 1e-4;

let folder: string;
let images: string;
const at = (...names: string[]) => join(folder, ...names);
const computing = { threads: 1, precision: "fp32" } as const;

async function run(stage: StageName, name: string, more: Record<string, unknown>): Promise<void> {
  const given = { model: "R8_Scenes", batch_size: 8, max_epochs: 2, data_dir: at("data"), cv_dir: at(name) };
  await train(stage, parseOptions(stage, { ...given, ...computing, ...more }));
}

const exported = (name: string) => at(`${name}-onnx`);
const exportOf = (name: string, more: object = {}) =>
  exportRun(exportSchema.parse({ load: at(name), out: exported(name), images: 2, threads: 1, ...more }));

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-onnx-"));
  await makeImageFolder(at("data"), { classes: 3, train: 8, test: 4 });
  // Pictures of another size, which the transform must make square and small.
  images = at("data", "test");
  await sharp(join(images, "class0", "0.png"))
    .resize(61, 40)
    .toFile(join(images, "class2", "wide.png"));
  await run("classifier_training", "hr", {});
  await run("classifier_training", "lr", { stream_id: "LR" });
  await run("pretrain", "policy", { ckpt_hr_cl: at("hr"), curriculum: false, lr: 1e-2, fill: "lr" });
  await run("finetune2stream", "two", { load: at("policy"), ckpt_lr_cl: at("lr"), lr: 1e-2 });
  const values = { estimator: "values", reward: "priced", price: 0.003, policy_head: "map" };
  await run("pretrain", "rounds", { ckpt_hr_cl: at("hr"), ...values, rounds: 3, lr: 1e-3, fill: "lr" });
  for (const name of ["hr", "lr", "policy", "rounds"]) await exportOf(name);
  // For three images a run: the last batch is not full.
  await exportOf("two", { batch_size: 3 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function say(given: Record<string, unknown>, args = [images]): Promise<Prediction[]> {
  const output = new PassThrough();
  const said = text(output);
  const options = predictSchema.parse({ ...computing, num_workers: 1, top: 3, batch_size: 5, ...given });
  await predict(args, options, { input: Readable.from([]), output }).finally(() => output.end());
  return (await said)
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Prediction);
}

/** Probabilities within the tolerance, all else the same. */
function expectSame(found: Prediction, expected: Prediction): void {
  const exact = ({ ms: _, top: __, patch_probabilities: ___, ...rest }: Prediction) => rest;
  expect(exact(found)).toEqual(exact(expected));
  const numbers = ({ top, patch_probabilities = [] }: Prediction) => [
    ...top.map(({ probability }) => probability),
    ...patch_probabilities,
  ];
  expect(found.top.map((guess) => guess.class)).toEqual(expected.top.map((guess) => guess.class));
  expect(numbers(found).length).toBe(numbers(expected).length);
  for (const [i, value] of numbers(expected).entries()) {
    expect(Math.abs(numbers(found)[i] - value)).toBeLessThan(tolerance);
  }
}

it.each(["hr", "lr", "policy", "two", "rounds"])("says what libtorch says: %s", async (name) => {
  const masked = (engine: string) => ({ engine, masked: at(`${name}-${engine}`) });
  const expected = await say({ load: at(name), ...masked("libtorch") });
  const found = await say({ load: exported(name), ...masked("onnx") });
  expect(found.length).toBe(13);
  for (const [i, one] of expected.entries()) {
    expectSame(found[i], one);
    const seen = (engine: string) => readFileSync(`${join(at(`${name}-${engine}`), one.path)}.png`);
    expect(seen("onnx")).toEqual(seen("libtorch"));
  }
});

describe("in rounds", () => {
  /** Some of the test's pictures, as the transform leaves them. */
  const pictures = async () => {
    const files = ["class0/0.png", "class0/2.png", "class1/1.png", "class2/3.png"].map((name) => join(images, name));
    const pixels = await Promise.all(files.map((file) => sharp(file).removeAlpha().resize(32, 32).raw().toBuffer()));
    return Uint8Array.from(pixels.flatMap((one) => [...one]));
  };
  const opened = (engine: "libtorch" | "onnx") =>
    openPredictor(engine === "onnx" ? exported("rounds") : at("rounds"), { ...computing, engine });

  it("asks for the same patches in as many rounds", async () => {
    const bytes = await pictures();
    const [torch, onnx] = [await opened("libtorch"), await opened("onnx")];
    const [expected, found] = [await torch.predict(bytes), await onnx.predict(bytes)];
    expect([found.mask, found.rounds]).toEqual([expected.mask, expected.rounds]);
    // A third of 16 patches a round; what one image wants another does not.
    expect(onnx.mostInRound).toBe(6);
    expect(Math.min(...found.rounds!)).toBeGreaterThan(1);
    const masks = Array.from({ length: 4 }, (_, b) => maskBits(row(found.mask, b, 16)));
    expect(new Set(masks).size).toBeGreaterThan(1);
    await onnx.free();
    await torch.free();
  });

  it("asks again of what was acquired, whatever lies where nothing was", async () => {
    const bytes = await pictures();
    const run = await opened("onnx");
    const { mask: expected } = await run.predict(bytes);
    const low = lowPixels(bytes, 32, 8, 3);
    const noise = new Uint8Array(bytes.length).map((_, i) => (31 * i) % 256);
    const there = new Uint8Array(expected.length);
    for (let round = 0; round < 3; round++) {
      const acquired = fillDropped(bytes, there, run.model.grid, noise);
      const { mask: more } = await run.decide(low, { images: acquired, mask: there });
      for (const [k, one] of more.entries()) there[k] |= one;
    }
    expect(there).toEqual(expected);
    await run.free();
  });
});

it("takes another fill, as libtorch does", async () => {
  const expected = await say({ load: at("policy"), fill: "zero" });
  const found = await say({ load: exported("policy"), engine: "onnx", fill: "zero" });
  for (const [i, one] of expected.entries()) expectSame(found[i], one);
  expect(found.map(({ top }) => top)).not.toEqual(
    (await say({ load: exported("policy"), engine: "onnx" })).map(({ top }) => top),
  );
});

it("chooses as was calibrated before the export, as libtorch does", async () => {
  const calibrated = { policy: "calibrated" };
  await expect(say({ load: exported("policy"), engine: "onnx", ...calibrated })).rejects.toThrow(
    /policy-onnx: must have a choice that was calibrated; calibrate the run .*, then export it again/,
  );
  const [first] = await say({ load: at("policy") });
  // Midway between the third and the fourth likeliest patch of the first image.
  const [third, fourth] = first.patch_probabilities!.toSorted((a, b) => b - a).slice(2, 4);
  const measured = { images: 4, accuracy: 0.5, patches: 3 };
  writeChoice(openCheckpoint(at("policy")).path, {
    target: { patches: 3 },
    policy: "threshold",
    threshold: (third + fourth) / 2,
    budget: 2,
    dataset: "made",
    seed: 1,
    calibrated: { split: "train", ...measured },
    evaluated: { split: "test", ...measured },
  });
  await exportOf("policy", { out: at("calibrated-onnx") });
  const expected = await say({ load: at("policy"), ...calibrated });
  const found = await say({ load: at("calibrated-onnx"), engine: "onnx", ...calibrated });
  expect(expected[0].patches).toBe(2);
  for (const [i, one] of expected.entries()) expectSame(found[i], one);
  // It is asked for by name: by itself an export chooses as the policy was tested.
  const [unasked] = await say({ load: at("calibrated-onnx"), engine: "onnx" });
  expect(unasked.patches).toBe(first.patches);
});

it("an export whose data were gone knows the run's classes and normalization", async () => {
  const expected = await say({ load: at("policy") });
  cpSync(at("data"), at("kept"), { recursive: true });
  rmSync(at("data"), { recursive: true });
  try {
    await exportOf("policy", { out: at("gone-onnx") });
  } finally {
    cpSync(at("kept"), at("data"), { recursive: true });
  }
  const found = await say({ load: at("gone-onnx"), engine: "onnx" });
  for (const [i, one] of expected.entries()) expectSame(found[i], one);
});

describe("refuses", () => {
  const copy = (name: string, change: (file: (model: string) => string) => void) => {
    const place = mkdtempSync(at("changed-"));
    cpSync(exported(name), place, { recursive: true });
    change((model) => join(place, model));
    return place;
  };
  /** A model as it was exported before it had a hash of its content, which would show each of these changes first. */
  const withoutHash = (path: string) =>
    ["content_sha256", "content"].reduce<Buffer>(
      (bytes, key) => Buffer.concat(outsideMetadata(key, bytes, path)),
      readFileSync(path),
    );
  const expectRefused = (load: string, message: RegExp) =>
    expect(say({ load, engine: "onnx" })).rejects.toMatchObject({
      kind: "input",
      message: expect.stringMatching(message),
    });

  it("a run folder, with what to give instead", () =>
    expectRefused(at("two"), /two: must be a folder with classifier\.onnx or lr_classifier\.onnx; give a folder that/));

  it("a file that is no model", () =>
    expectRefused(
      copy("hr", (file) => writeFileSync(file("classifier.onnx"), "no model")),
      /classifier\.onnx: byte \d+: /,
    ));

  it("a model that is cut off", () =>
    expectRefused(
      copy("hr", (file) =>
        writeFileSync(file("classifier.onnx"), readFileSync(file("classifier.onnx")).subarray(0, -9)),
      ),
      /classifier\.onnx: byte \d+: /,
    ));

  it("metadata that lack something, each by name", () =>
    expectRefused(
      copy("hr", (file) => {
        const bytes = withoutHash(file("classifier.onnx"));
        for (const key of ["transform_name", "image_size"]) bytes.write("x", bytes.lastIndexOf(key));
        writeFileSync(file("classifier.onnx"), bytes);
      }),
      /image_size: must be a number of pixels; export the run again.*\n.*transform_name: must name a transform; export/,
    ));

  it("weights that ONNX Runtime does not take", () =>
    expectRefused(
      copy("hr", (file) => {
        const text = withoutHash(file("classifier.onnx")).toString("latin1");
        writeFileSync(file("classifier.onnx"), text.replaceAll("Flatten", "Xlatten"), "latin1");
      }),
      /classifier\.onnx: must be a model that ONNX Runtime takes, got /,
    ));

  it("metadata that say another number of rounds than the policy is for", () =>
    expectRefused(
      copy("rounds", (file) => {
        for (const model of ["policy.onnx", "classifier.onnx"]) {
          const bytes = withoutHash(file(model));
          // A key, and then, behind two bytes of Protobuf, its value.
          bytes.write("1", bytes.lastIndexOf("rounds") + "rounds".length + 2);
          writeFileSync(file(model), bytes);
        }
      }),
      /policy\.onnx: must be a model that ONNX Runtime takes, got an input of 5 × 32 × 32 instead of 3 × 32 × 32/,
    ));

  it("models of two exports, and half of one", async () => {
    await expectRefused(
      copy("policy", (file) => cpSync(join(exported("hr"), "classifier.onnx"), file("classifier.onnx"))),
      /classifier\.onnx: must come from the same export as policy\.onnx; export the run again/,
    );
    await expectRefused(
      copy("two", (file) => rmSync(file("lr_classifier.onnx"))),
      /must hold the models of agent, resnet_hr, resnet_lr; export the run again/,
    );
  });
});
