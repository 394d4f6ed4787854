/**
 * TIFF pictures whose values are no colours: which bands and values become which colours, from files of tifffile in all types and
 * layouts, and from values by hand.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkData } from "../../src/data/check.ts";
import { decodePixels } from "../../src/data/decode.ts";
import { DecodeMemory } from "../../src/data/decode-memory.ts";
import { describeData } from "../../src/data/describe-data.ts";
import { cacheKey } from "../../src/data/image-cache.ts";
import { openDataSplits } from "../../src/data/open.ts";
import { readImage } from "../../src/data/read-image.ts";
import type { RenderingOptions } from "../../src/data/rendering.ts";
import { Random } from "../../src/utils/random.ts";
import { type PlainField, type PlainLevel, plainTiff } from "../formats/plain-tiff.ts";
import { damaged, mutations } from "../fuzz.ts";
import { makeFolders } from "../make-folders.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const [whiteIsZero, blackIsZero, rgb] = [0, 1, 2];

function written(bytes: Uint8Array, name = "x.tif"): string {
  const path = join(temporaryFolder(onTestFinished), name);
  writeFileSync(path, bytes);
  return path;
}

/** Its pixels, or why it is refused. */
async function read(bytes: Uint8Array, rendering: RenderingOptions): Promise<number[] | string> {
  return decodePixels(written(bytes), new DecodeMemory(), { rendering, pixelType: "uint8" }).then(
    ({ pixels }) => [...pixels],
    ({ message }: Error) => message,
  );
}

/** One row of pixels. */
function row(pixels: readonly (readonly number[])[], photometric: number, more: Partial<PlainLevel> = {}): Buffer {
  const [{ length: bands }] = pixels;
  return plainTiff([{ width: pixels.length, height: 1, bands, photometric, pixel: (x) => pixels[x], ...more }]);
}

const signed = (bands: number): Partial<PlainLevel> => ({
  samples: "1/16",
  fields: [[339, "short", Array(bands).fill(2)]],
});
const inBits16 = (value: number) => value & 0xffff;

describe("files of tifffile", () => {
  const files: Record<string, string> = JSON.parse(readFileSync(new URL("value-tiffs.json", import.meta.url), "utf8"));
  /** The values of the numbers 0 and 255, by the rules of scripts/fixtures/make-value-tiffs.py: each number is then itself. */
  const scales: Record<string, readonly [number, number]> = {
    uint8: [0, 255],
    int8: [-128, 127],
    uint16: [0, 65_535],
    int16: [-9000, 16_500],
    uint32: [0, 4_294_967_295],
    int32: [-900_000_000, 1_650_000_000],
    float32: [-30, 33.75],
  };

  it("are there in all types and layouts", () => {
    expect(Object.keys(files)).toHaveLength(7 * 4 + 3);
  });

  it.each(Object.keys(files))("%s", async (name) => {
    const bands = name.includes("13 bands") ? ([13, 8, 4] as const) : ([4, 1, 2] as const);
    const [type] = name.split(",");
    const bytes = Buffer.from(files[name], "base64");
    const pixels = Array.from({ length: 7 * 18 }, (_, i) => {
      const [x, y] = [i % 18, Math.floor(i / 18)];
      return bands.map((band) => 40 * ((band - 1) % 5) + 9 * y + x);
    });
    expect(await read(bytes, { bands, scale: scales[type] })).toEqual(pixels.flat());
  });
});

describe("values by hand", () => {
  it("are linear from black to white, rounded, and cut at both ends", async () => {
    // (v − 1000) · 255 / 1000: 25.5 and 127.5 are rounded up, 63.75 to the nearest.
    const bytes = row(
      [
        [1000, 2000, 1100],
        [999, 2001, 1500],
        [0, 65_535, 1250],
      ],
      blackIsZero,
      { samples: "1/16" },
    );
    expect(await read(bytes, { bands: [1, 2, 3], scale: [1000, 2000] })).toEqual([0, 255, 26, 0, 255, 128, 0, 255, 64]);
  });

  it("of floating point that are not numbers are black, and infinite ones black or white", async () => {
    const { NaN: none, POSITIVE_INFINITY: most, NEGATIVE_INFINITY: least } = Number;
    const bytes = row([[none], [most], [least], [0.5], [-1], [0.2]], blackIsZero, { samples: "3/32" });
    // 0.2 · 255 = 51.
    const greys = [0, 255, 0, 128, 0, 51];
    expect(await read(bytes, { bands: [1, 1, 1], scale: [0, 1] })).toEqual(greys.flatMap((grey) => [grey, grey, grey]));
  });

  it("may be negative", async () => {
    const bytes = row([[-100, 20, -50].map(inBits16)], blackIsZero, signed(3));
    // (v + 100) · 255 / 200.
    expect(await read(bytes, { bands: [1, 2, 3], scale: [-100, 100] })).toEqual([0, 153, 64]);
  });

  it("of bytes need no scale; a zero that is white is white, unless a scale says what the values are", async () => {
    const five = row([[1, 2, 3, 4, 255]], blackIsZero);
    expect(await read(five, { bands: [5, 4, 1] })).toEqual([255, 4, 1]);
    const white = row([[10]], whiteIsZero);
    expect(await read(white, { bands: [1, 1, 1] })).toEqual([245, 245, 245]);
    expect(await read(white, { bands: [1, 1, 1], scale: [0, 255] })).toEqual([10, 10, 10]);
  });

  it("of RGB need no bands, and a fourth band is passed over", async () => {
    const bytes = row([[0, 3000, 1500, 9]], rgb, { samples: "1/16", fields: [[338, "short", [0]]] });
    expect(await read(bytes, { scale: [0, 3000] })).toEqual([0, 255, 128]);
  });

  it("of colours that are read anyway are the same with the bands said", async () => {
    const bytes = row(
      [
        [1, 2, 3],
        [200, 100, 50],
      ],
      rgb,
    );
    const plain = await read(bytes, {});
    expect(plain).toEqual([1, 2, 3, 200, 100, 50]);
    expect(await read(bytes, { bands: [1, 2, 3], scale: [0, 255] })).toEqual(plain);
  });
});

describe("what does not fit is refused", () => {
  const grey16 = row([[1, 2, 3]], blackIsZero, { samples: "1/16" });
  const bandsAsked = "--bands: must say which three of the bands of this TIFF are red, green and blue, got none for";

  it.each<[string, Uint8Array, RenderingOptions, string]>([
    [
      "bands that are no colours, without --bands",
      grey16,
      { scale: [0, 9] },
      `${bandsAsked} 3 bands; give for example --bands 1,2,3`,
    ],
    [
      "values that are no bytes, without --scale",
      grey16,
      { bands: [1, 2, 3] },
      "--scale: must say which values of this TIFF are black and white, since its samples are not bytes, got none for uint16; give for example --scale 0,3000 (0,65535 for the whole range)",
    ],
    [
      "bytes by the scale of wider values, which would make them black",
      row([[10, 20, 30]], rgb),
      { scale: [0, 65_535] },
      "--scale: must lie within 0 … 255 for this TIFF, whose samples are bytes, got 0,65535; give --scale 0,255 for it",
    ],
    [
      "a band that is not there",
      grey16,
      { bands: [1, 2, 4], scale: [0, 9] },
      "--bands: must be from 1 to 3 for this TIFF, got 1,2,4",
    ],
    [
      "bands that are counted from 0, which a program can give",
      grey16,
      { bands: [0, 1, 2], scale: [0, 9] },
      "--bands: must be from 1 to 3 for this TIFF, got 0,1,2",
    ],
    [
      "a scale of one value",
      grey16,
      { bands: [1, 2, 3], scale: [5, 5] },
      "--scale: must be two values that differ, such as 0,3000, got 5,5",
    ],
    [
      "a turned picture",
      row([[1]], blackIsZero, { fields: [[274, "short", [6]]] }),
      { bands: [1, 1, 1] },
      "Orientation: must be 1 for values, which are not turned, got 6; convert it with `gdal_translate IN.tif OUT.tif` if it is not to be turned",
    ],
    [
      "a file without an end",
      grey16.subarray(0, 60),
      { bands: [1, 1, 1] },
      "this TIFF: byte 176 must lie within the file's 60 bytes; is it a whole GeoTIFF file?",
    ],
    [
      "three bytes",
      Buffer.from("II*"),
      { bands: [1, 1, 1] },
      "--bands: must be left out for this picture, which is no TIFF, got 1,1,1; or convert it with `gdal_translate IN OUT.tif`",
    ],
  ])("%s", async (_, bytes, rendering, reason) => {
    expect(await read(bytes, rendering)).toBe(reason);
  });

  it("a picture that is no TIFF, whatever its name", async () => {
    const png = await sharp({ create: { width: 2, height: 2, channels: 3, background: "red" } })
      .png()
      .toBuffer();
    expect(await read(png, { scale: [0, 9] })).toBe(
      "--scale: must be left out for this picture, which is no TIFF, got 0,9; or convert it with `gdal_translate IN OUT.tif`",
    );
  });

  it("by readImage, with the file's name", async () => {
    const path = written(grey16);
    const target = { imageSize: 2, transform: "cifar", rendering: { scale: [0, 9] } } as const;
    await expect(readImage(path, target)).rejects.toMatchObject({
      kind: "input",
      message: `${path}: must be an image that can be read, got ${bandsAsked} 3 bands; give for example --bands 1,2,3`,
    });
  });

  it("mutated files, in an error of one line, soon", async () => {
    const bytes = plainTiff([
      { width: 20, height: 9, bands: 2, samples: "1/16", photometric: 1, pixel: (x, y) => [x, y] },
    ]);
    const random = new Random(1, "damage", "tiff-picture");
    for (let i = 0; i < Math.min(mutations, 500); i++) {
      const began = performance.now();
      const pixels = await read(damaged(bytes, random), { bands: [1, 2, 2], scale: [0, 20] });
      if (typeof pixels === "string") expect(pixels).toMatch(/^\S[^\n]+$/);
      expect(performance.now() - began).toBeLessThan(10_000);
    }
  });
});

it("decoding is limited by the bytes of the picture and of a strip as it lies in the file", async () => {
  // 20 × 10 pixels: 600 bytes kept; one strip of 20 · 10 · 5 · 4 = 4000 bytes, packed, unpacked and copied; 600 as pixels.
  const level = {
    width: 20,
    height: 10,
    bands: 5,
    samples: "3/32",
    photometric: 1,
    pixel: () => [1, 2, 3, 4, 5],
  } as const;
  const path = written(plainTiff([level]));
  const rendering = { bands: [1, 2, 3], scale: [0, 5] } as const;
  await expect(decodePixels(path, new DecodeMemory(13_199), { rendering })).rejects.toThrow(
    "20 × 10 pixels of tiff, which take 13200 bytes to decode where 13199 are allowed; raise --max_image_bytes if that is right",
  );
  // 1/5, 2/5 and 3/5 of 255.
  expect([...(await decodePixels(path, new DecodeMemory(13_200), { rendering })).pixels.slice(0, 3)]).toEqual([
    51, 102, 153,
  ]);
});

it("the cache tells renderings apart, and keeps what it had without one", () => {
  const images = [{ path: "a.tif", label: 0, size: 9, modifiedMs: 1 }];
  const keys = [
    cacheKey(images, 8, {}),
    cacheKey(images, 8, { rendering: { bands: [1, 2, 3] } }),
    cacheKey(images, 8, { rendering: { bands: [3, 2, 1] } }),
    cacheKey(images, 8, { rendering: { bands: [3, 2, 1], scale: [0, 9] } }),
    cacheKey(images, 8, { rendering: { scale: [0, 9] } }),
    cacheKey(images, 8, { rendering: { bands: [1, 2, 3] }, pixelType: "float32" }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
  expect(cacheKey(images, 8, { rendering: { bands: undefined, scale: undefined }, pixelType: "uint8" })).toBe(keys[0]);
});

describe("a data set of many bands", () => {
  const seven: PlainField = [338, "short", Array(6).fill(0)];
  const picture = (first: number): Buffer =>
    plainTiff([
      {
        ...{ width: 40, height: 36, bands: 7, samples: "1/16", photometric: blackIsZero, fields: [seven] },
        pixel: () => Array.from({ length: 7 }, (_, band) => first + 100 * band),
      },
    ]);
  const folders = () =>
    makeFolders(temporaryFolder(onTestFinished), {
      "train/a/1.tif": picture(0),
      "train/b/1.tif": picture(100),
      "test/a/1.tif": picture(0),
      "test/b/1.tif": picture(100),
    });
  const rendering = { bands: [7, 3, 1], scale: [0, 1000] } as const;

  it("is checked with what its values mean, and without them says what to give", async () => {
    const dataDir = folders();
    expect((await checkData({ dataDir, rendering })).unreadable).toEqual([]);
    const { unreadable } = await checkData({ dataDir });
    const reason = "more than 5 bands where 8-bit RGB or grey is read; give for example --bands 3,2,1 --scale 0,3000";
    expect(unreadable.map((one) => one.reason)).toEqual([reason, reason, reason, reason]);
  });

  it("says its size to whoever chooses a model", async () => {
    const { pictures } = await describeData({ dataset: "folder", data_dir: folders(), ...rendering });
    expect(pictures).toEqual({ width: 40, height: 36 });
  });

  it.each([32, 64])("is opened for a model of %d pixels", async (imageSize) => {
    const { train } = await openDataSplits({
      dataDir: folders(),
      imageSize,
      rendering,
      cacheDir: temporaryFolder(onTestFinished),
    });
    const out = new Uint8Array(2 * imageSize ** 2 * 3);
    await train.read(Uint32Array.of(0, 1), out);
    // 600, 200 and 0 of 1000, then 700, 300 and 100, times 255.
    expect([...out.slice(0, 3)]).toEqual([153, 51, 0]);
    expect([...out.slice(-3)]).toEqual([179, 77, 26]);
  });

  it("of images that are no files has no bands to choose", async () => {
    await expect(openDataSplits({ dataset: "synthetic", imageSize: 32, rendering })).rejects.toMatchObject({
      kind: "usage",
      message:
        "--bands: must be left out with --dataset synthetic, whose images are RGB, got 7,3,1\n--scale: must be left out with --dataset synthetic, whose images are RGB, got 0,1000",
    });
  });
});
