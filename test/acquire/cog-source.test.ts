/** Low resolution and patches of a COG, pixel by pixel; and files that don't fit, each with its line. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { cornersOf } from "../../src/acquire/geojson.ts";
import { Ledger } from "../../src/acquire/ledger.ts";
import { openSource } from "../../src/acquire/open-source.ts";
import type { RenderingOptions } from "../../src/data/rendering.ts";
import { bytesIn } from "../../src/utils/pixel-array.ts";
import { Random } from "../../src/utils/random.ts";
import { type PlainField, type PlainLevel, plainTiff } from "../formats/plain-tiff.ts";
import { damaged, expectRefusal, mutations } from "../fuzz.ts";
import { blockScene, boxOf, readPatches, type Scene, writeScene } from "./scenes.ts";
import { serveFile } from "./server.ts";

let folder: string;
const scene = blockScene(101, 75);
const at = (name: string) => join(folder, name);
const sizes = { imageSize: 32, lowSize: 8 };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-cog-"));
  await writeScene(at("nearest.tif"), scene, { resampling: "nearest" });
  await writeScene(at("half.tif"), scene, { resampling: "nearest", overviews: 1 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function open(path: string, options: RenderingOptions = {}, asked = sizes) {
  const ledger = new Ledger();
  return { ledger, source: await openSource(path, asked, { ...options, ledger }) };
}

const window = (x: number, y: number) => ({ x, y, width: 32, height: 32 });

/** The top left pixel of each block of 4 × 4, those of the edge repeated. */
function lowOf(one: Scene, x: number, y: number): Uint8Array {
  const image = boxOf(one, window(x, y));
  return Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => {
    const [column, row] = [Math.floor(i / 3) % 8, Math.floor(i / 24)];
    // Beyond the edge, the last block that has pixels in the scene.
    const [lastColumn, lastRow] = [Math.ceil((one.width - x) / 4) - 1, Math.ceil((one.height - y) / 4) - 1];
    return image[3 * (32 * 4 * Math.min(row, lastRow) + 4 * Math.min(column, lastColumn)) + (i % 3)];
  });
}

it.each([
  ["the overview of the size", "nearest.tif", "the overview 1:4"],
  ["the next finer one", "half.tif", "the overview 1:2, the nearest pixels"],
])("the low resolution is that of training, from %s, where overviews are of nearest pixels", async (_, name, from) => {
  const { source, ledger } = await open(at(name));
  const low = await source.readLow([window(0, 0), window(64, 32), window(96, 64)]);
  const expected = Buffer.concat([lowOf(scene, 0, 0), lowOf(scene, 64, 32), lowOf(scene, 96, 64)]);
  expect(Buffer.compare(bytesIn(low), expected)).toBe(0);
  expect(source.lowFrom).toBe(from);
  expect(ledger.of("high").bytes).toBe(0);
  await source.close();
});

it("patches are the scene's pixels, also over the edge, and cost the tiles that nobody had needed", async () => {
  const { source, ledger } = await open(at("nearest.tif"));
  const boxes = [
    ...[
      { x: 0, y: 0, width: 8, height: 8 },
      { x: 8, y: 8, width: 8, height: 8 },
    ],
    ...[
      { x: 12, y: 20, width: 8, height: 8 },
      { x: 96, y: 72, width: 8, height: 8 },
    ],
  ];
  const patches = await readPatches(source, boxes);
  for (const [i, { pixels }] of patches.entries())
    expect(Buffer.compare(bytesIn(pixels), boxOf(scene, boxes[i]))).toBe(0);
  // The second lies in the first one's tile.
  const costs = patches.map(({ bytes }) => bytes);
  expect(costs[1]).toBe(0);
  expect(Math.min(costs[0], costs[2], costs[3])).toBeGreaterThan(100);
  // Ranges of tiles that are near come together, so that a few bytes more than the tiles' are read.
  const { bytes, requests } = ledger.of("high");
  expect(bytes + 16_384).toBeGreaterThanOrEqual(costs.reduce((sum, cost) => sum + cost, 0));
  expect(requests).toBeLessThanOrEqual(3);
  await source.close();
});

it("all patches cost all of the full resolution", async () => {
  const { source } = await open(at("nearest.tif"));
  const boxes = Array.from({ length: 13 * 10 }, (_, i) => ({
    x: 8 * (i % 13),
    y: 8 * Math.floor(i / 13),
    width: 8,
    height: 8,
  }));
  const patches = await readPatches(source, boxes);
  expect(patches.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(source.wholeBytes);
  await source.close();
});

it.each([
  ["big-endian-planes-uint16.tif", [3, 2, 1], [0, 510], (value: number) => Math.round(value / 2)],
  ["float32-predictor3.tif", [1, 1, 1], [255, 0], (value: number) => 255 - value],
  ["int16-deflate.tif", [1, 2, 3], [100, 151], (value: number) => Math.min(Math.max(5 * (value - 100), 0), 255)],
] as const)("bands and scale make bytes of %s", async (name, bands, scale, expected) => {
  const path = fileURLToPath(new URL(`../formats/fixtures/tiff/${name}`, import.meta.url));
  const { source } = await open(path, { bands, scale }, { imageSize: 16, lowSize: 8 });
  const [{ pixels }] = await readPatches(source, [{ x: 10, y: 20, width: 16, height: 16 }]);
  const values = Array.from({ length: 16 * 16 * 3 }, (_, i) => {
    const [x, y] = [10 + (Math.floor(i / 3) % 16), 20 + Math.floor(i / 48)];
    return expected((7 * x + 13 * y + 50 * (bands[i % 3] - 1)) % 256);
  });
  expect([...pixels]).toEqual(values);
  await source.close();
});

it.each(["big-endian-planes-uint16.tif", "int16-deflate.tif", "south-up-points-ycbcr.tif"])(
  "is where GDAL has it, and of when: %s",
  async (name) => {
    const { source } = await open(fixture(name), { scale: [0, 255] }, { imageSize: 16, lowSize: 8 });
    // `gdalinfo`: upper left 13d13'53.41"E, 52d31' 0.79"N, lower right 13d13'56.01"E, 52d30'59.53"N; the first by points.
    // Of the one whose rows go north, these are the lower left and the upper right.
    const { toWgs84 } = source.georeference!;
    const degrees = (whole: number, minutes: number, seconds: number) => whole + minutes / 60 + seconds / 3600;
    const [top, bottom] = name.startsWith("south-up") ? [40, 0] : [0, 40];
    for (const [x, y, longitude, latitude] of [
      [0, top, degrees(13, 13, 53.41), degrees(52, 31, 0.79)],
      [48, bottom, degrees(13, 13, 56.01), degrees(52, 30, 59.53)],
    ]) {
      expect(toWgs84(x, y)[0]).toBeCloseTo(longitude, 5);
      expect(toWgs84(x, y)[1]).toBeCloseTo(latitude, 5);
    }
    expect(source.taken?.toISOString()).toBe(name.startsWith("int16") ? "2025-06-30T10:11:12.000Z" : undefined);
    await source.close();
  },
);

/** A scene of 128 pixels with two overviews, in tiles of 32, at (500000, 4000000) of zone 33, 10 m a pixel. */
function plainScene(
  level: Pick<PlainLevel, "bands" | "photometric" | "pixel" | "fields">,
  sides = [128, 64, 32],
  other: readonly PlainField[] = [],
): Buffer {
  const place: PlainField[] = [
    [33550, "double", [10, 10, 0]],
    [33922, "double", [0, 0, 0, 500_000, 4_000_000, 0]],
    [34735, "short", [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32_633]],
  ];
  const levels = sides.map((side) => {
    const whole = (i: number) => Math.min(127, Math.floor((i * 128) / side));
    const pixel: PlainLevel["pixel"] = (x, y) => level.pixel(whole(x), whole(y));
    return { ...level, width: side, height: side, pixel };
  });
  const isOther = ([tag]: PlainField) => other.some(([one]) => one === tag);
  levels[0].fields = [...(level.fields ?? []), ...place.filter((field) => !isOther(field)), ...other];
  return plainTiff(levels, 32);
}

const dark = { bands: 3, photometric: 2, pixel: () => [1, 2, 3] };

/** The first pixel of each block of 32, of the overview and of the full resolution. */
async function blocksOf(bytes: Buffer, options: RenderingOptions = {}) {
  writeFileSync(at("plain.tif"), bytes);
  const { source } = await open(at("plain.tif"), options, { imageSize: 128, lowSize: 32 });
  const low = await source.readLow([{ x: 0, y: 0, width: 128, height: 128 }]);
  const [{ pixels }] = await readPatches(source, [{ x: 0, y: 0, width: 128, height: 128 }]);
  await source.close();
  const pick = (from: Uint8Array, side: number) =>
    Array.from({ length: 16 }, (_, block) => {
      const first = 3 * ((Math.floor(block / 4) * side * side) / 4 + ((block % 4) * side) / 4);
      return [...from.subarray(first, first + 3)];
    });
  return { low: pick(bytesIn(low), 32), high: pick(bytesIn(pixels), 128), from: source.lowFrom };
}

it("a colour table's colours are taken, and no --bands beside them", async () => {
  const colours = [
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [255, 255, 255],
  ];
  const table = Array.from({ length: 3 * 256 }, (_, i) => 257 * (colours[i % 256]?.[Math.floor(i / 256)] ?? 0));
  const index = (x: number, y: number) => (Math.floor(x / 32) + Math.floor(y / 32)) % 4;
  const scene = { bands: 1, photometric: 3, pixel: (x: number, y: number) => [index(x, y)] };
  // An overview has the table again.
  const bytes = plainScene({ ...scene, fields: [[320, "short", table]] });
  const expected = Array.from({ length: 16 }, (_, block) => colours[((block % 4) + Math.floor(block / 4)) % 4]);
  expect(await blocksOf(bytes)).toEqual({ low: expected, high: expected, from: "the overview 1:4" });
  await expect(blocksOf(bytes, { bands: [1, 1, 1] })).rejects.toThrow(
    `--bands: must be left out for ${at("plain.tif")}, whose one band has a colour table: its colours are taken, got 1,1,1`,
  );
});

it("grey whose zero is white is turned about, unless --scale says what is black and white", async () => {
  const bytes = plainScene({ bands: 1, photometric: 0, pixel: (x) => [x] });
  const greys = (of: (x: number) => number) =>
    Array.from({ length: 16 }, (_, block) => Array(3).fill(of(32 * (block % 4))));
  const turned = greys((x) => 255 - x);
  expect(await blocksOf(bytes, { bands: [1, 1, 1] })).toMatchObject({ low: turned, high: turned });
  const said = greys((x) => x);
  expect(await blocksOf(bytes, { bands: [1, 1, 1], scale: [0, 255] })).toMatchObject({ low: said, high: said });
});

it.each([
  ["one pixel more", [128, 65, 33]],
  ["one pixel less", [128, 63, 31]],
])("overviews of %s are used", async (_, sides) => {
  const scene = { bands: 3, photometric: 2, pixel: (x: number, y: number) => [32 * (x >> 5), 32 * (y >> 5), 7] };
  const { low, high, from } = await blocksOf(plainScene(scene, sides));
  expect(from).toBe("the overview 1:4");
  expect(high).toEqual(Array.from({ length: 16 }, (_, i) => [32 * (i % 4), 32 * Math.floor(i / 4), 7]));
  // The overview's pixel 8 of 33 shows pixel 31 of 128, that of 31 pixel 33: off by one of its pixels at most.
  for (const [i, [red, green]] of low.entries()) {
    expect(Math.abs(red - high[i][0])).toBeLessThanOrEqual(32);
    expect(Math.abs(green - high[i][1])).toBeLessThanOrEqual(32);
  }
});

it("overviews of one pixel more than an odd side's quotient, rounded up, are used", async () => {
  const scene = { bands: 3, photometric: 2, pixel: () => [1, 2, 3] };
  expect((await blocksOf(plainScene(scene, [131, 67, 34]))).from).toBe("the overview 1:4");
});

const fixture = (name: string) => fileURLToPath(new URL(`../formats/fixtures/tiff/${name}`, import.meta.url));

it("what does not fit is a line that says what to do", async () => {
  const raw = { width: 64, height: 64, channels: 3 } as const;
  const picture = () => sharp(new Uint8Array(64 * 64 * 3), { raw });
  await picture().tiff({ compression: "none", tile: false }).toFile(at("striped.tif"));
  await picture().tiff({ tile: true, tileWidth: 16, tileHeight: 16, pyramid: true }).toFile(at("nowhere.tif"));
  await writeScene(at("no-overviews.tif"), scene, { overviews: 0 });
  const coarse = { imageSize: 32, lowSize: 16 };
  await writeScene(at("coarse.tif"), scene, { overviews: 2 });
  const grey = picture().toColourspace("b-w").tiff({ tile: true, tileWidth: 16, tileHeight: 16, pyramid: true });
  await grey.toFile(at("grey.tif"));
  await picture().png().toFile(at("cut.png"));
  const png = readFileSync(at("cut.png"));
  const cases: [string, RenderingOptions, RegExp, typeof sizes?][] = [
    [
      at("striped.tif"),
      {},
      /must be tiled, .* got strips; make it one with `gdal_translate -of COG IN\.tif OUT\.tif`$/,
    ],
    [at("nowhere.tif"), {}, /must say where on the Earth it lies \(georeference\), got nothing; give it one with/],
    [
      at("no-overviews.tif"),
      {},
      /must have an overview of 1:4 or finer, .* got no overviews; add them with `gdal_translate -of COG -co OVERVIEWS=IGNORE_EXISTING -co OVERVIEW_COUNT=2 IN\.tif OUT\.tif`$/,
    ],
    [at("grey.tif"), {}, /^--bands: must say which three of the bands of \S+ are red, .*; give --bands 1,1,1/],
    [at("nearest.tif"), { bands: [1, 2, 4] }, /^--bands: must be from 1 to 3 for \S+, got 1,2,4$/],
    [fixture("int16-deflate.tif"), {}, /^--scale: must say which values .* got none for int16; give/],
    [at("not-there.tif"), {}, /must be an image file that can be read, got no such file/],
    ["s3://bucket/scene.tif", {}, /^image: must be a path or an http or https address, got s3:.*presigned/],
  ];
  for (const [path, options, message] of cases) {
    await expect(open(path, options)).rejects.toMatchObject({ message: expect.stringMatching(message) });
  }
  await expect(open(at("coarse.tif"), {}, { imageSize: 48, lowSize: 32 })).rejects.toThrow(
    "must have an overview of 1:1 or finer, so that the policy can look without reading everything, got 1:2, 1:4",
  );
  const { source } = await open(at("coarse.tif"), {}, coarse);
  await source.close();
  const server = await serveFile(png);
  await expect(open(server.url)).rejects.toThrow(/scene\.tif: must begin as a TIFF file, with II or MM/);
  await server.close();
});

it.each([
  ["a scale that is not a number", 33550, [Number.NaN, 10, 0]],
  ["a scale beyond all numbers", 33550, [1e308, 1e308, 0]],
  ["a corner at infinity", 33922, [0, 0, 0, Number.POSITIVE_INFINITY, 4_000_000, 0]],
])("%s is no place on the Earth", async (_, tag, values) => {
  const fields: PlainField[] = [[tag, "double", values]];
  writeFileSync(at("place.tif"), plainScene(dark, [128, 64, 32], fields));
  await expect(open(at("place.tif"))).rejects.toMatchObject({
    kind: "input",
    message: expect.stringMatching(
      /place\.tif: georeference: must map the corners of the image to degrees on the Earth/,
    ),
  });
});

const keys = (...own: readonly (readonly [number, number])[]): PlainField => [
  34735,
  "short",
  [1, 1, 0, own.length, ...own.flatMap(([key, value]) => [key, 0, 1, value])],
];
const [model, geographicCode, angular, projectedCode, linear] = [1024, 2048, 2054, 3072, 3076] as const;
const matrix = (a: number, b: number, d: number, e: number, top = 50): PlainField => [
  34264,
  "double",
  [a, b, 0, 13, d, e, 0, top, 0, 0, 0, 0, 0, 0, 0, 1],
];
const noScale: PlainField = [33550, "double", [0, 0, 0]];

it.each<[string, PlainField[], string]>([
  [
    "a pixel of negative height",
    [[33550, "double", [10, -10, 0]]],
    "georeference: must have a ModelPixelScale above 0, got 10 -10 0; write",
  ],
  [
    "a pixel without height",
    [[33550, "double", [10, 0, 0]]],
    "georeference: must give pixels an area, got 10 0 500000 0 0 4000000; write",
  ],
  [
    "columns along rows",
    [noScale, matrix(0.1, 0.2, 0.3, 0.6)],
    "georeference: must give pixels an area, got 0.1 0.2 13 0.3 0.6 50; write",
  ],
  // `echo 15 90 | gdaltransform -s_srs EPSG:4326 -t_srs EPSG:32633` (GDAL 3.6.2): 9997964.943021
  [
    "a UTM scene with a pole in it",
    [[33922, "double", [0, 0, 0, 500_000, 9_998_000, 0]]],
    "georeference: must not reach beyond a pole, at 9997964.943 in EPSG:32633, got 9998000; cut it off there",
  ],
  [
    "a southern one",
    [keys([model, 1], [projectedCode, 32_733]), [33922, "double", [0, 0, 0, 500_000, 3000, 0]]],
    "georeference: must not reach beyond a pole, at 2035.057 in EPSG:32733, got 1720; cut it off there",
  ],
  [
    "a latitude more than half a pixel beyond the pole",
    [keys([model, 2], [geographicCode, 4326]), noScale, matrix(1e-5, 0, 0, -1e-5, 90.001)],
    "georeference: must not reach beyond a pole, at 90 in EPSG:4326, got 90.001; cut it off there",
  ],
  [
    "more than once round the Earth",
    [keys([model, 2], [geographicCode, 4326]), noScale, matrix(3, 0, 0, -0.1)],
    "georeference: must be at most 360 degrees wide, got 384; cut it off there",
  ],
  [
    "a pixel of a millimetre",
    [[33550, "double", [0.001, 0.001, 0]]],
    "georeference: must have pixels of 2 mm or more, as outlines are written by the millimetre, got 0.001 0 500000",
  ],
  [
    "coordinates without a system",
    [keys([1025, 1])],
    "must say where on the Earth it lies (georeference), got coordinates without their system; say which",
  ],
  [
    "control points",
    [[33550, "double", []]],
    "must say where on the Earth it lies (georeference), got control points alone; fit it to them",
  ],
  [
    "feet beside a system of metres",
    [keys([model, 1], [projectedCode, 32_633], [linear, 9003])],
    "coordinate system: must have the units of EPSG:32633, metres (9001), got unit 9003; say which",
  ],
  [
    "radians beside a system of degrees",
    [keys([model, 2], [geographicCode, 4326], [angular, 9101]), noScale, matrix(0.1, 0, 0, -0.1)],
    "coordinate system: must have the units of EPSG:4326, degrees (9102), got unit 9101; say which",
  ],
  [
    "a geocentric system",
    [keys([model, 3], [geographicCode, 4326])],
    "coordinate system: must be projected (1) or geographic (2), got geocentric (3); reproject",
  ],
  [
    "a model of its own",
    [keys([model, 32_767], [projectedCode, 32_633])],
    "coordinate system: must be projected (1) or geographic (2), got one of its own (32767); reproject",
  ],
  [
    "a projected system of a geographic code",
    [keys([model, 1], [projectedCode, 4326])],
    "coordinate system: must be projected, as its GTModelType says, got EPSG:4326; say which",
  ],
  [
    "a geographic system of a projected code",
    [keys([model, 2], [geographicCode, 32_633])],
    "coordinate system: must be geographic, as its GTModelType says, got EPSG:32633; say which",
  ],
])("%s is refused", async (_, fields, message) => {
  writeFileSync(at("place.tif"), plainScene(dark, [128, 64, 32], fields));
  await expect(open(at("place.tif"))).rejects.toMatchObject({
    kind: "input",
    message: expect.stringContaining(`${at("place.tif")}: ${message}`),
  });
});

it.each<[string, PlainField[], number[]]>([
  // With a scale, GDAL passes over the matrix.
  ["a scale beside a matrix", [matrix(1, 0, 0, -1)], [10, 0, 500_000, 0, -10, 4_000_000]],
  ["a matrix beside a scale of 0", [noScale, matrix(500, 0, 0, -500)], [500, 0, 13, 0, -500, 50]],
  ["a mirrored scale", [[33550, "double", [-10, 10, 0]]], [-10, 0, 500_000, 0, -10, 4_000_000]],
  [
    "metres said twice",
    [keys([model, 1], [projectedCode, 32_633], [linear, 9001])],
    [10, 0, 500_000, 0, -10, 4_000_000],
  ],
  // The system that a projected one stands on may be said, too.
  [
    "both codes",
    [keys([model, 1], [geographicCode, 4326], [angular, 9102], [projectedCode, 32_633])],
    [10, 0, 500_000, 0, -10, 4_000_000],
  ],
  ["no kind of system", [keys([projectedCode, 32_633])], [10, 0, 500_000, 0, -10, 4_000_000]],
])("%s is read", async (_, fields, affine) => {
  writeFileSync(at("place.tif"), plainScene(dark, [128, 64, 32], fields));
  const { source } = await open(at("place.tif"));
  expect(source.georeference).toMatchObject({ affine, epsg: 32_633 });
  await source.close();
});

it("damaged files are refused as the user's, and never as a bug of ours", async () => {
  const random = new Random(3, "cog-fuzz");
  const whole = plainScene({ bands: 3, photometric: 2, pixel: (x, y) => [x, y, 7] });
  for (let n = 0; n < mutations / 10; n++) {
    writeFileSync(at("damaged.tif"), damaged(whole, random));
    try {
      const { source } = await open(at("damaged.tif"));
      try {
        await source.readLow([window(0, 0)]);
        await readPatches(source, [{ x: 120, y: 120, width: 8, height: 8 }]);
        // What is written of it must be numbers.
        expect(JSON.stringify(cornersOf(window(0, 0), source.georeference!))).not.toContain("null");
      } finally {
        await source.close();
      }
    } catch (error) {
      expectRefusal(error);
    }
  }
});

it("a picture is read as a whole, and says what that costs", async () => {
  await sharp(scene.pixels, { raw: { width: 101, height: 75, channels: 3 } })
    .png()
    .toFile(at("scene.png"));
  const { source, ledger } = await open(at("scene.png"));
  expect(Buffer.compare(bytesIn(await source.readLow([window(96, 64)])), lowOf(scene, 96, 64))).toBe(0);
  const box = { x: 96, y: 40, width: 8, height: 8 };
  const patches = await readPatches(source, [box, box]);
  expect(Buffer.compare(bytesIn(patches[0].pixels), boxOf(scene, box))).toBe(0);
  const { length } = readFileSync(at("scene.png"));
  expect([source.wholeBytes, ledger.total.bytes, patches[0].bytes, patches[1].bytes]).toEqual([
    length,
    length,
    length,
    0,
  ]);
});
