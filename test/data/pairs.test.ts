/** Pairs: lists with a column low, and what becomes of the two pictures. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkData } from "../../src/data/check.ts";
import { listCsv } from "../../src/data/csv-list.ts";
import { statisticsOfData } from "../../src/data/data-statistics.ts";
import { type Dataset, readImages, roomFor } from "../../src/data/dataset.ts";
import { openListed } from "../../src/data/image-folder.ts";
import { cifarNormalization, imageNetNormalization } from "../../src/data/normalizations.ts";
import { openDataSplits } from "../../src/data/open.ts";
import { takeNearest } from "../../src/data/resize.ts";
import { drawsOf, type TransformName, transforms } from "../../src/data/transforms.ts";
import { withValidation } from "../../src/data/validation.ts";
import type { PatchDropError } from "../../src/errors.ts";
import { lowPixels } from "../../src/method/pixels.ts";
import { joinPair, splitPair } from "../../src/utils/pairs.ts";
import { Random } from "../../src/utils/random.ts";
import { plainTiff } from "../formats/plain-tiff.ts";
import { makeFolders } from "../make-folders.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const random = new Random(1, "pairs of pictures");
const noise = (length: number) => Uint8Array.from({ length }, () => random.integer(256));
const picture = (width: number, height = width) => ({ pixels: noise(width * height * 3), width, height });
const png = ({ pixels, width, height }: ReturnType<typeof picture>) =>
  sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();

it("two pictures lie in one array, pixel by pixel", () => {
  const joined = joinPair(Uint8Array.of(1, 2, 3, 4), Uint8Array.of(5, 6, 7, 8), 2);
  expect([...joined]).toEqual([1, 2, 5, 6, 3, 4, 7, 8]);
  expect(splitPair(joined, 2)).toEqual({ image: Uint8Array.of(1, 2, 3, 4), low: Uint8Array.of(5, 6, 7, 8) });
});

it("the low picture's pixels are those under the middles of the image's", () => {
  // Two pixels beside each other, stretched to five: middles 0.5, 1.5, … of 5 are 0.2, 0.6, 1, 1.4, 1.8 of 2.
  const low = { pixels: Uint8Array.of(10, 20), width: 2, height: 1 };
  const row = { left: 0, top: 0, width: 5, height: 1 };
  expect([...takeNearest(low, { width: 5, height: 1 }, row)]).toEqual([10, 10, 20, 20, 20]);
  expect([...takeNearest(low, { width: 5, height: 1 }, { ...row, left: 1, width: 2 })]).toEqual([10, 20]);
});

describe("a transform", () => {
  const pairTo = (
    name: TransformName,
    size: number,
    image: ReturnType<typeof picture>,
    low: ReturnType<typeof picture>,
  ) => {
    const out = new Uint8Array(size * size * 6);
    transforms[name]({ ...image, low }, size, out);
    return splitPair(out, 3);
  };

  it.each([
    ["cifar", 32, 8, 32],
    ["cifar", 32, 8, 45],
    ["cifar", 32, 8, 500],
    ["fmow", 224, 56, 224],
    ["fmow", 224, 56, 301],
    ["fmow", 60, 20, 33],
  ] as const)(
    "%s to %i pixels keeps a low picture of %i to the byte, beside an image of %i",
    (name, size, lowSize, own) => {
      const [image, low] = [picture(own), picture(lowSize)];
      const pair = pairTo(name, size, image, low);
      expect(lowPixels(pair.low, size, lowSize, 3)).toEqual(low.pixels);
      const alone = new Uint8Array(size * size * 3);
      transforms[name](image, size, alone);
      expect(pair.image).toEqual(alone);
    },
  );

  it("imagenet's crop cuts as much of the low picture: 56 of 64 pixels", () => {
    const low = picture(64);
    const got = lowPixels(pairTo("imagenet", 224, picture(301), low).low, 224, 56, 3);
    const rows = Array.from({ length: 56 }, (_, y) =>
      low.pixels.subarray(((y + 4) * 64 + 4) * 3, ((y + 4) * 64 + 60) * 3),
    );
    expect(got).toEqual(Uint8Array.from(rows.flatMap((row) => [...row])));
  });

  it.each([
    ["cifar", 32],
    ["imagenet", 28],
    ["fmow", 32],
  ] as const)("%s crops and mirrors both pictures alike in training", (name, size) => {
    // As large as the image is resized to: then both halves are to be the same, if the same is done to both.
    const image = { ...picture(32, name === "fmow" ? 41 : 32) };
    const made = new Set<string>();
    for (let slot = 0; slot < 20; slot++) {
      const draws = () => drawsOf({ seed: 1, epoch: 0, firstPosition: 0 })(slot);
      const out = new Uint8Array(size * size * 6);
      transforms[name]({ ...image, low: image }, size, out, draws());
      const { image: own, low } = splitPair(out, 3);
      expect(low).toEqual(own);
      const alone = new Uint8Array(size * size * 3);
      transforms[name](image, size, alone, draws());
      expect(own).toEqual(alone);
      made.add(String(own));
    }
    expect(made.size).toBeGreaterThan(5);
  });
});

/** Lists of six training and two test pairs, of two classes. */
async function makeData() {
  const folder = temporaryFolder(onTestFinished);
  const files: Record<string, string | Uint8Array> = {};
  const lows: Uint8Array[] = [];
  for (const [split, count] of [
    ["train", 6],
    ["test", 2],
  ] as const) {
    const lines = ["low,label,location"];
    for (let n = 0; n < count; n++) {
      const low = picture(8);
      if (split === "train") lows.push(low.pixels);
      files[`sharp/${split}${n}.png`] = await png(picture(32));
      files[`coarse/${split}${n}.png`] = await png(low);
      lines.push(`coarse/${split}${n}.png,${n % 2},sharp/${split}${n}.png`);
    }
    files[`${split}.csv`] = lines.join("\n");
  }
  return { dataDir: makeFolders(folder, files), lows };
}

const allOf = ({ length }: Dataset) => Uint32Array.from({ length }, (_, index) => index);
async function pixelsOf(dataset: Dataset, augmented: boolean) {
  const out = roomFor(dataset, dataset.length);
  await readImages(dataset, allOf(dataset), out, augmented ? { seed: 1, epoch: 2, firstPosition: 0 } : undefined);
  return out;
}

describe("a list with a column low", () => {
  it("gives pairs, in memory, from the cache and from files alike", async () => {
    const { dataDir, lows } = await makeData();
    const cacheDir = temporaryFolder(onTestFinished);
    const list = await listCsv(dataDir);
    const open = (memoryLimit?: number) =>
      openListed(list, { dataDir, imageSize: 32, cacheDir, parallel: 1, ...(memoryLimit === 0 && { memoryLimit }) });
    const [kept, cached, streamed] = [await open(), await open(), await open(0)];
    expect(kept.train.inMemory).toBeDefined();
    expect(streamed.train.inMemory).toBeUndefined();
    for (const augmented of [false, true]) {
      const own = await pixelsOf(kept.train, augmented);
      expect(await pixelsOf(cached.train, augmented)).toEqual(own);
      expect(await pixelsOf(streamed.train, augmented)).toEqual(own);
    }
    const { low } = splitPair(await pixelsOf(kept.train, false), 3);
    expect(lowPixels(low, 32, 8, 3)).toEqual(Uint8Array.from(lows.flatMap((pixels) => [...pixels])));
  });

  it("has the statistics of the low pictures by themselves, measured; of its images, those in common use", async () => {
    const { dataDir, lows } = await makeData();
    for (const [imageSize, common] of [
      [32, cifarNormalization],
      [224, imageNetNormalization],
    ] as const) {
      const { train, test } = await openDataSplits({
        dataDir,
        imageSize,
        cacheDir: temporaryFolder(onTestFinished),
        parallel: 1,
      });
      expect(train.normalization).toEqual(common);
      for (const band of [0, 1, 2]) {
        const values = lows.flatMap((pixels) =>
          [...pixels].filter((_, at) => at % 3 === band).map((byte) => byte / 255),
        );
        const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
        const std = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
        expect(train.low!.mean[band]).toBeCloseTo(mean, 9);
        expect(train.low!.std[band]).toBeCloseTo(std, 9);
      }
      expect(test.low).toEqual(train.low);
    }
    const measured = await statisticsOfData({ data_dir: dataDir });
    expect(measured.map(({ band }) => band)).toEqual(["red", "green", "blue", "low red", "low green", "low blue"]);
  });

  it("has what a run has seen in the place of what would be measured", async () => {
    const { dataDir } = await makeData();
    const low = { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };
    const form = {
      bands: ["red", "green", "blue"],
      pixelType: "uint8",
      normalization: cifarNormalization,
      low,
    } as const;
    const { train } = await openDataSplits({ dataDir, imageSize: 32, form, cacheDir: temporaryFolder(onTestFinished) });
    expect(train.low).toEqual(low);
  });

  it("holds out pairs to choose by", async () => {
    const { dataDir } = await makeData();
    const data = await openDataSplits({ dataDir, imageSize: 32, cacheDir: temporaryFolder(onTestFinished) });
    const { val } = withValidation(data, 0.34);
    expect(val?.low).toEqual(data.train.low);
    expect(await pixelsOf(val!, false)).toHaveLength(val!.length * 32 * 32 * 6);
  });

  it("changes what a run that is resumed must find, where it names other files", async () => {
    const { dataDir } = await makeData();
    const of = async () =>
      (await openDataSplits({ dataDir, imageSize: 224, cacheDir: temporaryFolder(onTestFinished) })).train.fingerprint;
    const before = await of();
    const lines = [
      "low,label,location",
      ...[0, 1, 2, 3, 4, 5].map((n) => `coarse/train${5 - n}.png,${n % 2},sharp/train${n}.png`),
    ];
    writeFileSync(join(dataDir, "train.csv"), lines.join("\n"));
    expect(await of()).not.toBe(before);
  });

  it("takes the same bands of TIFFs of both, as they were measured", async () => {
    const folder = temporaryFolder(onTestFinished);
    const tiff = (side: number, values: (x: number, y: number) => number[]) =>
      plainTiff([{ width: side, height: side, bands: 2, photometric: 1, samples: "1/16", pixel: values, fields: [] }]);
    const files: Record<string, string | Uint8Array> = {};
    for (const split of ["train", "test"]) {
      files[`${split}.csv`] = [
        "label,location,low",
        `0,${split}0.tif,${split}0low.tif`,
        `1,${split}1.tif,${split}1low.tif`,
      ].join("\n");
      for (const n of [0, 1]) {
        files[`${split}${n}.tif`] = tiff(4, (x, y) => [100 + x + 4 * y, 200 + n]);
        files[`${split}${n}low.tif`] = tiff(2, (x, y) => [1000 + n, 3000 + x + 2 * y]);
      }
    }
    const dataDir = makeFolders(folder, files);
    const options = {
      dataDir,
      imageSize: 4,
      transform: "cifar",
      rendering: { bands: [2, 1] },
      cacheDir: join(folder, "cache"),
    } as const;
    const { train } = await openDataSplits(options);
    expect(train).toMatchObject({ pixelType: "float32", bands: ["band 2", "band 1"] });
    expect(train.low!.mean).toEqual([3001.5, 1000.5]);
    expect(train.normalization.mean).toEqual([200.5, 107.5]);
    const { image, low } = splitPair(await pixelsOf(train, false), 2);
    expect([...image.slice(0, 4)]).toEqual([200, 100, 200, 101]);
    expect([...lowPixels(low.slice(0, 32), 4, 2, 2)]).toEqual([3000, 1000, 3001, 1000, 3002, 1000, 3003, 1000]);
    // Nothing is known where an image was shifted: the mean of each band of each picture, at the same places.
    const shifted = splitPair(await pixelsOf(train, true), 2);
    const means = [shifted.image, shifted.low].map((part, n) => {
      const { mean } = [train.normalization, train.low!][n];
      return Array.from(
        { length: part.length / 2 },
        (_, at) => part[2 * at] === mean[0] && part[2 * at + 1] === mean[1],
      );
    });
    expect(means[0]).toContain(true);
    expect(means[1]).toEqual(means[0]);
  });
});

describe("a list with a column low is refused, by name:", () => {
  const lists = (train: string, test = "label,location,low\n0,t.png,u.png\n1,t.png,u.png\n") => ({
    "train.csv": train,
    "test.csv": test,
  });
  const refusal = async (files: Record<string, string | Uint8Array>, work: (dataDir: string) => Promise<unknown>) => {
    const dataDir = makeFolders(temporaryFolder(onTestFinished), files);
    const error = await work(dataDir).then(
      () => Promise.reject(new Error("it was read")),
      (thrown: PatchDropError) => thrown,
    );
    return error.message.replaceAll(dataDir, "D");
  };

  it.each([
    [
      "an empty cell",
      lists("label,location,low\n0,a.png,b.png\n1,c.png,\n"),
      "D/train.csv:3, column 3 (low): must be the path of an image, got nothing",
    ],
    [
      "a cell that is not there",
      lists("label,location,low\n0,a.png,b.png\n1,c.png\n"),
      "D/train.csv:3: must have 3 columns, got 2",
    ],
    [
      "a place outside",
      lists("label,location,low\n0,a.png,../b.png\n"),
      "D/train.csv:2, column 3 (low): must not lead out of the data folder, got ../b.png",
    ],
    [
      "a list beside it without",
      lists("label,location\n0,a.png\n", undefined),
      "D/train.csv: must have a column low, as test.csv has; give all lists the column, or none",
    ],
  ])("%s", async (_, files, message) => {
    expect(await refusal(files, (dataDir) => listCsv(dataDir))).toBe(message);
  });

  it.each([
    ["a low picture that is missing", undefined, "its low picture D/low.png: there is no such file"],
    [
      "one that is none",
      "text",
      "its low picture D/low.png: not JPEG, PNG, WebP or TIFF, since it begins with text; convert it to one of them",
    ],
  ])("%s", async (_, low, reason) => {
    const csv = "label,location,low\n0,a.png,a.png\n1,b.png,low.png\n";
    const files = {
      "train.csv": csv,
      "test.csv": "label,location,low\n0,c.png,c.png\n1,c2.png,c.png\n",
      ...(low && { "low.png": low }),
    };
    const pictures = Object.fromEntries(
      await Promise.all(["a.png", "b.png", "c.png", "c2.png"].map(async (name) => [name, await png(picture(16))])),
    );
    const all = { ...files, ...pictures };
    for (const imageSize of [32, 224]) {
      const read = async (dataDir: string) => {
        const { train } = await openDataSplits({ dataDir, imageSize, cacheDir: temporaryFolder(onTestFinished) });
        await pixelsOf(train, false);
      };
      expect(await refusal(all, read)).toContain(`D/b.png: must be a whole image, got ${reason}`);
    }
    const dataDir = makeFolders(temporaryFolder(onTestFinished), all);
    const { images, unreadable } = await checkData({ dataDir });
    expect(images).toBe(4);
    expect(unreadable.map(({ path, reason: said }) => [path, said].join(": ").replaceAll(dataDir, "D"))).toEqual([
      `D/b.png: ${reason}`,
    ]);
  });

  it("a low picture of other bands", async () => {
    const tiff = (bands: number) =>
      plainTiff([
        {
          width: 2,
          height: 2,
          bands,
          photometric: 1,
          samples: "1/8",
          pixel: (x, y) => Array.from({ length: bands }, (_, b) => 9 * b + x + 2 * y),
          fields: [],
        },
      ]);
    const csv = (one: string) => `label,location,low\n0,${one}0.tif,${one}0.tif\n1,${one}1.tif,low.tif\n`;
    const sharpOnes = ["a0", "a1", "t0", "t1"].map((name) => [`${name}.tif`, tiff(4)]);
    const files = { "train.csv": csv("a"), "test.csv": csv("t"), "low.tif": tiff(3), ...Object.fromEntries(sharpOnes) };
    const open = (dataDir: string) =>
      openDataSplits({
        dataDir,
        imageSize: 32,
        rendering: { bands: [1, 2, 3, 4] },
        cacheDir: temporaryFolder(onTestFinished),
      });
    expect(await refusal(files, open)).toContain(
      "D/a1.tif: must be a whole image, got its low picture D/low.tif: --bands: must be from 1 to 3 for this TIFF, got 1,2,3,4",
    );
  });
});
