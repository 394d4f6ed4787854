/** Predictions of trained runs: equal to what an evaluation finds, whatever lies between the images. */

import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readImage } from "../../src/data/read-image.ts";
import type { PatchDropError } from "../../src/errors.ts";
import { evaluateRun } from "../../src/evaluation/evaluate-run.ts";
import { showImages } from "../../src/evaluation/show-images.ts";
import { takeLock } from "../../src/files/lock.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { patchAt } from "../../src/method/grid.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { predictSchema } from "../../src/options/predict-options.ts";
import { parseOptions, type StageName } from "../../src/options/stage-options.ts";
import type { Prediction, Unreadable } from "../../src/predict/lines.ts";
import { predict } from "../../src/predict/predict.ts";
import { train } from "../../src/training/train.ts";
import { bytesIn } from "../../src/utils/pixel-array.ts";
import { Random } from "../../src/utils/random.ts";
import { type Reporter, Stopped, silentReporter } from "../../src/utils/reporter.ts";
import { makeImageFolder } from "../e2e/images.ts";

openLibtorch(findLibtorch(), { threads: 1 });

let folder: string;
let data: string;
const at = (...names: string[]) => join(folder, ...names);
const computing = { threads: 1, precision: "fp32" };

async function run(stage: StageName, name: string, more: Record<string, unknown>): Promise<void> {
  const given = { model: "R8_Scenes", batch_size: 8, max_epochs: 2, data_dir: data, cv_dir: at(name) };
  await train(stage, parseOptions(stage, { ...given, ...computing, ...more }));
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-predict-"));
  data = await makeImageFolder(at("data"), { classes: 3, train: 8, test: 4 });
  await run("classifier_training", "hr", {});
  await run("classifier_training", "lr", { stream_id: "LR" });
  await run("pretrain", "policy", { ckpt_hr_cl: at("hr"), curriculum: false, lr: 1e-2 });
  await run("finetune2stream", "two", { load: at("policy"), ckpt_lr_cl: at("lr"), lr: 1e-2 });
  const values = { estimator: "values", reward: "priced", rounds: 4, max_epochs: 1 };
  await run("pretrain", "rounds", { ckpt_hr_cl: at("hr"), fill: "lr", lr: 3e-3, ...values });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Given = Record<string, unknown> & { load: string };

/** What is said on the stream or in the file `given.out`, and the counts. */
async function say(args: readonly string[], given: Given, { list = "", reporter = silentReporter } = {}) {
  const output = new PassThrough();
  const said = text(output);
  const options = predictSchema.parse({ ...computing, num_workers: 1, ...given });
  const counts = await predict(args, options, { input: Readable.from([list]), output }, reporter).finally(() =>
    output.end(),
  );
  return { counts, text: await said };
}

function parsed(lines: string): Prediction[] {
  return lines
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Prediction);
}

const withoutMs = (said: readonly Prediction[]) => said.map(({ ms: _, ...rest }) => rest);
const images = () => at("data", "test");

it.each(["policy", "two"])("says of a run with a policy what its evaluation shows: %s", async (name) => {
  const given = { load: at(name), top: 9, batch_size: 5, masked: at(`${name}-masked`), overlay: at(`${name}-overlay`) };
  const { counts, text } = await say([images()], given);
  expect(counts).toEqual({ images: 12, unreadable: 0 });
  const shown = await showImages(
    evalSchema.parse({ load: at(name), ...computing }),
    Uint32Array.from({ length: 12 }, (_, i) => i),
  );
  const said = parsed(text);
  expect(new Set(said.flatMap(({ mask }) => [...mask]))).toEqual(new Set(["0", "1"]));
  for (const [i, { image: _, ...one }] of shown.entries()) {
    const { path, ms, checkpoint, settings, ...line } = said[i];
    expect(path).toBe(join(images(), one.label, `${i % 4}.png`));
    expect(ms).toBeGreaterThan(0);
    expect(checkpoint).toMatch(/^[0-9a-f]{12}$/);
    expect(settings).toBe("--policy threshold --threshold 0.5 --fill zero --top 3 --precision fp32");
    const patches = one.mask.reduce((sum, taken) => sum + taken, 0);
    expect(line).toMatchObject({ class: one.prediction, mask: one.mask.join(""), patches, pixels: 64 * patches + 64 });
    expect(line.top.map((guess) => guess.class).sort()).toEqual(["class0", "class1", "class2"]);
    // Six digits of float32, computed in batches of another size.
    expect(line.top[0].probability).toBeCloseTo(one.confidence, 5);
    expect(line.top.reduce((sum, guess) => sum + guess.probability, 0)).toBeCloseTo(1, 5);
    for (const [k, p] of line.patch_probabilities!.entries()) expect(p).toBeCloseTo(one.probabilities[k], 5);
    const picture = (kind: string) =>
      sharp(`${join(at(`${name}-${kind}`), path)}.png`)
        .raw()
        .toBuffer();
    expect(new Uint8Array(await picture("masked"))).toEqual(one.masked);
    expect((await picture("overlay")).length).toBe(256 * 256 * 3);
  }
});

it("refuses bytes that are no whole images, and masks of other images", async () => {
  const run = await openPredictor(at("two"), { threads: 1, precision: "fp32" });
  const images = (count: number, side: number) => new Uint8Array(count * side * side * 3);
  const [two, low] = [images(2, 32), images(2, 8)];
  const size = "must be whole images of 32 × 32 pixels, 3072 bytes each";
  await expect(run.predict(new Uint8Array(0))).rejects.toThrow(`images: ${size}, got 0 bytes`);
  await expect(run.predict(images(1, 8))).rejects.toThrow(`images: ${size}, got 192 bytes`);
  await expect(run.decide(new Uint8Array(100))).rejects.toThrow(
    "low: must be whole images of 8 × 8 pixels, 192 bytes each, got 100 bytes",
  );
  await expect(run.classify(two, new Uint8Array(16), low)).rejects.toThrow(
    "mask: must have 32 patches, as the images, got 16",
  );
  await expect(run.classify(two, new Uint8Array(32), images(1, 8))).rejects.toMatchObject({
    kind: "usage",
    message: "low: must be as many images as the others, 2, got 1",
  });
  // A program in JavaScript gives what it likes.
  const floats = new Float32Array(two.length) as never;
  await expect(run.predict(floats)).rejects.toThrow("images: must be a Uint8Array, got Float32Array");
  await expect(run.classify(two, new Float32Array(32) as never, low)).rejects.toThrow(
    "mask: must be a Uint8Array of 0 and 1, got Float32Array",
  );
  await expect(run.classify(two, new Uint8Array(32).fill(2, 5), low)).rejects.toThrow("of 0 and 1, got 2");
  expect(() => run.seen(images(1, 32), new Uint8Array(32))).toThrow(
    "mask: must have 16 patches, as the images, got 32",
  );
  expect(() => run.seen(floats, new Uint8Array(32))).toThrow("images: must be a Uint8Array, got Float32Array");
  expect(await run.classify(two, new Uint8Array(32), low)).toHaveLength(2 * 3);
  await run.free();
});

it.each(["policy", "two"])(
  "deciding on the low resolution and classifying what was acquired is predicting: %s",
  async (name) => {
    const predictor = await openPredictor(at(name), { threads: 1, precision: "fp32" });
    const { imageSize, lowSize, grid } = predictor.model;
    const random = new Random(7, "pixels");
    const whole = Uint8Array.from({ length: 5 * imageSize ** 2 * 3 }, () => random.integer(256));
    const pixelOf = (x: number, y: number, image: number) => 3 * ((image * imageSize + y) * imageSize + x);
    const low = new Uint8Array(5 * lowSize ** 2 * 3);
    for (let i = 0; i < low.length / 3; i++) {
      const [x, y] = [i % lowSize, Math.floor(i / lowSize) % lowSize].map((at) => (at * imageSize) / lowSize);
      low.set(whole.subarray(pixelOf(x, y, Math.floor(i / lowSize ** 2))).subarray(0, 3), 3 * i);
    }
    const expected = await predictor.predict(whole);
    const { mask, patches } = await predictor.decide(low);
    expect(mask).toEqual(expected.mask);
    expect(patches).toEqual(expected.patches);
    // What was never read may be anything.
    const acquired = whole.map((byte, at) => {
      const [x, y] = [Math.floor(at / 3) % imageSize, Math.floor(at / 3 / imageSize) % imageSize];
      const patch = patchAt(grid, x, y);
      return mask[Math.floor(at / 3 / imageSize ** 2) * grid.patches + patch] === 1 ? byte : 99;
    });
    expect(acquired).not.toEqual(whole);
    expect(await predictor.classify(acquired, mask, low)).toEqual(expected.classes);
    await predictor.free();
  },
);

it.each([
  ["hr", "1111111111111111", 1024],
  ["lr", "0000000000000000", 64],
] as const)("says of a classifier alone what its evaluation counts: %s", async (load, mask, pixels) => {
  const said = parsed((await say([images()], { load: at(load) })).text);
  const { rows } = await evaluateRun(evalSchema.parse({ load: at(load), ...computing }));
  const right = said.filter((one) => one.path.includes(`/${one.class}/`)).length;
  expect(right / said.length).toBeCloseTo(rows[0].accuracy, 10);
  for (const one of said) {
    expect(one).toMatchObject({ mask, pixels, patches: rows[0].patches });
    expect(one).not.toHaveProperty("patch_probabilities");
  }
});

it("says in how many rounds patches were asked for, of a run that decides in rounds, and in JSON Lines alone", async () => {
  const { text } = await say([images()], { load: at("rounds") });
  const predictor = await openPredictor(at("rounds"), { threads: 1, precision: "fp32" });
  const said = parsed(text);
  const bytes = await Promise.all(said.map(({ path }) => readImage(path, predictor.description)));
  const { rounds, mask } = await predictor.predict(Uint8Array.from(Buffer.concat(bytes.map(bytesIn))));
  await predictor.free();
  expect(new Set(rounds).size).toBeGreaterThan(1);
  expect(said.map((one) => one.rounds)).toEqual([...rounds!]);
  expect(said.map((one) => one.mask).join("")).toBe(mask.join(""));
  for (const one of parsed((await say([images()], { load: at("policy") })).text))
    expect(one).not.toHaveProperty("rounds");
  const csv = (load: string) => say([images()], { load: at(load), format: "csv" });
  const [header] = (await csv("rounds")).text.split("\n");
  expect(header).toBe((await csv("policy")).text.split("\n")[0]);
});

it("takes as many patches as it is told, the likeliest, or from another probability on", async () => {
  const said = async (more: Record<string, unknown>) =>
    parsed((await say([images()], { load: at("policy"), ...more })).text);
  for (const one of await said({ policy: "topk", budget: 3 })) {
    const likeliest = [...one.patch_probabilities!.keys()]
      .sort((a, b) => one.patch_probabilities![b] - one.patch_probabilities![a])
      .slice(0, 3)
      .sort((a, b) => a - b);
    expect([...one.mask].flatMap((bit, k) => (bit === "1" ? [k] : []))).toEqual(likeliest);
  }
  const all = await said({ threshold: 0 });
  expect(all.map(({ patches }) => patches)).toEqual(all.map(() => 16));
  const calibrated = said({ policy: "calibrated" });
  await expect(calibrated).rejects.toThrow(/must have a choice that was calibrated; calibrate: patchdrop eval/);
});

it("masks do not depend on the batch size, probabilities only in their last digits", async () => {
  const [whole, single] = await Promise.all(
    [64, 1].map(async (batch_size) => parsed((await say([images()], { load: at("two"), batch_size })).text)),
  );
  for (const [i, one] of whole.entries()) {
    expect(single[i]).toMatchObject({ path: one.path, class: one.class, mask: one.mask });
    expect(single[i].top[0].probability).toBeCloseTo(one.top[0].probability, 5);
  }
});

it("unreadable images get a line, and hold up nobody", async () => {
  const good = [join(images(), "class0", "0.png"), at('odd, "name".png'), join(images(), "class2", "1.png")];
  cpSync(good[0], good[1]);
  writeFileSync(at("text.png"), "no image");
  const args = [good[0], at("text.png"), "-", good[2]];
  const list = `${at("not-there.png")}\n${good[1]}\n`;
  const { counts, text } = await say(args, { load: at("two"), batch_size: 2 }, { list });
  expect(counts).toEqual({ images: 5, unreadable: 2 });
  const said = parsed(text);
  expect(said.map(({ path }) => path)).toEqual([good[0], at("text.png"), at("not-there.png"), good[1], good[2]]);
  const failures = said.filter((one) => "error" in one) as unknown as Unreadable[];
  expect(failures.map(({ path }) => path)).toEqual([at("text.png"), at("not-there.png")]);
  for (const { error } of failures) expect(error).toMatch(/\w/);
  // The same file under another name, in another batch, beside an unreadable one.
  const [first, , , again] = withoutMs(said);
  expect({ ...again, path: first.path, top: [], patch_probabilities: [] }).toEqual({
    ...first,
    top: [],
    patch_probabilities: [],
  });
});

it.each(["jsonl", "csv"])("a file that was cut anywhere is gone on with, in %s", async (format) => {
  // Of one image a batch, so that the bits do not depend on where it was cut.
  const whole = { load: at("two"), format, batch_size: 1, out: at(`whole.${format}`) };
  writeFileSync(at("not.png"), "no image");
  const args = [at("not.png"), images()];
  expect((await say(args, whole)).counts).toEqual({ images: 13, unreadable: 1 });
  const timeless = (file: string) =>
    readFileSync(file, "utf8").replaceAll(format === "csv" ? /,[\d.e-]+,(?=[0-9a-f]{12},)/g : /"ms":[\d.e-]+/g, "");
  const bytes = readFileSync(whole.out);
  const cut = { ...whole, out: at(`cut.${format}`), resume: true };
  for (const length of [0, 5, Math.floor(bytes.length / 2), bytes.length - 1, bytes.length]) {
    writeFileSync(cut.out, bytes);
    truncateSync(cut.out, length);
    expect((await say(args, cut)).counts).toEqual({ images: 13, unreadable: 1 });
    expect(timeless(cut.out)).toBe(timeless(whole.out));
  }
});

it("a file is neither overwritten nor mixed with another run's lines", async () => {
  const given = { load: at("two"), out: at("kept.jsonl") };
  await say([images()], given);
  const before = readFileSync(given.out);
  await expect(say([images()], given)).rejects.toMatchObject({
    kind: "usage",
    message: `--out ${given.out}: must not exist yet; continue it with --resume, or give another --out`,
  });
  const resume = true;
  await expect(say([images()], { ...given, load: at("hr"), resume })).rejects.toMatchObject({ kind: "locked" });
  await expect(say([images()], { ...given, format: "csv", resume })).rejects.toMatchObject({ kind: "input" });
  expect(readFileSync(given.out)).toEqual(before);
  const settings = async (options: Record<string, unknown>) => {
    const refused = await say([images()], { ...given, ...options, resume }).catch((error: PatchDropError) => error);
    expect(refused).toMatchObject({ kind: "locked" });
    return (refused as PatchDropError).message.replace(`${given.out}: was started `, "");
  };
  const next = "give the same options, or another --out";
  expect(await settings({ top: 2 })).toBe(`with --top 3, got --top 2; ${next}`);
  expect(await settings({ fill: "lr" })).toBe(`with --fill zero, got --fill lr; ${next}`);
  expect(await settings({ policy: "topk", budget: 2 })).toBe(
    `with --policy threshold --threshold 0.5, got --policy topk --budget 2; ${next}`,
  );
  expect(await settings({ scale: [0, 255] })).toBe(`without --scale 0,255; ${next}`);
  expect(readFileSync(given.out)).toEqual(before);
  // What is asked for need not be written alike: of three classes, nine are three.
  expect((await say([images()], { ...given, top: 9, threshold: 0.5, resume })).counts.images).toBe(12);
  appendFileSync(given.out, "something else\n");
  await expect(say([images()], { ...given, resume })).rejects.toMatchObject({ kind: "input" });
  expect(predictSchema.safeParse({ load: "x", resume }).error?.issues[0].path).toEqual(["resume"]);
});

it("a stop leaves whole lines of whole batches", async () => {
  let signal: ReturnType<Reporter["stopping"]>;
  const reporter: Reporter = {
    ...silentReporter,
    // As soon as the first batch is written.
    progress: () => ({
      update() {
        signal = "SIGINT";
      },
      stop() {},
    }),
    stopping: () => signal,
  };
  const given = { load: at("two"), batch_size: 5, out: at("stopped.jsonl") };
  await expect(say([images()], given, { reporter })).rejects.toEqual(new Stopped("SIGINT"));
  expect(parsed(readFileSync(given.out, "utf8")).length).toBe(5);
  const notes: string[] = [];
  const listening: Reporter = { ...silentReporter, note: (text) => void notes.push(text) };
  const resume = () => say([images()], { ...given, resume: true }, { reporter: listening });
  expect((await resume()).counts).toEqual({ images: 12, unreadable: 0 });
  expect(notes.join()).not.toContain("nothing is left");
  expect((await resume()).counts).toEqual({ images: 12, unreadable: 0 });
  expect(notes).toContain(`${given.out} has all 12 images already: nothing is left to do`);
  expect(new Set(parsed(readFileSync(given.out, "utf8")).map(({ path }) => path)).size).toBe(12);
});

it("a file has one writer at a time", async () => {
  const given = { load: at("two"), out: at("one.jsonl"), resume: true };
  const lock = `${given.out}.lock`;
  const release = takeLock(lock);
  await expect(say([images()], given)).rejects.toMatchObject({
    kind: "locked",
    message: `${lock}: is in use by process ${process.pid}; wait for it to end, or write elsewhere`,
  });
  expect(existsSync(given.out)).toBe(false);
  release();
  let isHeld = false;
  const progress = () => ({
    update() {
      isHeld = existsSync(lock);
    },
    stop() {},
  });
  await say([images()], given, { reporter: { ...silentReporter, progress } });
  expect(isHeld).toBe(true);
  expect(existsSync(lock)).toBe(false);
  await expect(say([images()], { ...given, resume: false })).rejects.toMatchObject({ kind: "usage" });
  expect(existsSync(lock)).toBe(false);
});

it("a stop ends the wait for a list of paths", async () => {
  const input = new PassThrough();
  const options = predictSchema.parse({ ...computing, load: at("two") });
  const work = predict(
    ["-"],
    options,
    { input, output: new PassThrough() },
    {
      ...silentReporter,
      stopping: () => "SIGTERM",
    },
  );
  await expect(work).rejects.toEqual(new Stopped("SIGTERM"));
  input.end();
});

it("a file of weights alone does not say what it is of", async () => {
  const checkpoint = join(at("hr"), "best");
  const weights = readdirSync(checkpoint).find((name) => name === "resnet_hr.safetensors")!;
  cpSync(join(checkpoint, weights), at("alone.safetensors"));
  await expect(say([images()], { load: at("alone.safetensors") })).rejects.toMatchObject({
    kind: "input",
    message: expect.stringContaining("must say which model and classes its networks are for"),
  });
});
