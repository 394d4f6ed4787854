/** Images of four bands of 16 bits, through the program: measured, learned from, looked at in rounds, exported, acquired. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RasterFile } from "../../src/acquire/raster-file.ts";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import type { BandStatistics } from "../../src/data/dataset.ts";
import { makeFolder } from "../../src/files/atomic.ts";
import type { Prediction } from "../../src/predict/lines.ts";
import { Random } from "../../src/utils/random.ts";
import { utm33 } from "../acquire/scenes.ts";
import { patchdrop, runTimeoutMs, succeed } from "./program.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const size = 32;
const bands = ["blue", "green", "red", "nir"];
const quick = ["--threads", "1", "--precision", "fp32"];
const chosen = ["--bands", "red,green,blue,nir"];
const noGdal = spawnSync("gdalinfo", ["--version"]).status !== 0;

/** Noise about 1500 in all bands, and a bright block of 12 × 12 in near infrared alone, of class 1. */
function chip(label: number, random: Random, side = size): Uint16Array {
  const [top, left] = [random.integer(side - 12), random.integer(side - 12)];
  return Uint16Array.from({ length: side * side * 4 }, (_, at) => {
    const [row, column, band] = [Math.floor(at / 4 / side), Math.floor(at / 4) % side, at % 4];
    const isInside = row >= top && row < top + 12 && column >= left && column < left + 12;
    return 1400 + random.integer(200) + (label === 1 && band === 3 && isInside ? 4000 : 0);
  });
}

async function write(path: string, pixels: Uint16Array, width: number, overviews = 0): Promise<void> {
  const form = { type: "uint16", bands } as const;
  const height = pixels.length / width / 4;
  const file = new RasterFile(path, {
    width,
    height,
    form,
    georeference: utm33,
    tileSize: 16,
    overviews,
    resampling: "nearest",
  });
  await file.write(pixels);
  await file.finish();
}

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Prediction);

describe("four bands of 16 bits", { timeout: runTimeoutMs }, () => {
  /** Of the training images, band by band in the file's order. */
  const values: number[][] = bands.map(() => []);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "patchdrop-bands-"));
    for (const [split, count] of [
      ["train", 48],
      ["test", 12],
    ] as const) {
      for (const label of [0, 1]) {
        makeFolder(at("chips", split, `class${label}`));
        for (let n = 0; n < count; n++) {
          const pixels = chip(label, new Random(1, split, label, n));
          if (split === "train") for (const [i, value] of pixels.entries()) values[i % 4].push(value);
          await write(at("chips", split, `class${label}`, `${n}.tif`), pixels, size);
        }
      }
    }
    const training = ["--model", "R8_Scenes", "--data_dir", at("chips"), "--batch_size", "16", ...chosen, ...quick];
    const learning = ["--max_epochs", "6", "--lr", "0.003"];
    await succeed(["classifier_training", ...training, ...learning, "--cv_dir", at("hr")]);
    const rounds = ["--rounds", "2", "--estimator", "values", "--reward", "priced", "--fill", "lr"];
    const policy = ["--ckpt_hr_cl", at("hr"), "--max_epochs", "2", "--lr", "0.003", ...rounds];
    await succeed(["pretrain", ...training, ...policy, "--cv_dir", at("policy")]);
  }, runTimeoutMs);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("are measured, and kept with the run", async () => {
    const { stdout } = await succeed(["data", "stats", "--data_dir", at("chips"), ...chosen, "--json"]);
    const measured = JSON.parse(stdout) as BandStatistics[];
    expect(measured.map(({ band }) => band)).toEqual(["red", "green", "blue", "nir"]);
    const { description } = readRunConfig(at("policy"));
    expect(description).toMatchObject({ pixelType: "float32", bands: ["red", "green", "blue", "nir"] });
    for (const [n, { mean, std, p2, p98 }] of measured.entries()) {
      const own = values[bands.indexOf(measured[n].band)];
      const sorted = own.toSorted((a, b) => a - b);
      expect(p2).toBe(sorted[Math.ceil(0.02 * sorted.length) - 1]);
      const upper = sorted[Math.ceil(0.98 * sorted.length) - 1];
      expect(p98).toBeLessThanOrEqual(upper);
      // Above 4096, two values have one count.
      expect(p98).toBeGreaterThanOrEqual(upper - (upper > 4096 ? 1 : 0));
      expect(description!.stretch).toMatchObject({ black: { [n]: p2 }, white: { [n]: p98 } });
      const center = own.reduce((sum, value) => sum + value, 0) / own.length;
      expect(mean).toBeCloseTo(center, 6);
      expect(std).toBeCloseTo(Math.sqrt(own.reduce((sum, value) => sum + (value - center) ** 2, 0) / own.length), 6);
      expect(description!.normalization.mean[n]).toBe(mean);
      expect(description!.normalization.std[n]).toBe(std);
    }
  });

  it("are seen by a later stage as the classifier saw them, whatever its own images hold", async () => {
    for (const split of ["train", "test"]) {
      for (const label of [0, 1]) {
        makeFolder(at("few", split, `class${label}`));
        for (let n = 0; n < 2; n++) {
          await write(at("few", split, `class${label}`, `${n}.tif`), chip(1, new Random(3, split, label, n)), size);
        }
      }
    }
    const given = ["--model", "R8_Scenes", "--data_dir", at("few"), "--batch_size", "4", "--max_epochs", "1", ...quick];
    await succeed(["pretrain", ...given, "--ckpt_hr_cl", at("hr"), "--cv_dir", at("later")]);
    const [own, first] = ["later", "hr"].map((name) => readRunConfig(at(name)).description!);
    expect(own.normalization).toEqual(first.normalization);
    expect(own.stretch).toEqual(first.stretch);
    expect(own.bands).toEqual(["red", "green", "blue", "nir"]);
  });

  it("tell classes apart that colours do not", async () => {
    const { stdout } = await succeed(["eval", "--load", at("hr"), "--json", ...quick]);
    expect(JSON.parse(stdout).rows[0].accuracy).toBeGreaterThan(0.9);
  });

  it("are predicted by the exported networks as by libtorch, in rounds, with pictures to look at", async () => {
    const images = at("chips", "test", "class1");
    const { stdout } = await succeed(["predict", "--load", at("policy"), images, "--overlay", at("seen"), ...quick]);
    await succeed(["export", "--load", at("policy"), "--out", at("onnx"), "--images", "4"]);
    const exported = await succeed(["predict", "--engine", "onnx", "--load", at("onnx"), images]);
    const own = linesOf(stdout);
    const other = linesOf(exported.stdout);
    expect(own).toHaveLength(12);
    for (const [n, { path, class: found, mask, rounds }] of own.entries()) {
      expect(other[n]).toMatchObject({ path, class: found, mask, rounds });
      expect(other[n].top![0].probability).toBeCloseTo(own[n].top![0].probability, 4);
    }
    expect(
      readFileSync(at("seen", images, "0.tif.png"))
        .subarray(1, 4)
        .toString(),
    ).toBe("PNG");
  });

  it.each([
    ["by names", "nir,red,green", ["nir", "red", "green"]],
    ["as grey", "4", ["nir", "nir", "nir"]],
    ["as colours without a choice", undefined, ["red", "green", "blue"]],
  ])(
    "are shown from their 2nd percentile to their 98th, %s, by libtorch and by ONNX Runtime",
    async (_, asked, shown) => {
      const image = at("chips", "test", "class1", "3.tif");
      const given = asked === undefined ? [] : ["--composite", asked];
      const { black, white } = readRunConfig(at("hr")).description!.stretch!;
      const stored = chip(1, new Random(1, "test", 1, 3));
      const expected = Uint8Array.from({ length: size * size * 3 }, (_, i) => {
        const value = stored[4 * Math.floor(i / 3) + bands.indexOf(shown[i % 3])];
        const n = ["red", "green", "blue", "nir"].indexOf(shown[i % 3]);
        return Math.max(0, Math.min(255, Math.round((255 * (value - black[n])) / (white[n] - black[n]))));
      });
      await succeed(["export", "--load", at("hr"), "--out", at("onnx-hr"), "--images", "2"]).catch(() => undefined);
      for (const [engine, load] of [
        ["libtorch", "hr"],
        ["onnx", "onnx-hr"],
      ]) {
        const out = at(`masked-${engine}-${asked}`);
        await succeed(["predict", "--engine", engine, "--load", at(load), image, "--masked", out, ...given]);
        const { data, info } = await sharp(join(out, `${image}.png`))
          .raw()
          .toBuffer({ resolveWithObject: true });
        expect(info).toMatchObject({ width: size, height: size, channels: 3 });
        expect(Buffer.compare(data, Buffer.from(expected))).toBe(0);
      }
    },
  );

  it("are looked at in a grid of 3 × 5 patches as in one of 4 × 4", async () => {
    const training = ["--model", "R8_Scenes", "--data_dir", at("chips"), "--batch_size", "16", ...chosen, ...quick];
    const once = ["--img_size", "60", "--max_epochs", "1"];
    await succeed(["classifier_training", ...training, ...once, "--cv_dir", at("hr60")]);
    const policy = [
      "--ckpt_hr_cl",
      at("hr60"),
      "--grid",
      "3x5",
      "--policy_head",
      "map",
      "--rounds",
      "3",
      "--fill",
      "lr",
    ];
    const values = ["--estimator", "values", "--reward", "priced", "--no_curriculum"];
    await succeed(["pretrain", ...training, ...once, ...policy, ...values, "--cv_dir", at("grid")]);
    const { stdout } = await succeed(["predict", "--load", at("grid"), at("chips", "test", "class0"), ...quick]);
    const own = linesOf(stdout);
    expect(own[0].mask).toHaveLength(15);
    await succeed(["export", "--load", at("grid"), "--out", at("onnx-grid"), "--images", "2"]);
    const other = linesOf(
      (await succeed(["predict", "--engine", "onnx", "--load", at("onnx-grid"), at("chips", "test", "class0")])).stdout,
    );
    expect(other.map(({ mask }) => mask)).toEqual(own.map(({ mask }) => mask));
  });

  it("are acquired from a scene as predict sees its windows, and written as they were measured", async () => {
    const [columns, width] = [3, 3 * size];
    const windows = Array.from({ length: columns }, (_, n) => chip(n % 2, new Random(2, "scene", n)));
    const scene = new Uint16Array(width * size * 4);
    for (const [n, window] of windows.entries()) {
      await write(at(`window${n}.tif`), window, size);
      for (let row = 0; row < size; row++) {
        scene.set(window.subarray(row * size * 4, (row + 1) * size * 4), (row * width + n * size) * 4);
      }
    }
    await write(at("scene.tif"), scene, width, 2);
    await succeed(["acquire", "--load", at("policy"), at("scene.tif"), "--out", at("acquired"), ...quick]);
    const acquired = linesOf(readFileSync(at("acquired", "predictions.jsonl"), "utf8"));
    const paths = windows.map((_, n) => at(`window${n}.tif`));
    const predicted = linesOf((await succeed(["predict", "--load", at("policy"), ...paths, ...quick])).stdout);
    expect(acquired.map(({ mask, class: found }) => ({ mask, found }))).toEqual(
      predicted.map(({ mask, class: found }) => ({ mask, found })),
    );
    expect(acquired.some(({ patches }) => patches! > 0)).toBe(true);
    if (noGdal) return;
    const info = JSON.parse(execFileSync("gdalinfo", ["-json", at("acquired", "masked.tif")], { encoding: "utf8" }));
    expect(info.bands.map(({ type, description }: Record<string, string>) => [type, description])).toEqual(
      ["red", "green", "blue", "nir"].map((name) => ["Float32", name]),
    );
    const [first] = acquired;
    const patch = first.mask!.indexOf("1");
    const [x, y] = [8 * (patch % 4) + 3, 8 * Math.floor(patch / 4) + 5];
    const there = execFileSync("gdallocationinfo", ["-valonly", at("acquired", "masked.tif"), `${x}`, `${y}`], {
      encoding: "utf8",
    });
    const pixel = scene.subarray((y * width + x) * 4, (y * width + x) * 4 + 4);
    expect(there.trim().split("\n").map(Number)).toEqual([pixel[2], pixel[1], pixel[0], pixel[3]]);
  });

  it.each([
    [
      "a band that a scene lacks",
      ["acquire", "--load", "policy", "scene.tif", "--out", "no", "--bands", "red,green,blue,swir16"],
      /^error: --bands: must name one band of \S+scene\.tif, got swir16; it has blue, green, red, nir$/m,
      2,
    ],
    [
      "black and white for a run of measured values",
      ["acquire", "--load", "policy", "scene.tif", "--out", "no", "--scale", "0,3000"],
      /^error: --scale: must be left out for \S+scene\.tif, whose values are taken as they were measured, got 0,3000$/m,
      2,
    ],
    [
      "other bands than the run has learned from",
      ["eval", "--load", "hr", "--bands", "red,green,blue"],
      /^error: --bands: must be the bands that the run has learned from: red, green, blue, nir, got red, green, blue$/m,
      2,
    ],
    [
      "bands to show that the run has not",
      ["predict", "--load", "hr", "scene.tif", "--masked", "no", "--composite", "swir16,nir,red"],
      /^error: --composite: must be bands of the run: red, green, blue, nir, got swir16$/m,
      2,
    ],
    [
      "bands to show in a report, before it evaluates",
      ["report", "policy", "--out", "no.html", "--composite", "5"],
      /^error: --composite: must be bands of the run: red, green, blue, nir, got 5$/m,
      2,
    ],
    [
      "seventeen bands",
      ["data", "stats", "--data_dir", "chips", "--bands", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"],
      /^error: --bands: must be 1 to 16 bands, by their numbers counted from 1, or by their names/m,
      2,
    ],
  ])("are refused: %s", async (_, words, message, code) => {
    const names = ["policy", "hr", "scene.tif", "no", "chips", "no.html"];
    const ended = await patchdrop(words.map((word) => (names.includes(word) ? at(word) : word)));
    expect(ended.stderr).toMatch(message);
    expect(ended.code).toBe(code);
  });
});
