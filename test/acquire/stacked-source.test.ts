/** A scene of a file for each band: as one file of all bands would be, and read no further than it must be. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { acquireScenes } from "../../src/acquire/acquire-scenes.ts";
import { Ledger } from "../../src/acquire/ledger.ts";
import { openFiles, openSource } from "../../src/acquire/open-source.ts";
import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import { RasterFile } from "../../src/acquire/raster-file.ts";
import { openTiff } from "../../src/data/tiff-picture.ts";
import { makeGrid } from "../../src/method/grid.ts";
import { Random } from "../../src/utils/random.ts";
import { stacItem } from "../archive/items.ts";
import { limits, readPatches, utm33 } from "./scenes.ts";
import { type FileServer, serveFile } from "./server.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const sizes = { imageSize: 32, lowSize: 8 };
const [width, height] = [151, 139];
const bands = ["red", "green", "blue", "nir"];
/** [height, width, 4] */
const random = new Random(1, "stacked");
const pixels = Uint16Array.from({ length: width * height * 4 }, () => random.integer(10_000));

async function write(name: string, values: Uint16Array, names: string[], more: object = {}): Promise<void> {
  const form = { type: "uint16", bands: names } as const;
  const place = { width, height, georeference: utm33, tileSize: 16, overviews: 2, resampling: "nearest" } as const;
  const file = new RasterFile(at(name), { ...place, form, ...more });
  await file.write(values);
  await file.finish();
}

const plane = (band: number) => pixels.filter((_, i) => i % 4 === band);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-stacked-"));
  await write("all.tif", pixels, bands);
  for (const [n, band] of bands.entries()) await write(`${band}.tif`, plane(n), [""]);
  await write("unnamed.tif", pixels, ["", "", "", ""]);
  await write("other.tif", pixels, ["", "nir", "", "red"]);
  await write("moved.tif", plane(0), [""], { georeference: { ...utm33, affine: [0.5, 0, 0, 0, -0.5, 5_820_000] } });
  await write("small.tif", plane(0).subarray(0, 75 * 69), [""], { width: 75, height: 69 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const windows = [0, 1, 4].map((n) => ({ x: 32 * n, y: 32 * (n % 3), width: 32, height: 32 }));
const boxes = [
  { x: 0, y: 0, width: 8, height: 8 },
  { x: 40, y: 72, width: 8, height: 8 },
  { x: 144, y: 136, width: 8, height: 8 },
];
const file = (place: string, ...called: string[]) => ({ place, called, bandNames: [called] });
const stack = (names: readonly string[]) => names.map((name) => file(at(`${name}.tif`), name));

it.each([
  ["the files in their order", undefined, bands],
  ["those that are named, in the order of the names", ["nir", "RED"], ["nir", "red"]],
  ["those that are numbered", [4, 2, 2], ["nir", "green", "green"]],
])("has the pixels of one file of all bands: %s", async (_, chosen, expected) => {
  const form = { pixelType: "float32", missing: [1, 2, 3, 4] } as const;
  const one = await openSource(at("all.tif"), sizes, { ...form, bands: expected, ledger: new Ledger() });
  const ledger = new Ledger();
  const many = await openFiles(stack(bands), sizes, { ...form, bands: chosen, ledger });
  expect([many.width, many.height, many.georeference?.epsg]).toEqual([width, height, 32_633]);
  expect(await many.readLow(windows)).toEqual(await one.readLow(windows));
  expect(many.lowFrom).toBe(one.lowFrom);
  const [own, other] = [await readPatches(many, boxes), await readPatches(one, boxes)];
  expect(own.map((patch) => patch.pixels)).toEqual(other.map((patch) => patch.pixels));
  const at00 = expected.map((band) => pixels[bands.indexOf(band)]);
  expect([...own[0].pixels.subarray(0, expected.length)]).toEqual(at00);
  await many.close();
  await one.close();
});

it("costs what its files cost", async () => {
  const options = () => ({ pixelType: "float32", bands: [1], ledger: new Ledger() }) as const;
  const alone = await Promise.all(bands.map((band) => openSource(at(`${band}.tif`), sizes, options())));
  const many = await openFiles(stack(bands), sizes, { pixelType: "float32", ledger: new Ledger() });
  expect(many.wholeBytes).toBe(alone.reduce((sum, { wholeBytes }) => sum + wholeBytes, 0));
  const costs = await Promise.all(alone.map((source) => readPatches(source, boxes)));
  for (const [n, { bytes }] of (await readPatches(many, boxes)).entries()) {
    expect(bytes).toBe(costs.reduce((sum, patches) => sum + patches[n].bytes, 0));
  }
  for (const box of [...boxes, { x: 80, y: 120, width: 8, height: 8 }]) {
    expect(many.isFree(box)).toBe(alone.every((source) => source.isFree(box)));
  }
  for (const source of [many, ...alone]) await source.close();
});

it("reads of each file on a server the tiles that a patch needs, and counts them all", async () => {
  const servers: FileServer[] = [];
  for (const band of bands) servers.push(await serveFile(readFileSync(at(`${band}.tif`))));
  const ledger = new Ledger();
  const places = servers.map(({ url }, n) => file(url, bands[n]));
  const many = await openFiles(places, sizes, { pixelType: "float32", ledger });
  const before = servers.map(({ ranges }) => ranges.length);
  const high = ledger.of("high").bytes;
  // In the lower right, so that it lies behind what came with the header.
  const [patch] = await readPatches(many, [{ x: 120, y: 120, width: 8, height: 8 }]);
  const asked = servers.map(({ ranges }, n) => ranges.slice(before[n]));
  // One tile of 16 × 16 pixels of 2 bytes, deflated, of each.
  for (const ranges of asked) expect(ranges).toHaveLength(1);
  const lengths = asked.flat().map((range) => range.split("-").map(Number));
  expect(lengths.reduce((sum, [start, end]) => sum + end - start + 1, 0)).toBe(patch.bytes);
  expect(ledger.of("high").bytes - high).toBe(patch.bytes);
  expect(patch.bytes).toBeLessThan(4 * 600);
  expect(ledger.total).toEqual({
    bytes: servers.reduce((sum, { sent }) => sum + sent, 0),
    requests: servers.reduce((sum, { ranges }) => sum + ranges.length, 0),
  });
  for (const server of servers) await server.close();
});

it("has the tiles of all files, of which each is paid for", async () => {
  const options = () => ({ pixelType: "float32", bands: [1], ledger: new Ledger() }) as const;
  const alone = await Promise.all(bands.map((band) => openSource(at(`${band}.tif`), sizes, options())));
  const many = await openFiles(stack(bands), sizes, { pixelType: "float32", ledger: new Ledger() });
  const sum = (of: (source: (typeof alone)[number]) => number) => alone.reduce((all, source) => all + of(source), 0);
  expect(many.lowBytes).toBe(sum(({ lowBytes }) => lowBytes));
  expect(many.tiles!.count).toBe(sum(({ tiles }) => tiles!.count));
  const box = { x: 120, y: 120, width: 8, height: 8 };
  const touched = many.tiles!.of(box);
  expect(touched).toHaveLength(sum(({ tiles }) => tiles!.of(box).length));
  const bytes = touched.map((tile) => many.tiles!.bytesOf(tile));
  expect(bytes).toEqual(alone.flatMap(({ tiles }) => tiles!.of(box).map((tile) => tiles!.bytesOf(tile))));
  await readPatches(many, [box]);
  expect(many.tiles!.needed).toBe(touched.length);
  expect(touched.map((tile) => many.tiles!.bytesOf(tile))).toEqual(touched.map(() => 0));
  for (const source of [many, ...alone]) await source.close();
});

it.each([
  [
    "another size",
    ["red", "small"],
    /^\S+small\.tif: must have the grid of \S+red\.tif, whose bands it is read with: 151 × 139 pixels, got 75 × 69 pixels; give assets of one resolution, or /,
  ],
  [
    "another place",
    ["red", "moved"],
    /^\S+moved\.tif: .*: transform 0.5 0 380000 0 -0.5 5820000, got transform 0.5 0 0 0 -0.5 5820000; /,
  ],
  [
    "several bands, none of which is named",
    ["red", "unnamed"],
    /^--bands: must name one band of \S+unnamed\.tif, got /,
  ],
  ["no such file", ["red", "none"], /^\S+none\.tif: must be an image file that can be read, got no such file$/],
])("refuses files of %s", async (_, names, message) => {
  const opening = openFiles(stack(names), sizes, { pixelType: "float32", ledger: new Ledger() });
  await expect(opening).rejects.toThrow(message);
});

it("takes a band by the item's name where the file has none, and by the file's where it has one", async () => {
  const bandNames = bands.map((name, n) => [name, `B0${n}`]);
  const first = async (name: string, band: string) => {
    const files = [{ place: at(`${name}.tif`), called: ["image"], bandNames }];
    const options = { bands: [band], pixelType: "float32", ledger: new Ledger() } as const;
    const source = await openFiles(files, sizes, options);
    const [patch] = await readPatches(source, boxes);
    await source.close();
    return patch.pixels[0];
  };
  expect(await first("unnamed", "nir")).toBe(pixels[3]);
  expect(await first("unnamed", "b02")).toBe(pixels[2]);
  expect(await first("other", "nir")).toBe(pixels[1]);
  expect(await first("other", "green")).toBe(pixels[1]);
  await expect(first("unnamed", "swir16")).rejects.toThrow(/got swir16; it has red, B00, green, B01, /);
});

/** Takes the last patch of each window, of measured values in four bands. */
const lastPatch: PatchPolicy = {
  model: { ...sizes, grid: makeGrid(32, 8) },
  description: { bands, pixelType: "float32", normalization: { mean: [0, 0, 0, 0] }, rendering: { bands } },
  classes: ["a", "b"],
  checkpoint: "0123456789ab",
  rounds: 1,
  decide(low) {
    const taken = Uint8Array.from({ length: (16 * low.length) / (8 * 8 * 4) }, (_, i) => (i % 16 === 15 ? 1 : 0));
    return { patches: Float32Array.from(taken), mask: taken };
  },
  classify: (_, mask) => new Float32Array((2 * mask.length) / 16).fill(0.5),
};

/** A file for each band, as Sentinel-2 has them. */
function bandItem(placeOf: (band: string) => string) {
  const item = stacItem("S2", "");
  item.assets = Object.fromEntries(
    bands.map((band, n) => {
      return [`B0${n}`, { href: placeOf(band), type: "image/tiff", bands: [{ "eo:common_name": band }] }];
    }),
  );
  return item;
}

it("is acquired by an item whose assets are its bands, and written as they were measured", async () => {
  const servers = new Map<string, FileServer>();
  for (const band of bands) servers.set(band, await serveFile(readFileSync(at(`${band}.tif`))));
  const all = [...servers.values()];
  writeFileSync(at("item.json"), JSON.stringify(bandItem((band) => servers.get(band)!.url)));
  const choices = { ...limits, top: 1, batch_size: 8, out: at("acquired") };
  const acquired = await acquireScenes(at("item.json"), lastPatch, choices);
  expect(acquired.read).toMatchObject({
    bytes: all.reduce((sum, { sent }) => sum + sent, 0),
    requests: all.reduce((sum, { ranges }) => sum + ranges.length, 0),
  });
  // Of 5 × 5 windows, those whose last patch lies in the scene.
  expect(acquired.cells.chosen).toBe(4 * 4);
  const derived: { href: string }[] = JSON.parse(readFileSync(at("acquired", "item.json"), "utf8")).links;
  expect(derived.slice(1).map(({ href }) => href)).toEqual(all.map(({ url }) => url.replace(/\?.*/, "")));
  const masked = await openTiff(at("acquired", "masked.tif"), { bands });
  const written = (await masked.decode()).pixels;
  await masked.close();
  for (const [x, y] of [
    [24, 24],
    [63, 31],
    [120, 127],
  ]) {
    const start = 4 * (y * width + x);
    expect([...written.subarray(start, start + 4)]).toEqual([...pixels.subarray(start, start + 4)]);
  }
  for (const server of all) await server.close();
});

it("is refused where its bands are not as many as the policy sees", async () => {
  writeFileSync(at("near.json"), JSON.stringify(bandItem((band) => at(`${band}.tif`))));
  const choices = { ...limits, top: 1, batch_size: 8, out: at("none") };
  const rule = "must be 4 bands, as the run has learned from red, green, blue, nir, got";
  const withBands = { ...choices, bands: ["red", "nir"] };
  await expect(acquireScenes(at("near.json"), lastPatch, withBands)).rejects.toThrow(`--bands: ${rule} red,nir`);
  const { rendering: _, ...unchosen } = lastPatch.description!;
  const policy = { ...lastPatch, description: unchosen };
  const withAssets = { ...choices, asset: ["red", "B03"] };
  await expect(acquireScenes(at("near.json"), policy, withAssets)).rejects.toThrow(`--asset: ${rule} red,B03`);
});
