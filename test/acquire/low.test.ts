/**
 * Another sensor's image that is looked at: two made-up sensors over one ground, whose grids, zones and gaps differ, and values
 * at places that are worked out by hand. What lies where is PROJ's doing (proj4), and never that of the code that is tested.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import proj4 from "proj4";
import pictureOf from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import { acquireRun } from "../../src/acquire/acquire-run.ts";
import { acquireScenes } from "../../src/acquire/acquire-scenes.ts";
import { Ledger } from "../../src/acquire/ledger.ts";
import { openScene } from "../../src/acquire/open-scene.ts";
import { RasterFile, type RasterOptions } from "../../src/acquire/raster-file.ts";
import { savingsLines } from "../../src/acquire/savings.ts";
import { type Acquired, remarkLines } from "../../src/acquire/tally.ts";
import type { PatchDropError } from "../../src/errors.ts";
import { parseAcquireOptions } from "../../src/options/acquire-options.ts";
import { orderRun } from "../../src/order/order-run.ts";
import { Random } from "../../src/utils/random.ts";
import { collection, stacItem } from "../archive/items.ts";
import { type PlainField, plainTiff } from "../formats/plain-tiff.ts";
import { damaged, expectRefusal, mutations } from "../fuzz.ts";
import { refusal } from "../options/commands.ts";
import { brightPolicy, limits } from "./scenes.ts";
import { serveFile } from "./server.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const json = (...names: string[]) => JSON.parse(readFileSync(at(...names), "utf8"));
const choices = { ...limits, top: 2, batch_size: 3 };

const utm = (zone: number) => `+proj=utm +zone=${zone} +ellps=WGS84 +units=m +no_defs`;
type Point = [number, number];
const degreesOf = (zone: number, point: Point): Point => proj4(utm(zone), "EPSG:4326").forward(point) as Point;

/** The ground: bright and dark fields of about 140 m. */
function isBright([longitude, latitude]: Point): boolean {
  const [column, row] = [Math.floor(longitude / 0.002), Math.floor(latitude / 0.00125)];
  const key = `${column},${row}`;
  if (!fields.has(key)) fields.set(key, new Random(7, "fields", column, row).uniform() < 0.5);
  return fields.get(key)!;
}
const fields = new Map<string, boolean>();
/** Nothing was measured in a square of zone 33. */
const inGap = ([x, y]: Point) => Math.abs(x - gap[0]) < 100 && Math.abs(y - gap[1]) < 100;

/** 2.5 m a pixel in zone 32, beside its border with zone 33 at 12°. */
const sharp = { epsg: 32_632, zone: 32, side: 2.5, width: 333, height: 250, corner: [704_900, 5_764_300] as Point };
const middle = proj4(utm(32), utm(33)).forward([704_900 + 400, 5_764_300 - 300]) as Point;
const gap: Point = [middle[0] + 100, middle[1] - 60];
/** 10 m a pixel in zone 33, shifted against all that is round, and larger than the sharp one. */
const coarse = {
  ...{ epsg: 32_633, zone: 33, side: 10, width: 150, height: 130 },
  corner: [Math.round(middle[0]) - 747.3, Math.round(middle[1]) + 651.9] as Point,
};
type Sensor = typeof sharp;

const affineOf = ({ side, corner }: Sensor) => [side, 0, corner[0], 0, -side, corner[1]] as const;
const groundOf = ({ side, corner }: Sensor, x: number, y: number): Point => [
  corner[0] + side * x,
  corner[1] - side * y,
];

/** What a sensor sees: the ground at the middle of each pixel. */
async function shoot(
  name: string,
  sensor: Sensor,
  options: Partial<RasterOptions> & { gap?: boolean; empty?: boolean } = {},
) {
  const { width, height, epsg, zone } = sensor;
  const { gap: hasGap = false, empty = false, ...rest } = options;
  const random = new Random(8, name);
  const pixels = Array.from({ length: width * height }, (_, i) => {
    const place = groundOf(sensor, (i % width) + 0.5, Math.floor(i / width) + 0.5);
    if (empty || (hasGap && inGap(place))) return Number.NaN;
    // Noise, so that a file is larger than what is read of it at once.
    return (isBright(degreesOf(zone, place)) ? 230 : 10) + 20 * random.uniform();
  });
  const values = pixels.flatMap((value) => [value, value, value]);
  const isFloat = rest.form?.type === "float32";
  const raster = new RasterFile(at(name), {
    ...{ width, height, tileSize: 16, georeference: { epsg, affine: affineOf(sensor), geographic: false }, ...rest },
  });
  await raster.write(isFloat ? Float32Array.from(values) : Uint8Array.from(values));
  await raster.finish();
}

const float = { type: "float32" as const, bands: ["red", "green", "blue"] };
const seenAs = { low_bands: [1, 2, 3], low_scale: [0, 255] as const };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-low-"));
  await shoot("sharp.tif", sharp);
  await shoot("coarse.tif", coarse, { form: float, gap: true });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Feature {
  properties: { chosen: boolean; probability: number; low?: string; window: number[]; pixels: Record<string, number> };
}
const featuresOf = (out: string) => json(out, "patches.geojson").features as Feature[];
const linesOf = (out: string) =>
  readFileSync(at(out, "predictions.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const chosenOf = (out: string) => featuresOf(out).map(({ properties }) => properties.chosen);

/** Whether all of the ground of a cell, and what the coarse pixels around it show, is bright, dark, or both. */
function truthOf(sensor: Sensor, { x, y, width, height }: Record<string, number>, reach: number): boolean | undefined {
  const found = new Set<boolean>();
  const margin = reach / sensor.side;
  for (let i = 0; i <= 10; i++) {
    for (let j = 0; j <= 10; j++) {
      const [column, row] = [
        x - margin + ((width + 2 * margin) * i) / 10,
        y - margin + ((height + 2 * margin) * j) / 10,
      ];
      found.add(isBright(degreesOf(sensor.zone, groundOf(sensor, column, row))));
    }
  }
  return found.size === 1 ? [...found][0] : undefined;
}

/** The ground of a window in zone 33: whether all of it lies in the gap, or none of it with what is blended. */
function gapOf(box: Record<string, number>): "all" | "none" | "part" {
  const corners = [0, 0.25, 0.5, 0.75, 1].flatMap((u) =>
    [0, 0.25, 0.5, 0.75, 1].map((v) => {
      const ground = groundOf(sharp, Math.min(box.x + 32 * u, 333), Math.min(box.y + 32 * v, 250));
      return inGap(proj4(utm(32), utm(33)).forward(ground) as Point);
    }),
  );
  return corners.every(Boolean) ? "all" : corners.some(Boolean) ? "part" : "none";
}

describe("acquire --low", () => {
  it("chooses by what another sensor shows of the same ground, in another zone, and nothing where that has a gap", async () => {
    const options = { ...choices, ...seenAs, low: at("coarse.tif"), out: at("low") };
    const acquired = await acquire(at("sharp.tif"), brightPolicy, options);
    let [sure, chosen] = [0, 0];
    for (const { properties } of featuresOf("low")) {
      if (properties.low === "missing") {
        expect(properties).toMatchObject({ chosen: false, probability: 0 });
        continue;
      }
      const [column, row] = properties.window;
      if (gapOf({ x: 32 * column, y: 32 * row }) !== "none") continue;
      const truth = truthOf(sharp, properties.pixels, 12);
      if (truth === undefined) continue;
      expect(properties.chosen).toBe(truth);
      sure++;
      if (truth) chosen++;
    }
    // Of 42 × 32 cells: the others lie on a border of fields, or in windows beside the gap.
    expect(sure).toBeGreaterThan(500);
    expect(chosen).toBeGreaterThan(150);
    expect(sure - chosen).toBeGreaterThan(150);

    const lines = linesOf("low");
    expect(lines).toHaveLength(11 * 8);
    const missing = lines.filter(({ low }) => low === "missing");
    expect(missing.length).toBeGreaterThan(0);
    for (const line of missing) {
      expect(gapOf(line.box)).not.toBe("none");
      expect(line).toMatchObject({ mask: "0".repeat(16), patches: 0, pixels: 0, bytes: 0 });
      for (const key of ["class", "top", "patch_probabilities"]) expect(line).not.toHaveProperty(key);
    }
    for (const line of lines) if (gapOf(line.box) === "all") expect(line.low).toBe("missing");
    expect(acquired).toMatchObject({ windows: 88, unseen: missing.length });
    expect(remarkLines(acquired)).toEqual([
      `unseen  ${missing.length} of 88 windows: --low shows nothing of them, nothing is chosen there`,
    ]);

    // A block of 4 pixels of 2.5 m is a pixel of 10 m; zones are turned against each other.
    const from = `${at("coarse.tif")} (EPSG:32633, 1 × 1 of its pixels a block): bilinear`;
    expect(acquired.low_from).toBe(from);
    const item = json("low", "item.json");
    expect(item.properties["patchdrop:low_from"]).toBe(from);
    expect(item.links.map(({ href }: { href: string }) => href)).toEqual([at("sharp.tif"), at("coarse.tif")]);
    // The sharp image alone is the whole; what was read of the other counts as used.
    expect(acquired.bytes!.used).toBe(acquired.read.bytes);
    expect(acquired.read.by.low.bytes).toBeGreaterThan(0);
    expect(acquired.pixels.used).toBe(lines.reduce((sum, { pixels }) => sum + pixels, 0));
  });

  it("does not depend on how many windows are looked at together, nor on free patches elsewhere", async () => {
    const options = { ...choices, ...seenAs, low: at("coarse.tif") };
    await acquire(at("sharp.tif"), brightPolicy, { ...options, out: at("many"), batch_size: 64 });
    for (const name of ["predictions.jsonl", "patches.geojson", "masked.tif", "order.geojson"]) {
      expect(Buffer.compare(readFileSync(at("low", name)), readFileSync(at("many", name)))).toBe(0);
    }
    await acquire(at("sharp.tif"), brightPolicy, { ...options, out: at("free"), free_patches: true });
    expect(chosenOf("free")).toEqual(chosenOf("low"));
    expect(linesOf("free").filter(({ low }) => low === "missing")).toEqual(
      linesOf("low").filter(({ low }) => low === "missing"),
    );
  });

  it("reads the other image from a server by ranges, and counts what it reads", async () => {
    const server = await serveFile(readFileSync(at("coarse.tif")));
    const options = { ...choices, ...seenAs, low: server.url, out: at("served") };
    const acquired = await acquire(at("sharp.tif"), brightPolicy, options);
    await server.close();
    expect(chosenOf("served")).toEqual(chosenOf("low"));
    expect(readFileSync(at("served", "savings.json"), "utf8")).not.toContain("secret");
    expect(acquired.read.by.low.bytes).toBe(json("low", "savings.json").read.by.low.bytes);
    expect(server.sent).toBeGreaterThanOrEqual(acquired.read.by.low.bytes);
  });

  it("reads all of it from a server that sends no parts, where that is allowed", async () => {
    const whole = readFileSync(at("coarse.tif"));
    const server = await serveFile(whole, (_, response) => {
      response.writeHead(200, { "content-length": whole.length, etag: '"1"' });
      response.end(whole);
    });
    const options = { ...choices, ...seenAs, low: server.url, out: at("in-whole") };
    expect(await refusal(() => acquire(at("sharp.tif"), brightPolicy, options))).toMatch(
      /^input: .* with --allow_full_file$/,
    );
    const acquired = await acquire(at("sharp.tif"), brightPolicy, { ...options, allow_full_file: true });
    await server.close();
    expect(chosenOf("in-whole")).toEqual(chosenOf("low"));
    expect(acquired.read.by.whole_file.bytes).toBe(whole.length);
    expect(readdirSync(at("in-whole")).sort()).toEqual(readdirSync(at("low")).sort());
  });

  it("is an asset of the same item by its key, before a file of that name, or by role; else a path", async () => {
    const item = stacItem("a", at("sharp.tif"));
    item.assets.cheap = { href: at("coarse.tif"), roles: ["overview"], type: "image/png" };
    writeFileSync(at("item.json"), JSON.stringify(item));
    for (const [out, low] of [
      ["key", "cheap"],
      ["role", "overview"],
      ["path", at("coarse.tif")],
    ]) {
      await acquireScenes(at("item.json"), brightPolicy, { ...choices, ...seenAs, low, out: at(out) });
      expect(chosenOf(out)).toEqual(chosenOf("low"));
    }
    const items = ["a", "b"].map((id) => ({ ...item, id }));
    writeFileSync(at("items.json"), JSON.stringify(collection(items)));
    const both = { ...choices, ...seenAs, low: "cheap", out: at("both") };
    const { unseen } = await acquireScenes(at("items.json"), brightPolicy, both);
    expect(unseen).toBe(2 * json("low", "savings.json").unseen);
    expect(chosenOf("both/b")).toEqual(chosenOf("low"));

    const none = { ...choices, ...seenAs, low: "nowhere", out: at("none") };
    expect(await refusal(() => acquireScenes(at("item.json"), brightPolicy, none))).toBe(
      `input: ${at("item.json")}: item a: must have one asset whose key, role or band is nowhere, got none; give --low PATH, or KEY, one of: image, thumbnail, cheap`,
    );
  });
});

const placeOf = ({ pixels: { x, y } }: { pixels: Record<string, number> }) => `${x} ${y}`;

describe("acquire --plan", () => {
  it("chooses cells on the ground before there is a sharp image: those that this one has then", async () => {
    const options = { ...choices, ...seenAs, low: at("coarse.tif"), price_per_km2: 1000 };
    const planned = await acquireScenes(undefined, brightPolicy, { ...options, out: at("plan") });
    expect(readdirSync(at("plan")).sort()).toEqual(
      ["item.json", "order.geojson", "patches.geojson", "patches.parquet", "predictions.jsonl", "savings.json"].sort(),
    );
    expect(planned).toMatchObject({ planned: true, bytes: null, time: null, size: { width: 600, height: 520 } });
    expect(savingsLines(planned)[1]).toBe("bytes   unknown: there is no file yet");
    for (const line of linesOf("plan")) expect(line).not.toHaveProperty("class");
    const item = json("plan", "item.json");
    expect(item.properties).toMatchObject({ "patchdrop:planned": true, "proj:code": "EPSG:32633" });
    for (const { href } of Object.values(item.assets) as { href: string }[])
      expect(existsSync(at("plan", href))).toBe(true);

    // A cell of 8 × 8 pixels of 2.5 m is 2 × 2 of the coarse ones: it is bright where these are on average.
    for (const { properties } of featuresOf("plan")) {
      const { x, y } = properties.pixels;
      if (properties.low === "missing") continue;
      const seen = [0, 1, 2, 3].map((n) => groundOf(coarse, x / 4 + (n % 2) + 0.5, y / 4 + (n >> 1) + 0.5));
      if (seen.some(inGap)) continue;
      const bright = seen.filter((place) => isBright(degreesOf(33, place))).length;
      // Half and half is decided by the noise.
      if (bright !== 2) expect(properties.chosen).toBe(bright > 2);
    }

    await shoot("later.tif", { ...coarse, side: 2.5, width: 600, height: 520 });
    const later = await acquire(at("later.tif"), brightPolicy, { ...options, out: at("later") });
    expect(chosenOf("later")).toEqual(chosenOf("plan"));
    expect(json("later", "order.geojson").features[0].geometry).toEqual(
      json("plan", "order.geojson").features[0].geometry,
    );
    expect(later).toMatchObject({ pixels: planned.pixels, area_km2: planned.area_km2, unseen: planned.unseen });
    expect(later.money).toEqual(planned.money);

    const { summary } = await orderRun(at("plan"), { rules: "single-999", price_per_km2: 1000, price_per_order: 0 });
    expect(summary.cells).toMatchObject({ chosen: planned.cells.chosen });
    expect(summary.price).toBeCloseTo(planned.money!.order!.used, 2);
  });

  it("keeps a budget in money: the likeliest cells that it buys by their area", async () => {
    const options = { ...choices, ...seenAs, low: at("coarse.tif"), price_per_km2: 1000, top: 1 };
    const all = (await acquireScenes(undefined, brightPolicy, { ...options, out: at("unbounded") })) as Acquired;
    const budget_money = all.money!.used / 3;
    const out = at("bounded");
    const some = (await acquireScenes(undefined, brightPolicy, { ...options, budget_money, out })) as Acquired;
    expect(some.unseen).toBe(all.unseen);
    // Cells of one size: the next one would not have been paid for.
    const cell = all.money!.used / all.cells.chosen;
    expect(some.money!.used).toBeLessThanOrEqual(budget_money);
    expect(some.money!.used).toBeGreaterThan(budget_money - 1.01 * cell);
    const probability = new Map(
      featuresOf("unbounded").map(({ properties }) => [placeOf(properties), properties.probability]),
    );
    const bought = featuresOf("bounded").filter(({ properties }) => properties.chosen);
    const left = featuresOf("unbounded").filter(({ properties }) => properties.chosen);
    const worst = Math.min(...bought.map(({ properties }) => probability.get(placeOf(properties)) ?? 0));
    const names = new Set(bought.map(({ properties }) => placeOf(properties)));
    const best = Math.max(
      ...left
        .filter(({ properties }) => !names.has(placeOf(properties)))
        .map(({ properties }) => properties.probability),
    );
    // Areas differ by some ten-thousandths over the zone.
    expect(worst).toBeGreaterThanOrEqual(best - 0.001);
  });

  it("is of the first round where a policy decides in several, and says so", async () => {
    const inRounds = { ...brightPolicy, rounds: 4 };
    const options = { ...choices, ...seenAs, low: at("coarse.tif"), out: at("rounds") };
    const planned = (await acquireScenes(undefined, inRounds, options)) as Acquired;
    expect(chosenOf("rounds")).toEqual(chosenOf("plan"));
    expect(planned.rounds.map(({ windows }) => windows > 0)).toEqual([true, false, false, false]);
    const unseen = "unseen  2 of 323 windows: --low shows nothing of them, nothing is chosen there";
    expect(remarkLines(planned).slice(0, 2)).toEqual([
      "plan    the first of 4 rounds: the others look at patches that were acquired",
      unseen,
    ]);
    expect(remarkLines({ ...planned, rounds: planned.rounds.slice(0, 1) })).toEqual([unseen]);
  });
});

const zone33 = [1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32_633];
/** A strip of grey, whose pixels are `side` metres, from the corner of the scene of {@link values}. */
function greyTiff(
  { width, height, side = 8, shift = [0, 0] }: { width: number; height: number; side?: number; shift?: number[] },
  pixel: (x: number, y: number) => readonly number[],
  {
    bands = 1,
    fields = [],
    tile,
    keys = zone33,
  }: { bands?: number; fields?: readonly PlainField[]; tile?: number; keys?: readonly number[] } = {},
): Buffer {
  const place: PlainField[] = [
    [33_550, "double", [side, side, 0]],
    [33_922, "double", [0, 0, 0, 500_000 + shift[0], 4_000_000 + shift[1], 0]],
    [34_735, "short", [1, 1, 0, 3, ...keys]],
  ];
  return plainTiff(
    [{ width, height, bands, photometric: bands === 3 ? 2 : 1, pixel, fields: [...place, ...fields] }],
    tile,
  );
}
const ascii = (tag: number, text: string): PlainField => [tag, "ascii", [...Buffer.from(`${text}\0`)]];
const noData = (value: string) => ascii(42_113, value);

/** The low resolution of a window of 32 × 32 pixels of 2 m, 4 × 4 blocks of 8: the first band, row by row. */
async function values(
  low: Buffer,
  options: { sharp?: Buffer; [name: string]: unknown } = {},
): Promise<{ low: number[][]; from: string; unseen: boolean }> {
  const { sharp: given, ...rest } = options;
  writeFileSync(at("hand-low.tif"), low);
  writeFileSync(
    at("hand-sharp.tif"),
    given ?? greyTiff({ width: 32, height: 32, side: 1 }, () => [1, 1, 1], { bands: 3, tile: 16 }),
  );
  const source = await openScene(
    at("hand-sharp.tif"),
    { imageSize: 32, lowSize: 4 },
    { ledger: new Ledger(), low: at("hand-low.tif"), low_bands: [1, 1, 1], pixelType: "uint8", ...rest },
  );
  const window = { x: 0, y: 0, width: 32, height: 32 };
  const pixels = await source.readLow([window]).finally(() => source.close());
  const unseen = source.isUnseen!(window);
  const bands = pixels.length / 16;
  const rows = Array.from({ length: 4 }, (_, y) => Array.from({ length: 4 }, (_, x) => pixels[bands * (4 * y + x)]));
  return { low: rows, from: source.lowFrom, unseen };
}
const grid = (of: (x: number, y: number) => number) =>
  Array.from({ length: 4 }, (_, y) => Array.from({ length: 4 }, (_, x) => of(x, y)));

describe("values, by hand", () => {
  it("are the pixels themselves where grids coincide, to the last digit", async () => {
    const pixel = (x: number, y: number) => [10 * x + 50 * y];
    const { low, from } = await values(greyTiff({ width: 4, height: 4 }, pixel));
    expect(low).toEqual(grid((x, y) => 10 * x + 50 * y));
    expect(from).toBe(`${at("hand-low.tif")} (EPSG:32633, 1 × 1 of its pixels a block): bilinear`);
    const dated = await values(
      greyTiff({ width: 4, height: 4 }, pixel, { fields: [ascii(306, "2025:06:30 10:11:12")] }),
    );
    expect(dated.unseen).toBe(false);
    expect(dated.from).toContain("(EPSG:32633, 2025-06-30, 1 × 1 of its pixels a block)");
  });

  it("lie between the pixels of a grid that is shifted, or coarser", async () => {
    // A quarter of a pixel to the west and a half to the north: 2 m and 4 m of 8.
    const slope = (x: number, y: number) => [40 * x + 8 * y];
    const { low } = await values(greyTiff({ width: 6, height: 6, shift: [-2, 4] }, slope));
    expect(low).toEqual(grid((x, y) => 40 * x + 10 + 8 * y + 4));
    // Pixels of 32 m: middles of blocks at 4, 12, 20, 28 m; those of pixels at −16, 16 and 48 m.
    const wide = await values(greyTiff({ width: 3, height: 3, side: 32, shift: [-32, 32] }, (x) => [64 * x]));
    expect(wide.low).toEqual(grid((x) => Math.round((64 * (8 * x + 4 + 16)) / 32)));
    expect(wide.from).toContain("0.25 × 0.25 of its pixels a block): bilinear");
  });

  it("are means of what lies in a block where pixels are finer", async () => {
    const pixel = (x: number, y: number) => [(x % 4) + 16 * Math.floor(x / 4) + 4 * (y % 4) + 40 * Math.floor(y / 4)];
    const { low, from } = await values(greyTiff({ width: 16, height: 16, side: 2 }, pixel));
    // Of 0 … 3 and of 0, 4, 8, 12: 1.5 + 6.
    expect(low).toEqual(grid((x, y) => Math.round(16 * x + 40 * y + 7.5)));
    expect(from).toContain("4 × 4 of its pixels a block): the mean of 4 × 4 bilinear points");
  });

  it("take nothing from pixels that are missing: by nodata, by transparency, beyond the edge", async () => {
    const grey = (x: number, y: number) => (x === 1 && y === 1 ? 0 : 200);
    const mean = Math.round(255 * 0.25);
    const run = { missing: [0.25, 0.5, 0.75] };
    const hole = grid((x, y) => (x === 1 && y === 1 ? mean : 200));
    const nodata = greyTiff({ width: 4, height: 4 }, (x, y) => [grey(x, y)], { fields: [noData("0")] });
    expect((await values(nodata, run)).low).toEqual(hole);
    // Shifted by a quarter: the same block is missing, and no other is darker.
    const shifted = greyTiff({ width: 5, height: 5, shift: [-2, 2] }, (x, y) => [grey(x, y)], {
      fields: [noData("0")],
    });
    expect((await values(shifted, run)).low).toEqual(hole);
    // Without nodata, black is a value.
    expect(
      (
        await values(
          greyTiff({ width: 4, height: 4 }, (x, y) => [grey(x, y)]),
          run,
        )
      ).low[1][1],
    ).toBe(0);
    const alpha = greyTiff({ width: 4, height: 4 }, (x, y) => [200, grey(x, y)], {
      bands: 2,
      fields: [[338, "short", [2]]],
    });
    expect((await values(alpha, run)).low).toEqual(hole);
    // It ends after two columns.
    const half = await values(
      greyTiff({ width: 2, height: 4 }, () => [200]),
      run,
    );
    expect(half.low).toEqual(grid((x) => (x < 2 ? 200 : mean)));
  });

  it("of a colour picture with nodata are missing where all bands are", async () => {
    const colour = (x: number) =>
      [
        [0, 0, 0],
        [0, 90, 90],
        [90, 0, 0],
        [90, 90, 90],
      ][x];
    const tiff = greyTiff({ width: 4, height: 4 }, colour, { bands: 3, fields: [noData("0")] });
    const { low } = await values(tiff, { low_bands: undefined, missing: [1, 1, 1] });
    expect(low[0]).toEqual([255, 0, 90, 90]);
  });

  it("of measured bands are missing band by band, and stay what was measured", async () => {
    const missing = [0.5, -3];
    const raster = new RasterFile(at("measured.tif"), {
      ...{ width: 4, height: 4, form: { type: "float32", bands: ["nir", "swir"] } },
      georeference: { epsg: 32_633, affine: [8, 0, 500_000, 0, -8, 4_000_000], geographic: false },
    });
    const stored = (n: number) => [n % 4 === 0 ? Number.NaN : n / 7, n % 4 === 1 ? Number.NaN : -n];
    await raster.write(Float32Array.from(Array.from({ length: 16 }, (_, n) => stored(n)).flat()));
    await raster.finish();
    const run = { pixelType: "float32", missing, low_bands: ["nir", "swir"], bands: [1, 2] };
    const { low, unseen } = await values(readFileSync(at("measured.tif")), run);
    expect(low).toEqual(grid((x, y) => (x === 0 ? 0.5 : Math.fround((4 * y + x) / 7))));
    expect(unseen).toBe(false);
  });

  it("of an image whose rows go east are turned back", async () => {
    const turned: PlainField[] = [
      [34_264, "double", [0, 8, 0, 500_000, -8, 0, 0, 4_000_000, 0, 0, 0, 0, 0, 0, 0, 1]],
      [34_735, "short", [1, 1, 0, 3, ...zone33]],
    ];
    const pixel = (column: number, row: number) => [50 * column + row];
    const low = plainTiff([{ width: 4, height: 4, bands: 1, photometric: 1, pixel, fields: turned }]);
    expect((await values(low)).low).toEqual(grid((x, y) => 50 * y + x));
  });

  it("lie where they are across 180°, whichever way longitudes are counted, and in degrees", async () => {
    // 32 pixels of 1 m in zone 60, of which the middle is 180.00001° or so; the coarse ones are in zone 1, or are degrees.
    const [x, y] = proj4("EPSG:4326", utm(60)).forward([180, -17]) as Point;
    const [left, top] = [x - 15, y + 16];
    const dark = { ...{ width: 32, height: 32, side: 1 }, shift: [left - 500_000, top - 4_000_000] };
    const zone = (number: number) => [1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32_600 + number];
    const sharp = greyTiff(dark, () => [1, 1, 1], { bands: 3, tile: 16, keys: zone(60) });
    // A slope to the east, which is the same ground for both: 0.25 a metre from 64 m to the west of 180°.
    const [x1, y1] = proj4("EPSG:4326", utm(1)).forward([-180, -17]) as Point;
    const wide = { ...{ width: 64, height: 64, side: 2 }, shift: [x1 - 64 - 500_000, y1 + 64 - 4_000_000] };
    const { low } = await values(
      greyTiff(wide, (column) => [Math.round(0.5 * column * 8)], { keys: zone(1) }),
      { sharp },
    );
    // Both are turned by under a degree here, against each other by two: a metre at most over 30.
    for (const [row, line] of low.entries()) {
      for (const [column, value] of line.entries()) {
        const [east, north] = [8 * column + 4 - 15, 16 - (8 * row + 4)];
        expect(Math.abs(value - 2 * (64 + east) + 2)).toBeLessThanOrEqual(2 * (0.3 + Math.abs(north) * 0.04));
      }
    }
    const perMetre = 1 / (111_320 * Math.cos((17 * Math.PI) / 180));
    for (const turn of [-360, 0, 360]) {
      const degrees = plainTiff([
        {
          ...{ width: 64, height: 64, bands: 1, photometric: 1, pixel: (column: number) => [4 * column] },
          fields: [
            [33_550, "double", [2 * perMetre, 2 / 110_700, 0]],
            [33_922, "double", [0, 0, 0, 180 - 64 * perMetre + turn, -17 + 64 / 110_700, 0]],
            [34_735, "short", [1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326]],
          ],
        },
      ]);
      const seen = await values(degrees, { sharp });
      for (const [row, line] of seen.low.entries()) {
        for (const [column, value] of line.entries()) {
          const [east, north] = [8 * column + 4 - 15, 16 - (8 * row + 4)];
          expect(Math.abs(value - 2 * (64 + east) + 2)).toBeLessThanOrEqual(2 * (0.3 + Math.abs(north) * 0.04));
        }
      }
    }
  });

  it("come from the coarsest copy whose pixels are no larger than a block", async () => {
    const pixels = Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => (Math.floor(i / 3) % 64) * 3);
    const raster = new RasterFile(at("fine.tif"), {
      ...{ width: 64, height: 64, tileSize: 16, overviews: 4 },
      georeference: { epsg: 32_633, affine: [1.5, 0, 500_000, 0, -1.5, 4_000_000], geographic: false },
    });
    await raster.write(pixels);
    await raster.finish();
    // A block of 8 m is 5.33 pixels: of 1:2, 1:4, 1:8 and 1:16 it is 1:4, whose pixels have 6 m.
    const { low, from } = await values(readFileSync(at("fine.tif")), { low_bands: undefined });
    expect(from).toBe(
      `${at("hand-low.tif")}, its overview 1:4 (EPSG:32633, 1.33 × 1.33 of its pixels a block): bilinear`,
    );
    // The mean of columns 4n … 4n + 3 is 12n + 4.5, twice rounded up on its way; a block's middle is at (8x + 4) / 6.
    for (const [x, value] of low[0].entries()) {
      const exact = 12 * ((8 * x + 4) / 6 - 0.5) + 4.5;
      // The first lies before the middle of the second pixel, and beyond that of the first.
      expect(Math.abs(value - exact)).toBeLessThanOrEqual(1.5);
    }
  });
});

it("damaged files are refused as the user's, and never as a bug of ours", async () => {
  const random = new Random(4, "low-fuzz");
  const fields = [noData("0")];
  const whole = greyTiff({ width: 5, height: 5 }, (x, y) => [x * y], { fields });
  for (let n = 0; n < mutations / 40; n++) {
    await values(damaged(whole, random)).then(
      ({ low }) => expect(low.flat().every(Number.isFinite)).toBe(true),
      expectRefusal,
    );
  }
});

describe("what does not fit is a line that says what to do", () => {
  const flat = { width: 4, height: 4 };
  const grey = (fields: readonly PlainField[] = []) => greyTiff(flat, () => [7], { fields });
  const refused = async (low: Buffer | string, options: object = {}) => {
    const path = typeof low === "string" ? low : at("wrong.tif");
    if (typeof low !== "string") writeFileSync(path, low);
    const given = { ...choices, low: path, low_bands: [1, 1, 1], out: at("refused"), ...options };
    try {
      await acquire(at("sharp.tif"), brightPolicy, given);
    } catch (error) {
      expect(existsSync(at("refused"))).toBe(false);
      const { exitCode, message } = error as PatchDropError;
      return [exitCode, message];
    }
    return undefined;
  };

  it("no overlap", async () => {
    expect(await refused(grey())).toEqual([
      3,
      `${at("wrong.tif")}: must show some of ${at("sharp.tif")}, got its middle at 15.000 36.145, the scene's at 11.990 51.989 (longitude, latitude); give an image of the same place`,
    ]);
  });

  it("boxes that meet, and no ground in common", async () => {
    // A band that runs past the scene's corner, turned by 45°.
    const { corner } = sharp;
    const place: PlainField[] = [
      [34_264, "double", [10, 10, 0, corner[0] - 900, 10, -10, 0, corner[1] + 200, 0, 0, 0, 0, 0, 0, 0, 1]],
      [34_735, "short", [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32_632]],
    ];
    const turned = plainTiff([{ width: 100, height: 10, bands: 1, photometric: 1, pixel: () => [7], fields: place }]);
    expect((await refused(turned))?.[0]).toBe(3);
  });

  it("no georeference", async () => {
    expect(await refused(plainTiff([{ ...flat, bands: 1, photometric: 1, pixel: () => [7] }]))).toEqual([
      3,
      expect.stringMatching(
        /wrong\.tif: must say where on the Earth it lies \(georeference\), got nothing; give it one with/,
      ),
    ]);
  });

  it("nodata everywhere", async () => {
    await shoot("empty.tif", coarse, { form: float, empty: true });
    const empty = { ...seenAs, low_bands: [1, 2, 3] };
    expect(await refused(at("empty.tif"), empty)).toEqual([
      3,
      `${at("empty.tif")}: must have data where ${at("sharp.tif")} lies, got none in any of 88 windows (nodata, transparent or outside); give an image with data of the same place`,
    ]);
    const options = { ...choices, ...empty, low: at("empty.tif"), out: at("refused") };
    expect(await refusal(() => acquireScenes(undefined, brightPolicy, options))).toBe(
      `input: ${at("empty.tif")}: must have data somewhere, got none in any of 323 windows (nodata, transparent or outside); give an image with data of the same place`,
    );
  });

  it("bands and values that need a choice, or are not as many as the run's", async () => {
    const two = { low_bands: [1, 1] };
    expect(await refused(at("coarse.tif"), { ...seenAs, ...two })).toEqual([
      2,
      `--low_bands: must name as many bands of ${at("coarse.tif")} as the run has, 3, got 2`,
    ]);
    expect(await refused(grey(), { low_bands: undefined })).toEqual([
      2,
      `--low_bands: must say which three of the bands of ${at("wrong.tif")} are red, green and blue, got none for 1 band; give --low_bands 1,1,1 for a grey image`,
    ]);
    expect(await refused(at("coarse.tif"))).toEqual([
      2,
      `--low_scale: must say which values of ${at("coarse.tif")} are black and white, since its samples are not bytes, got none for float32; give for example --low_scale 0,1`,
    ]);
  });

  it("what is no TIFF, or is not there", async () => {
    expect((await refused(at("nowhere.tif")))?.[1]).toMatch(
      /nowhere\.tif: must be an image file that can be read, got no such file$/,
    );
    expect(await refused("s3://bucket/low.tif")).toEqual([
      2,
      "--low: must be a path or an http or https address, got s3://bucket/low.tif; give a path, or an https address (of a bucket: a presigned one)",
    ]);
    expect((await refused(Buffer.from("a text")))?.[0]).toBe(3);
  });

  it("an image that is as fine as the sharp one, and a sharp one that lies nowhere", async () => {
    const fine = await values(greyTiff({ width: 640, height: 640, side: 0.05 }, () => [7])).catch(
      (error) => error.message,
    );
    expect(fine).toBe(
      `${at("hand-low.tif")}: must have at most 16 × 16 pixels, or those of an overview, for one of the low resolution, got 160 × 160; add overviews with \`gdal_translate -of COG IN.tif OUT.tif\``,
    );
    const picture = new Uint8Array(32 * 32 * 3);
    await pictureOf(picture, { raw: { width: 32, height: 32, channels: 3 } })
      .png()
      .toFile(at("picture.png"));
    const options = { ...choices, ...seenAs, low: at("coarse.tif"), out: at("refused") };
    expect(await refusal(() => acquire(at("picture.png"), brightPolicy, options))).toBe(
      `input: ${at("picture.png")}: must say where on the Earth it lies, as --low is laid under it by that alone, got a picture; give a GeoTIFF`,
    );
  });

  it("options that need others, or exclude them", async () => {
    const run = { load: "run", out: "out" };
    const see = "see `patchdrop acquire --help`";
    expect(await refusal(() => parseAcquireOptions({ ...run, low_bands: "1", low_scale: "0,1", plan: true }))).toBe(
      `usage: ${[
        `--low_bands: needs --low, the image that it is for, got 1; ${see}`,
        `--low_scale: needs --low, the image that it is for, got 0,1; ${see}`,
        `--plan: needs --low, the image that is looked at; ${see}`,
      ].join("\n")}`,
    );
    const planned = { ...run, low: "low.tif", plan: true };
    for (const [name, value] of Object.entries({
      free_patches: true,
      egress_per_gb: 1,
      bands: "1",
      scale: "0,1",
      asset: "a",
    })) {
      expect(await refusal(() => parseAcquireOptions({ ...planned, [name]: value }))).toMatch(
        new RegExp(`^usage: --${name}: must be left out with --plan: there is no such file yet`),
      );
    }
    const parsed = parseAcquireOptions(planned);
    expect(await refusal(() => acquireRun("scene.tif", parsed))).toBe(
      "usage: image: must be left out with --plan, which opens none, got scene.tif",
    );
    expect(await refusal(() => acquireRun(undefined, parseAcquireOptions(run)))).toBe(
      `usage: image: must be given, or --manifest, or --low COARSE --plan; ${see}`,
    );
  });
});

it("a sharp image that is not looked at needs no overviews", async () => {
  await shoot("plain.tif", sharp, { overviews: 0 });
  const options = { ...choices, ...seenAs, low: at("coarse.tif") };
  expect(await refusal(() => acquire(at("plain.tif"), brightPolicy, { ...choices, out: at("plain") }))).toContain(
    "must have an overview of 1:4 or finer",
  );
  await acquire(at("plain.tif"), brightPolicy, { ...options, out: at("plain") });
  expect(chosenOf("plain")).toEqual(chosenOf("low"));
});
