/** Whole acquisitions by a policy whose choice is known: every file that is written, against the scene and the server. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromFile } from "geotiff";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import { areaKm2 } from "../../src/acquire/earth.ts";
import type { Position } from "../../src/acquire/georeference.ts";
import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import { Stopped, silentReporter } from "../../src/utils/reporter.ts";
import { makeImageFolder } from "../e2e/images.ts";
import { findNginx, startNginx } from "./nginx.ts";
import { blockScene, boxOf, brightPolicy, limits, type Scene, writeScene } from "./scenes.ts";
import { type FileServer, serveFile } from "./server.ts";

let folder: string;
let server: FileServer;
const at = (...names: string[]) => join(folder, ...names);
/** 4 × 3 windows of 32, of which the last column and row reach over the edge; 13 × 10 cells of 8. */
const scene = blockScene(101, 75);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-acquire-"));
  await writeScene(at("scene.tif"), scene, { resampling: "nearest" });
  server = await serveFile(readFileSync(at("scene.tif")));
});
afterAll(async () => {
  await server.close();
  rmSync(folder, { recursive: true, force: true });
});

const choices = { ...limits, top: 2, batch_size: 3 };
const json = (...names: string[]) => JSON.parse(readFileSync(at(...names), "utf8"));

/** Whether the policy takes a cell: by its pixels 0 and 4 along both sides, of which the edge repeats the last block. */
function isBright(one: Scene, column: number, row: number): boolean {
  let sum = 0;
  for (const [dx, dy] of [
    [0, 0],
    [4, 0],
    [0, 4],
    [4, 4],
  ]) {
    const lastBlock = (length: number) => 4 * (Math.ceil(length / 4) - 1);
    const x = Math.min(8 * column + dx, lastBlock(one.width));
    const y = Math.min(8 * row + dy, lastBlock(one.height));
    for (let c = 0; c < 3; c++) sum += one.pixels[3 * (y * one.width + x) + c];
  }
  return sum / 12 >= 127.5;
}

interface Feature {
  geometry: { type: string; coordinates: never };
  properties: { chosen: boolean; probability: number; bytes: number; patch: number; window: number[]; pixels: Box };
}
interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

it("reads the overview and the chosen patches, and nothing else, and says so in all its files", async () => {
  const acquired = await acquire(server.url, brightPolicy, {
    ...{ ...choices, out: at("all"), price_per_km2: 1000, egress_per_gb: 1 },
  });
  expect(readdirSync(at("all")).sort()).toEqual([
    ...[
      "item.json",
      "masked.tif",
      "order.geojson",
      "patches.geojson",
      "patches.parquet",
      "predictions.jsonl",
      "savings.json",
    ],
  ]);

  const { features } = json("all", "patches.geojson") as { features: Feature[] };
  expect(features).toHaveLength(13 * 10);
  for (const { properties } of features) {
    const { x, y, width, height } = properties.pixels;
    expect([width, height]).toEqual([Math.min(8, 101 - x), Math.min(8, 75 - y)]);
    expect(properties.window).toEqual([Math.floor(x / 32), Math.floor(y / 32)]);
    expect(properties.patch).toBe(4 * ((y % 32) / 8) + (x % 32) / 8);
    expect(properties.chosen).toBe(isBright(scene, x / 8, y / 8));
    expect(properties.probability >= 0.5).toBe(properties.chosen);
    if (!properties.chosen) expect(properties.bytes).toBe(0);
  }
  const chosen = features.filter(({ properties }) => properties.chosen);
  expect(chosen.length).toBeGreaterThan(20);
  expect(chosen.length).toBeLessThan(60);

  // High resolution where chosen, the top left pixel of each block of four elsewhere.
  const masked = await sharp(at("all", "masked.tif")).raw().toBuffer();
  const expected = Uint8Array.from({ length: 101 * 75 * 3 }, (_, i) => {
    const [x, y] = [Math.floor(i / 3) % 101, Math.floor(i / 303)];
    const [fromX, fromY] = isBright(scene, x >> 3, y >> 3) ? [x, y] : [x & ~3, y & ~3];
    return scene.pixels[3 * (fromY * 101 + fromX) + (i % 3)];
  });
  expect(Buffer.compare(masked, expected)).toBe(0);

  const lines = readFileSync(at("all", "predictions.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(lines).toHaveLength(4 * 3);
  for (const line of lines) {
    const [column, row] = line.window;
    const inWindow = features.filter(({ properties }) => String(properties.window) === String(line.window));
    const taken = inWindow.filter(({ properties }) => properties.chosen);
    expect(line.box).toEqual({ x: 32 * column, y: 32 * row, width: 32, height: 32 });
    expect(line.patches).toBe(taken.length);
    for (const { properties } of inWindow) expect(line.mask[properties.patch]).toBe(properties.chosen ? "1" : "0");
    const pixels = taken.reduce((sum, { properties: { pixels } }) => sum + pixels.width * pixels.height, 0);
    expect(line.pixels).toBe(64 + pixels);
    // The classifier counted the bright bytes of the patches, those of the edge repeated.
    const image = boxOf(scene, line.box);
    const bright = image.filter((value, i) => {
      const patch = 4 * Math.floor(i / (32 * 8 * 3)) + Math.floor((Math.floor(i / 3) % 32) / 8);
      return value > 127 && line.mask[patch] === "1";
    }).length;
    expect(line.top.find((one: { class: string }) => one.class === "bright").probability).toBeCloseTo(bright / 3072, 5);
    expect(line.class).toBe(bright > 1536 ? "bright" : "dark");
  }

  const savings = json("all", "savings.json");
  expect(savings).toEqual(JSON.parse(JSON.stringify(acquired)));
  expect(savings).toMatchObject({
    windows: 12,
    cells: { all: 130, chosen: chosen.length },
    low_from: "the overview 1:4",
  });
  expect(savings.read.bytes).toBe(server.sent);
  expect(savings.read.requests).toBe(server.ranges.length);
  expect(savings.bytes.used).toBe(server.sent);
  const inChosen = chosen.reduce((sum, { properties: { pixels } }) => sum + pixels.width * pixels.height, 0);
  expect(savings.pixels).toMatchObject({ whole: 101 * 75, used: 12 * 64 + inChosen });
  expect(savings.source).not.toContain("secret");

  const [order] = json("all", "order.geojson").features;
  expect(order.geometry.type).toBe("MultiPolygon");
  const rings = (order.geometry.coordinates as Position[][][]).flatMap(([outer, ...holes]) => [
    areaKm2(outer.slice(1)),
    ...holes.map((hole) => -areaKm2(hole.slice(1))),
  ]);
  // A pixel has a quarter of a square metre of the map, which here is 1/0.99978 as long as on the ground.
  expect(rings.reduce((sum, area) => sum + area, 0)).toBeCloseTo((inChosen * 0.25e-6) / 0.99978 ** 2, 7);
  expect(savings.area_km2.chosen).toBeCloseTo((inChosen * 0.25e-6) / 0.99978 ** 2, 7);
  expect(savings.money.order.used).toBeCloseTo(1000 * savings.area_km2.chosen, 9);

  const item = json("all", "item.json");
  expect(item).toMatchObject({ type: "Feature", stac_version: "1.1.0", id: "scene-0123456789ab" });
  expect(item.properties).toMatchObject({ "proj:code": "EPSG:32633", "proj:shape": [75, 101] });
  for (const { href } of Object.values(item.assets) as { href: string }[])
    expect(existsSync(at("all", href))).toBe(true);
  // Of the lower left corner: `echo "380000 5819962.5" | gdaltransform -s_srs EPSG:32633 -t_srs EPSG:4326`.
  expect(item.bbox[1]).toBeCloseTo(52.5165483422888, 5);
});

it("results do not depend on how many windows are looked at together", async () => {
  await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("one"), batch_size: 1 });
  await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("many"), batch_size: 64 });
  for (const name of ["predictions.jsonl", "patches.geojson", "masked.tif", "order.geojson"]) {
    expect(Buffer.compare(readFileSync(at("one", name)), readFileSync(at("many", name)))).toBe(0);
  }
});

/** Takes the same of every window. */
const taking = (taken: 0 | 1): PatchPolicy => ({
  ...brightPolicy,
  decide: (low) => {
    const count = (16 * low.length) / 192;
    return { mask: new Uint8Array(count).fill(taken), patches: new Float32Array(count).fill(taken) };
  },
});

it("a policy that takes all saves nothing, and one that takes none reads no patch", async () => {
  const all = await acquire(at("scene.tif"), taking(1), { ...choices, out: at("everything"), price_per_km2: 1 });
  expect(all.bytes!.saved).toBeLessThanOrEqual(0);
  expect(all.pixels.saved).toBe(-12 * 64);
  expect(all.money).toMatchObject({ saved: 0, share: 0 });
  expect(Buffer.compare(await sharp(at("everything", "masked.tif")).raw().toBuffer(), scene.pixels)).toBe(0);

  const none = await acquire(at("scene.tif"), taking(0), { ...choices, out: at("nothing"), price_per_km2: 1 });
  expect(none).toMatchObject({ cells: { all: 130, chosen: 0 }, time: null, money: { used: 0 } });
  expect(none.read).toMatchObject({ by: { high: { bytes: 0, requests: 0 } } });
  expect(json("nothing", "order.geojson").features[0].geometry).toEqual({ type: "MultiPolygon", coordinates: [] });
});

it("what lies in tiles that were read for others is used where that is asked for, at the same bytes", async () => {
  // Of each window the top left patch of 8 × 8: in a tile of 16 × 16 there are three beside it.
  const corner: PatchPolicy = {
    ...brightPolicy,
    decide(low) {
      const count = (low.length / (8 * 8 * 3)) * 16;
      const mask = new Uint8Array(count).map((_, at) => (at % 16 === 0 ? 1 : 0));
      return { mask, patches: Float32Array.from(mask) };
    },
  };
  const asked = { ...choices, price_per_km2: 1000 };
  const plain = await acquire(at("scene.tif"), corner, { ...asked, out: at("asked") });
  const free = await acquire(at("scene.tif"), corner, { ...asked, out: at("free"), free_patches: true });
  expect(plain.cells).toEqual({ all: 130, chosen: 12 });
  const { features } = json("free", "patches.geojson") as { features: (Feature & { properties: { free: boolean } })[] };
  const taken = features.filter(({ properties }) => properties.free);
  expect(free.cells).toEqual({ all: 130, chosen: 12, free: taken.length });
  // Those beside it, below it, and both, where the scene has them; besides them what came in one request.
  const beside = features.filter(({ properties: { patch } }) => [1, 4, 5].includes(patch));
  expect(beside.length).toBeGreaterThan(12);
  expect(beside.every(({ properties: { free } }) => free)).toBe(true);
  expect(taken.every(({ properties: { chosen, bytes } }) => !chosen && bytes === 0)).toBe(true);
  expect(free.read).toEqual(plain.read);
  expect(free.money).toEqual(plain.money);
  const area = taken.reduce((sum, { properties: { pixels } }) => sum + pixels.width * pixels.height, 0);
  expect(free.pixels.used - plain.pixels.used).toBe(area);
  const masked = await sharp(at("free", "masked.tif")).raw().toBuffer();
  for (const { properties } of taken) {
    const { x, y, width, height } = properties.pixels;
    for (let row = y; row < y + height; row++) {
      const [from, to] = [3 * (row * 101 + x), 3 * (row * 101 + x + width)];
      expect(Buffer.compare(masked.subarray(from, to), scene.pixels.subarray(from, to))).toBe(0);
    }
  }
});

it("a picture has no place on the Earth: no order, no geometry, no saving of bytes", async () => {
  await sharp(scene.pixels, { raw: { width: 101, height: 75, channels: 3 } })
    .png()
    .toFile(at("scene.png"));
  const acquired = await acquire(at("scene.png"), brightPolicy, { ...choices, out: at("picture"), price_per_km2: 1 });
  expect(readdirSync(at("picture"))).not.toContain("order.geojson");
  expect(acquired).toMatchObject({ bytes: { saved: 0 }, money: null, area_km2: null });
  const { features } = json("picture", "patches.geojson") as { features: Feature[] };
  expect(features.every(({ geometry }) => geometry === null)).toBe(true);
  expect(
    Buffer.compare(
      readFileSync(at("picture", "predictions.jsonl")).subarray(0, 100),
      readFileSync(at("one", "predictions.jsonl")).subarray(0, 100),
    ),
  ).toBe(0);
});

it("what a picture has no use for is not ignored", async () => {
  const picture = at("plain.png");
  await sharp(scene.pixels, { raw: { width: 101, height: 75, channels: 3 } })
    .png()
    .toFile(picture);
  const said = (given: object) =>
    expect(acquire(picture, brightPolicy, { ...choices, out: at("refused"), ...given })).rejects;
  await said({ bands: [3, 2, 1], scale: [0, 100] }).toMatchObject({
    kind: "usage",
    message: [
      `--bands: must be left out for ${picture}, which is no TIFF, got 3,2,1`,
      `--scale: must be left out for ${picture}, which is no TIFF, got 0,100`,
    ].join("\n"),
  });
  expect(readdirSync(folder)).not.toContain("refused");
  rmSync(picture);
});

it("what goes wrong leaves nothing, and nothing is written over", async () => {
  const before = readdirSync(folder).sort();
  const stopping = { ...silentReporter, stopping: () => "SIGINT" as const };
  const options = { ...choices, out: at("stopped") };
  await expect(acquire(at("scene.tif"), brightPolicy, options, stopping)).rejects.toBeInstanceOf(Stopped);
  const broken = readFileSync(at("scene.tif"));
  broken.fill(0, broken.length - 20_000);
  const bad = await serveFile(broken);
  await expect(acquire(bad.url, taking(1), options)).rejects.toMatchObject({
    kind: "input",
    message: expect.stringMatching(/scene\.tif: tile \d+ of 101 × 75 pixels: must be decoded, got/),
  });
  await bad.close();
  expect(readdirSync(folder).sort()).toEqual(before);
  const within = { ...choices, out: at("scene.tif", "out") };
  await expect(acquire(at("scene.tif"), brightPolicy, within)).rejects.toMatchObject({
    kind: "system",
    message: expect.stringMatching(/scene\.tif\/out: could not be written \(E/),
  });
  await expect(acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("one") })).rejects.toMatchObject({
    kind: "usage",
    message: `--out ${at("one")}: must not exist yet; give another folder`,
  });
});

it("of two with the same folder, the second is refused while the first is at work", async () => {
  const options = { ...choices, out: at("twice") };
  let second: Promise<unknown> | undefined;
  const meanwhile: PatchPolicy = {
    ...brightPolicy,
    classify(...given) {
      second ??= acquire(at("scene.tif"), brightPolicy, options).catch((error: unknown) => error);
      return brightPolicy.classify(...given);
    },
  };
  await acquire(at("scene.tif"), meanwhile, options);
  expect(await second).toMatchObject({
    kind: "locked",
    message: `${at("twice.lock")}: is in use by process ${process.pid}; wait for it to end, or write elsewhere`,
  });
  expect(readdirSync(folder).filter((name) => /twice.|^\.patchdrop/.test(name))).toEqual([]);
  expect(existsSync(at("twice", "item.json"))).toBe(true);
});

it("what nginx has sent is what the ledger says", async (context) => {
  const nginx = findNginx();
  if (nginx === undefined) return context.skip("nginx is not installed (Debian: apt-get install nginx)");
  await makeImageFolder(at("images"), { classes: 3, train: 0, test: 20 });
  const script = fileURLToPath(new URL("../../scripts/fixtures/make-scene.ts", import.meta.url));
  const given = ["--data_dir", at("images", "test"), "--out", at("www"), "--model", "R8_Scenes"];
  execFileSync(process.execPath, ["--import", "tsx", script, ...given, "--size", "700", "--tile", "64"]);
  for (const path of [folder, at("www")]) chmodSync(path, 0o755);
  mkdirSync(at("scratch"));
  const server = await startNginx(nginx, at("www"), at("scratch"));
  const acquiring = acquire(`${server.url}/scene.tif`, brightPolicy, { ...choices, out: at("from-nginx") });
  const sent = await acquiring.then(server.stop, server.stop);
  const acquired = await acquiring;
  expect(sent.every(({ status }) => status === 206)).toBe(true);
  expect(sent.length).toBeGreaterThan(5);
  expect(acquired.read).toMatchObject({
    requests: sent.length,
    bytes: sent.reduce((sum, { bytes }) => sum + bytes, 0),
    retries: 0,
  });
  // Each byte once.
  const ranges = sent
    .map(({ range }) => /bytes=(\d+)-(\d+)/.exec(range)!.slice(1).map(Number))
    .sort(([a], [b]) => a - b);
  for (const [i, [start]] of ranges.slice(1).entries()) expect(start).toBeGreaterThan(ranges[i][1]);
  expect(acquired.bytes!.saved).toBeGreaterThan(0);
});

it("a scene whose rows go north is written as it lies, where it lies", async () => {
  const [west, south] = [500_000, 4_000_000];
  const georeference = { epsg: 32_633, affine: [10, 0, west, 0, 10, south], geographic: false };
  await writeScene(at("south-up.tif"), scene, { resampling: "nearest", georeference });
  await acquire(at("south-up.tif"), brightPolicy, { ...choices, out: at("south-up") });

  const path = at("south-up", "masked.tif");
  // In the eyes of another reader: the first row is the southernmost, each a column eastward, a row northward.
  const image = await (await fromFile(path)).getImage();
  expect(image.fileDirectory.hasTag("ModelPixelScale")).toBe(false);
  expect(image.getBoundingBox()).toEqual([west, south, west + 10 * 101, south + 10 * 75]);
  expect(image.getOrigin().slice(0, 2)).toEqual([west, south]);
  expect(Array.from(image.fileDirectory.getValue("ModelTransformation") as Iterable<number>).slice(0, 8)).toEqual([
    ...[10, 0, 0, west, 0, 10, 0, south],
  ]);
  // Chosen pixels stand where they stood.
  const pixels = await sharp(path).raw().toBuffer();
  for (const [column, row] of [0, 1, 2].flatMap((x) => [0, 1, 2].map((y) => [x, y] as const))) {
    if (!isBright(scene, column, row)) continue;
    const first = 3 * (8 * row * 101 + 8 * column + 1);
    expect([...pixels.subarray(first, first + 3)]).toEqual([...scene.pixels.subarray(first, first + 3)]);
  }
  const { properties } = json("south-up", "item.json");
  expect(properties["proj:transform"]).toEqual([10, 0, west, 0, 10, south]);
});
