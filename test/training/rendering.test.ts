/**
 * Images whose values are no colours, with --bands and --scale: a run learns from them what it learns from the same pictures in
 * 8-bit RGB, to the last bit, says what it was told, and whoever opens it goes by that.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { readImage } from "../../src/data/read-image.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { measureHeadroom } from "../../src/headroom/headroom.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { parseHeadroomOptions } from "../../src/options/headroom-options.ts";
import { predictSchema } from "../../src/options/predict-options.ts";
import { predict } from "../../src/predict/predict.ts";
import { Random } from "../../src/utils/random.ts";
import { scene } from "../e2e/images.ts";
import { timelessMetrics } from "../e2e/runs.ts";
import { type PlainLevel, plainTiff } from "../formats/plain-tiff.ts";
import { counts, evaluate, exact, type Given, listener, refusal, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const rendering = { bands: [3, 4, 1], scale: [0, 65_535] } as const;
const flags = { bands: "3,4,1", scale: "0,65535" };

/** The same class folders in two forms: of RGB, and of bands blue, zero, red and green, of 16 bits. */
function writeFolders(): void {
  const level = { width: 32, height: 32 };
  for (const [split, count] of Object.entries({ train: counts.train, test: counts.test })) {
    for (let label = 0; label < counts.classes; label++) {
      for (const form of ["rgb", "values"]) mkdirSync(runs.at(form, split, `class${label}`), { recursive: true });
      for (let n = 0; n < count; n++) {
        const pixels = scene(label, new Random(1, split, label, n));
        const at = (x: number, y: number) => [...pixels.subarray(3 * (32 * y + x), 3 * (32 * y + x) + 3)];
        const banded = (x: number, y: number) => {
          const [red, green, blue] = at(x, y);
          return [blue, 0, red, green].map((value) => 257 * value);
        };
        const rgb = plainTiff([{ ...level, bands: 3, photometric: 2, pixel: at }]);
        const values = plainTiff([{ ...level, bands: 4, samples: "1/16", photometric: 1, pixel: banded }]);
        writeFileSync(runs.at("rgb", split, `class${label}`, `${n}.tif`), rgb);
        writeFileSync(runs.at("values", split, `class${label}`, `${n}.tif`), values);
      }
    }
  }
}

beforeAll(async () => {
  writeFolders();
  await runs.train("classifier_training", "of-rgb", { data_dir: runs.at("rgb") });
  await runs.train("classifier_training", "of-values", { data_dir: runs.at("values"), ...flags });
});

const learned = (name: string) => ({
  files: readState(runs.at(name, "last")).files,
  metrics: timelessMetrics(runs.at(name)),
});

it("a run on values ends as one on the colours that they become, to the last bit, and says what they are", async () => {
  expect(learned("of-values")).toEqual(learned("of-rgb"));
  const { options, description } = readRunConfig(runs.at("of-values"));
  expect([options.bands, options.scale, description?.rendering]).toEqual([rendering.bands, rendering.scale, rendering]);
  expect(readRunConfig(runs.at("of-rgb")).description).not.toHaveProperty("rendering");
});

it("an evaluation goes by the run, unless flags say otherwise", async () => {
  const own = await evaluate(runs.at("of-values"));
  expect(own.rows).toEqual((await evaluate(runs.at("of-rgb"))).rows);
  const grey = await evaluate(runs.at("of-values"), { bands: "2,2,2" });
  // Black pictures are all of one class.
  expect(grey.rows[0].accuracy).toBeCloseTo(1 / 3, 9);
});

it("so does what asks whether looking can pay, which opens the images before it counts them", async () => {
  const given = { ...exact, load: runs.at("of-values"), split: "train" };
  const asked = (more: Given) => refusal(() => measureHeadroom(parseHeadroomOptions({ ...given, ...more })));
  expect((await asked({})).message).toMatch(/must have at least 200 images.*, got 24;/);
  expect((await asked({ bands: "1,2,5" })).message).toContain("--bands: must be from 1 to 4 for this TIFF, got 1,2,5");
});

it("a run that is resumed goes on with its own, and with no others", async () => {
  runs.copy("of-values", "resumed");
  await runs.resume("classifier_training", "resumed", { max_epochs: 3 });
  expect(readRunConfig(runs.at("resumed")).options.bands).toEqual(rendering.bands);
  const given = { bands: "1,2,3", max_epochs: 4 };
  const error = await refusal(() => runs.resume("classifier_training", "resumed", given));
  expect(error.message).toContain("\n  bands: [3,4,1] → [1,2,3]");
});

it("a stage takes them from the classifier that it starts from, and says so; a flag goes over them", async () => {
  const { reporter, notes } = listener();
  const given = { data_dir: runs.at("values"), ckpt_hr_cl: runs.at("of-values"), max_epochs: 1 };
  await runs.train("pretrain", "taken", given, { reporter });
  expect(notes).toContain(`--bands 3,4,1 --scale 0,65535, as in ${runs.at("of-values")}`);
  expect(readRunConfig(runs.at("taken")).description?.rendering).toEqual(rendering);
  await runs.train("pretrain", "over", { ...given, bands: "1,1,1" });
  expect(readRunConfig(runs.at("over")).description?.rendering).toEqual({ ...rendering, bands: [1, 1, 1] });
});

/** What is said of images, a line each. */
async function say(args: readonly string[], given: Given & { load: string }) {
  const output = new PassThrough();
  const said = text(output);
  const options = predictSchema.parse({ ...exact, num_workers: 1, ...given });
  await predict(args, options, { input: Readable.from([]), output }).finally(() => output.end());
  const lines = (await said).trimEnd().split("\n");
  return lines.map((line) => JSON.parse(line) as { class?: string; top?: object[]; error?: string });
}

describe("predict", () => {
  const image = (form: string) => runs.at(form, "test", "class1", "2.tif");

  it("goes by the run", async () => {
    const [{ top }] = await say([image("rgb")], { load: runs.at("of-rgb") });
    expect(await say([image("values")], { load: runs.at("of-values") })).toMatchObject([{ top }]);
  });

  it("also of an exported one, in ONNX Runtime", async () => {
    const [load, out] = [runs.at("of-values"), runs.at("onnx")];
    await exportRun(exportSchema.parse({ load, out, images: 2, threads: 1 }));
    const [own] = await say([image("values")], { load });
    expect(await say([image("values")], { load: out, engine: "onnx" })).toMatchObject([{ class: own.class }]);
  });

  it("and readImage, with the opened run's description", async () => {
    const run = await openPredictor(runs.at("of-values"), exact);
    try {
      const pixels = scene(1, new Random(1, "test", 1, 2));
      expect(await readImage(image("values"), run.description)).toEqual(pixels);
    } finally {
      await run.free();
    }
  });

  // The five pictures are one: red 4 x, green 4 y, blue 200 or 20 in squares of 8 pixels; its mean is 62, 62, 110.
  const colours = (x: number, y: number) => [4 * x, 4 * y, ((x >> 3) + (y >> 3)) % 2 ? 200 : 20];
  const shares = (x: number, y: number) => colours(x, y).map((value) => value / 255);
  const form = (level: Omit<PlainLevel, "width" | "height">) => plainTiff([{ width: 32, height: 32, ...level }]);
  it.each([
    ["8-bit RGB", form({ bands: 3, photometric: 2, pixel: colours }), {}, [62, 62, 110]],
    [
      "floats from 0 to 1",
      form({ bands: 3, samples: "3/32", photometric: 2, pixel: shares }),
      { scale: "0,1" },
      [62, 62, 110],
    ],
    [
      "a grey float",
      form({ bands: 1, samples: "3/32", photometric: 1, pixel: (x, y) => [shares(x, y)[0]] }),
      { bands: "1,1,1", scale: "0,1" },
      [62, 62, 62],
    ],
    [
      "five bands of bytes",
      form({ bands: 5, photometric: 1, pixel: (x, y) => [...colours(x, y), 7, 9] }),
      { bands: "1,2,3" },
      [62, 62, 110],
    ],
    [
      "three bands of 16 bits",
      form({ bands: 3, samples: "1/16", photometric: 1, pixel: (x, y) => colours(x, y).map((value) => 257 * value) }),
      { bands: "1,2,3", scale: "0,65535" },
      [62, 62, 110],
    ],
  ])("shows what it saw of %s", async (name, bytes, given, mean) => {
    const [path, masked] = [runs.at(`${name}.tif`), runs.at(`${name}-masked`)];
    writeFileSync(path, bytes);
    // A classifier sees all patches.
    const [said] = await say([path], { load: runs.at("of-rgb"), masked, ...given });
    expect(said).not.toHaveProperty("error");
    const { channels } = await sharp(join(masked, `${path}.png`)).stats();
    for (const [channel, value] of mean.entries()) expect(Math.abs(channels[channel].mean - value)).toBeLessThan(1);
  });

  it("says of a picture that is no TIFF what to do", async () => {
    const path = runs.at("black.png");
    await sharp({ create: { width: 32, height: 32, channels: 3, background: "black" } }).toFile(path);
    const rule = "must be left out for this picture, which is no TIFF, got 3,4,1";
    const [{ error }] = await say([path], { load: runs.at("of-values") });
    expect(error).toBe(`--bands: ${rule}; or convert it with \`gdal_translate IN OUT.tif\``);
  });
});
