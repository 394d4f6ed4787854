/** Bands as they were measured: names, nodata, scale and offset of GDAL's, and statistics worked by hand. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { measureBands, normalizationOf, statisticsTable } from "../../src/data/band-statistics.ts";
import { decodePixels } from "../../src/data/decode.ts";
import { DecodeMemory } from "../../src/data/decode-memory.ts";
import { openDataSplits } from "../../src/data/open.ts";
import type { RenderingOptions } from "../../src/data/rendering.ts";
import type { PixelType } from "../../src/utils/pixel-array.ts";
import { type PlainField, type PlainLevel, plainTiff } from "../formats/plain-tiff.ts";
import { makeFolders } from "../make-folders.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const ascii = (tag: number, text: string): PlainField => [tag, "ascii", [...Buffer.from(`${text}\0`)]];
const metadata = (...items: string[]) => ascii(42_112, `<GDALMetadata>\n  ${items.join("\n  ")}\n</GDALMetadata>`);
const item = (role: string, sample: number, text: string) =>
  `<Item name="${role.toUpperCase()}" sample="${sample}" role="${role}">${text}</Item>`;
const nodata = (text: string) => ascii(42_113, text);

/** One row of pixels. */
function row(pixels: readonly (readonly number[])[], fields: readonly PlainField[], more: Partial<PlainLevel> = {}) {
  const [{ length: bands }] = pixels;
  const level = { width: pixels.length, height: 1, bands, photometric: 1, samples: "1/16" } as const;
  return plainTiff([{ ...level, pixel: (x) => pixels[x], fields, ...more }]);
}

async function read(bytes: Uint8Array, rendering: RenderingOptions, pixelType?: PixelType): Promise<number[] | string> {
  const path = join(temporaryFolder(onTestFinished), "x.tif");
  writeFileSync(path, bytes);
  return decodePixels(path, new DecodeMemory(), { rendering, pixelType }).then(
    ({ pixels }) => [...pixels],
    ({ message }: Error) => message,
  );
}

const two = [
  [10, 1000],
  [0, 3000],
] as const;

describe("a TIFF's values", () => {
  it("are as they were measured, where nothing says what is black and white", async () => {
    expect(await read(row(two, []), { bands: [2, 1] })).toEqual([1000, 10, 3000, 0]);
    expect(await read(row(two, []), { bands: [2] })).toEqual([1000, 3000]);
  });

  it("have the file's scale and offset, band by band", async () => {
    const fields = [metadata(item("scale", 1, "0.5"), item("offset", 1, "-100"), item("offset", 0, "7"))];
    expect(await read(row(two, fields), { bands: [1, 2] })).toEqual([17, 400, 7, 1400]);
  });

  it("are missing where there is the value of no data, or no number", async () => {
    expect(await read(row(two, [nodata("0")]), { bands: [1, 2] })).toEqual([10, 1000, Number.NaN, 3000]);
    const floats = { samples: "3/32" } as const;
    const values = [
      [Number.NaN, -3.4028234663852886e38],
      [Number.POSITIVE_INFINITY, 0.1],
    ];
    const fields = [nodata("-3.4028234663852886e+38")];
    expect(await read(row(values, fields, floats), { bands: [1, 2] })).toEqual([
      ...[Number.NaN, Number.NaN, Number.NaN],
      Math.fround(0.1),
    ]);
  });

  it("are missing of bytes, too, in a run on measured values; in one on bytes, nodata is a value like others", async () => {
    const bytes = row([[0, 7, 255]], [nodata("0")], { samples: "1/8" });
    expect(await read(bytes, { bands: [1, 2, 3] }, "float32")).toEqual([Number.NaN, 7, 255]);
    expect(await read(bytes, { bands: [1, 2, 3] }, "uint8")).toEqual([0, 7, 255]);
    expect(await read(bytes, { bands: [1, 2, 3] })).toEqual([0, 7, 255]);
  });

  it("are found by their bands' names, in any case", async () => {
    const fields = [metadata(item("description", 0, "Red"), item("description", 1, "NIR &amp; more"))];
    expect(await read(row(two, fields), { bands: ["nir & more", "red"] })).toEqual([1000, 10, 3000, 0]);
    expect(await read(row(two, fields), { bands: ["swir16"] })).toBe(
      "--bands: must name one band of this TIFF, got swir16; it has Red, NIR & more",
    );
    expect(await read(row(two, []), { bands: ["red"] })).toBe(
      "--bands: must name one band of this TIFF, got red; give its number, since the file names none",
    );
  });

  it("stay bytes where they are, of any number of bands", async () => {
    const bytes = { samples: "1/8" } as const;
    expect(await read(row([[1, 2, 3, 4]], [], bytes), { bands: [4, 4, 1, 2, 3] })).toEqual([4, 4, 1, 2, 3]);
  });

  it.each([
    ["no number", "x"],
    ["nothing", ""],
    ["0, which would make all values one", "0"],
    ["infinite", "1e999"],
  ])("are refused with a scale that is %s", async (_, text) => {
    const got = text === "" ? '""' : text;
    expect(await read(row(two, [metadata(item("scale", 0, text))]), { bands: [1] })).toMatch(
      new RegExp(`^this TIFF: GDAL_METADATA: the scale of band 1 must be a number, got ${got}`),
    );
  });
});

/** Two images of two bands, the second of which has no data twice. */
function folderOfTwo(): string[] {
  const folder = makeFolders(temporaryFolder(onTestFinished), {
    "a.tif": row(
      [
        [1, 5],
        [2, 0],
      ],
      [nodata("0")],
    ),
    "b.tif": row(
      [
        [3, 0],
        [6, 8],
      ],
      [nodata("0")],
    ),
  });
  return ["a.tif", "b.tif"].map((name) => join(folder, name));
}

const measured = (paths: readonly string[]) =>
  measureBands(paths, ["red", "nir"], { memory: new DecodeMemory(), rendering: { bands: [1, 2] }, parallel: 2 });

describe("what is measured of bands", () => {
  it("is over all pixels that have data", async () => {
    // 1, 2, 3, 6: mean 3, squares 4 + 1 + 0 + 9. And 5, 8: mean 6.5, squares 2 · 2.25.
    const statistics = await measured(folderOfTwo());
    expect(statistics).toEqual([
      { band: "red", mean: 3, std: Math.sqrt(14 / 4), least: 1, most: 6, p2: 1, p98: 6, pixels: 4, missing: 0 },
      { band: "nir", mean: 6.5, std: 1.5, least: 5, most: 8, p2: 5, p98: 8, pixels: 2, missing: 2 },
    ]);
    expect(statisticsTable(statistics).split("\n")).toEqual([
      "band  mean      std  least  2 %  98 %  most  without data",
      "red      3  1.87083      1    1     6     6        0.00 %",
      "nir    6.5      1.5      5    5     8     8       50.00 %",
    ]);
  });

  it("keeps its digits where the mean is large beside the spread", async () => {
    const values = Array.from({ length: 1000 }, (_, n) => [60_000 + (n % 3), 1]);
    const folder = makeFolders(temporaryFolder(onTestFinished), { "a.tif": row(values, []) });
    const [{ mean, std }] = await measured([join(folder, "a.tif")]);
    const whole = values.map(([value]) => value - 60_000);
    const center = whole.reduce((sum, value) => sum + value, 0) / 1000;
    expect(mean - 60_000).toBeCloseTo(center, 9);
    expect(std).toBeCloseTo(Math.sqrt(whole.reduce((sum, value) => sum + (value - center) ** 2, 0) / 1000), 9);
  });

  it("is in units of 0..1 of bytes", async () => {
    const folder = makeFolders(temporaryFolder(onTestFinished), {
      "a.tif": row(
        [
          [0, 51],
          [255, 102],
        ],
        [],
        { samples: "1/8" },
      ),
    });
    const [red, nir] = await measured([join(folder, "a.tif")]);
    expect([red.mean, red.std, nir.least, nir.most, nir.p2, nir.p98]).toEqual([0.5, 0.5, 0.2, 0.4, 0.2, 0.4]);
  });

  it("is nothing of a band without data, of one that is the same everywhere, and of files that can't be read", async () => {
    const folder = makeFolders(temporaryFolder(onTestFinished), {
      "none.tif": row(
        [
          [1, 0],
          [2, 0],
        ],
        [nodata("0")],
      ),
      "flat.tif": row(
        [
          [1, 4],
          [2, 4],
        ],
        [],
      ),
      "broken.tif": "II*\0",
    });
    const at = (name: string) => join(folder, name);
    await expect(measured([at("none.tif")])).rejects.toThrow(
      "band nir: must have data, got nodata everywhere; leave it out of --bands",
    );
    const flat = await measured([at("flat.tif")]);
    expect(() => normalizationOf(flat)).toThrow(
      "band nir: must not be the same everywhere, got 4; leave it out of --bands",
    );
    await expect(measured([at("broken.tif")])).rejects.toThrow(
      /^training images: must hold one that can be read, got none of 1: /,
    );
  });
});

describe("a data set of measured values", () => {
  const chips = () => {
    const square = (value: number) => {
      const level = { width: 2, height: 2, bands: 2, photometric: 1, samples: "1/16" } as const;
      const pixel = (x: number, y: number) => [value + x + 2 * y, x + y === 0 ? 0 : value];
      return plainTiff([{ ...level, pixel, fields: [nodata("0")] }]);
    };
    return makeFolders(temporaryFolder(onTestFinished), {
      ...{ "train/a/1.tif": square(10), "train/a/2.tif": square(20), "train/b/1.tif": square(30) },
      ...{ "test/a/1.tif": square(15), "test/b/1.tif": square(25) },
    });
  };

  it.each([
    ["in memory", "cifar"],
    ["read from its files", "imagenet"],
  ] as const)(
    "has the statistics of its training images, and their mean where data are missing: %s",
    async (_, transform) => {
      const dataDir = chips();
      const cacheDir = temporaryFolder(onTestFinished);
      const options = { dataDir, imageSize: 2, transform, rendering: { bands: [2] }, cacheDir } as const;
      const { train, test } = await openDataSplits(options);
      // 10, 20 and 30, each three times.
      const std = Math.sqrt(200 / 3);
      expect(train).toMatchObject({ bands: ["band 2"], pixelType: "float32" });
      expect(train.normalization).toEqual({ mean: [20], std: [expect.closeTo(std, 9)] });
      expect(test.normalization).toEqual(train.normalization);
      const out = new Float32Array(4);
      if (transform === "cifar") {
        await test.read(Uint32Array.of(0), out);
        expect([...out]).toEqual([20, 15, 15, 15]);
      }
      // Enlarged a little, for its crops: what has no data does not darken its neighbours.
      await test.read(Uint32Array.of(1), out);
      expect([...out].every((value) => value === 25 || value === 20)).toBe(true);
      const kept = readdirSync(cacheDir).filter((name) => name.endsWith(".bands.json"));
      expect(kept).toHaveLength(1);
      writeFileSync(join(cacheDir, kept[0]), "[]");
      expect((await openDataSplits(options)).train.normalization).toEqual(train.normalization);
    },
  );

  it("has other files' types refused, where they are met", async () => {
    const dataDir = chips();
    const level = { width: 2, height: 2, bands: 2, photometric: 1, samples: "1/16" } as const;
    writeFileSync(join(dataDir, "train/b/1.tif"), plainTiff([{ ...level, bands: 1, pixel: () => [1] }]));
    const rendering = { bands: [2] } as const;
    const cacheDir = temporaryFolder(onTestFinished);
    await expect(openDataSplits({ dataDir, imageSize: 2, transform: "cifar", rendering, cacheDir })).rejects.toThrow(
      /b\/1\.tif: .*--bands: must be from 1 to 1 for this TIFF, got 2/,
    );
  });
});
