/** Shards added up: what is missing, doubled or foreign is named. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { beforeEach, expect, it, onTestFinished } from "vitest";
import { gather } from "../../src/shards/gather-shards.ts";
import { SeenIds } from "../../src/shards/seen-ids.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach(() => {
  folder = join(temporaryFolder(onTestFinished), "shards");
  mkdirSync(folder);
});

const manifest = { name: "list.jsonl", bytes: 1000, sha256: "0".repeat(64) };
const headerOf = (index: number, count: number, more = {}) => ({
  ...{
    shard: [index, count],
    manifest,
    part: "0",
    command: "predict",
    checkpoint: "0123456789ab",
    settings: "--top 1",
  },
  ...more,
});
const figure = (whole: number, used: number) => ({ whole, used, saved: whole - used, share: (whole - used) / whole });
const count = (bytes: number) => ({ bytes, requests: 1 });

/** A scene of 2 × 1 windows of 4 pixels with patches of 2, of which the second reaches over the edge. */
const acquired = (id: string, bytes: number, more = {}) => ({
  ...{ id, source: `${id}.tif`, from: "list.jsonl", size: { width: 6, height: 4 }, low_from: "the overview 1:2" },
  ...{ windows: 2, cells: { all: 6, chosen: 2 }, tiles: { all: 6, read: 2 }, why: null },
  rounds: [{ windows: 1, patches: 2, requests: 1, seconds: 0.5 }],
  ...{ pixels: figure(24, 16), bytes: figure(1000, bytes), time: null },
  money: { ...figure(10, 4), order: figure(10, 4), egress: null },
  read: {
    bytes,
    requests: 4,
    retries: 0,
    by: { header: count(10), low: count(20), high: count(30), whole_file: count(0) },
  },
  seconds: { look: 1, decide: 2, acquire: 3, classify: 4, write: 5 },
  area_km2: { whole: 24, chosen: 8 },
  prices: { price_per_km2: 0.5 },
  place: { epsg: 4326, affine: [1, 0, 10, 0, -1, 50] },
  grid: { image_size: 4, patch_size: 2 },
  ...more,
});
const windowOf = (of: string, column: number) => ({
  ...{ of, window: [column, 0], box: { x: 4 * column, y: 0, width: 4, height: 4 }, class: column === 0 ? "a" : "b" },
  ...{ mask: "1000", chosen: column === 0 ? "1001" : "0000", patch_probabilities: [0.9, 0.1, 0.2, 0.8] },
  cell_bytes: column === 0 ? [7, 0, 0, 5] : [0, 0],
});

function write(index: number, of: number, lines: readonly object[], { more = {}, ends = true } = {}): string {
  const path = join(folder, `shard-${index}-of-${of}.jsonl`);
  const scenes = lines.filter((line) => "id" in line);
  const failed = scenes.filter((line) => "error" in line).length;
  const end = { end: { scenes: scenes.length, failed } };
  const all = [headerOf(index, of, more), ...lines, ...(ends ? [end] : [])];
  writeFileSync(path, all.map((line) => `${JSON.stringify(line)}\n`).join(""));
  return path;
}

it("adds up what acquire found, and lists all cells", async () => {
  const more = { command: "acquire" };
  write(
    0,
    2,
    [windowOf("x", 0), windowOf("x", 1), acquired("x", 60), { id: "y", error: "y.tif: gone", kind: "input" }],
    { more },
  );
  write(1, 2, [windowOf("z", 0), windowOf("z", 1), acquired("z", 40)], { more });
  const out = join(folder, "..", "sums");
  const gathered = await gather(folder, out);
  expect(gathered).toMatchObject({
    ...{ command: "acquire", checkpoint: "0123456789ab", shards: { all: 2, missing: [] } },
    ...{ scenes: 3, failed: 1, classes: { a: 2, b: 2 } },
    savings: {
      ...{ checkpoint: "0123456789ab", windows: 4, cells: { all: 12, chosen: 4 }, tiles: { all: 12, read: 4 } },
      ...{ bytes: figure(2000, 100), pixels: figure(48, 32), time: null, money: { ...figure(20, 8), egress: null } },
      ...{ read: { bytes: 100, requests: 8 }, seconds: { write: 10 }, area_km2: { whole: 48, chosen: 16 } },
    },
  });
  expect(JSON.parse(readFileSync(join(out, "gathered.json"), "utf8"))).toEqual(JSON.parse(JSON.stringify(gathered)));
  expect(readFileSync(join(out, "failed.jsonl"), "utf8")).toBe('{"id":"y","error":"y.tif: gone","kind":"input"}\n');
  const cells = await parquetReadObjects({ file: new Uint8Array(readFileSync(join(out, "patches.parquet"))).buffer });
  expect(cells).toHaveLength(12);
  // Its cells by window: the first has four, the second the two of its left column, which lie in the scene.
  expect(cells.slice(0, 6).map(({ patch, chosen, bytes }) => [patch, chosen, Number(bytes)])).toEqual([
    ...[
      [0, true, 7],
      [1, false, 0],
      [2, false, 0],
      [3, true, 5],
    ],
    ...[
      [0, false, 0],
      [2, false, 0],
    ],
  ]);
  const corners = (n: number) => JSON.stringify((cells[n].geometry as { coordinates: unknown }).coordinates);
  expect(corners(0)).toBe("[[[10,48],[12,48],[12,50],[10,50],[10,48]]]");
  expect(corners(5)).toBe("[[[14,46],[16,46],[16,48],[14,48],[14,46]]]");
});

it("sums what is there, and writes nothing while shards are missing", async () => {
  write(1, 4, [{ id: "a", class: "cat" }]);
  expect(await gather(folder, undefined)).toMatchObject({
    scenes: 1,
    shards: { all: 4, missing: [0, 2, 3] },
    savings: null,
  });
  const out = join(folder, "..", "sums");
  await expect(gather(folder, out)).rejects.toThrow(
    `${folder}: must have 4 shards, got all but 0, 2, 3; run these shards (again), from 0 on`,
  );
  expect(existsSync(out)).toBe(false);
});

it("takes windows of which the low resolution showed nothing", async () => {
  const { class: _, patch_probabilities: __, ...unseen } = windowOf("x", 0);
  const scene = acquired("x", 60, { size: { width: 4, height: 4 }, unseen: 1 });
  write(0, 1, [{ ...unseen, chosen: "0000", low: "missing" }, scene], { more: { command: "acquire" } });
  const out = join(folder, "..", "sums");
  expect(await gather(folder, out)).toMatchObject({ classes: {}, savings: { unseen: 1 } });
  const cells = await parquetReadObjects({ file: new Uint8Array(readFileSync(join(out, "patches.parquet"))).buffer });
  expect(cells.map(({ probability }) => probability)).toEqual([0, 0, 0, 0]);
});

const one = [{ id: "a", class: "cat" }];
it.each<[string, () => void, RegExp]>([
  [
    "no shards",
    () => writeFileSync(join(folder, "notes.txt"), ""),
    /^\S+: must be a folder of shards that are complete, got none; give the --out of/,
  ],
  [
    "two divisions",
    () => [write(0, 1, one), write(0, 2, one)],
    /: must have shards of one division, got of 1 and of 2; remove those of the wrong one$/,
  ],
  [
    "a scene twice",
    () => [write(0, 2, one), write(1, 2, one)],
    /shard-1-of-2.jsonl: must have each scene once, got a in \S+shard-0-of-2.jsonl also; /,
  ],
  [
    "another run",
    () => [write(0, 2, one), write(1, 2, [], { more: { checkpoint: "ba9876543210" } })],
    /shard-1-of-2.jsonl: must have the checkpoint 0123456789ab, .* got ba9876543210; /,
  ],
  [
    "another list",
    () => [write(0, 2, one), write(1, 2, [], { more: { manifest: { ...manifest, bytes: 1 } } })],
    /must have the manifest {"name"/,
  ],
  [
    "a file of another name",
    () => [write(0, 2, one, { more: { shard: [1, 2] } })],
    /must have the shard \[0,2\], .* got \[1,2\]; /,
  ],
  [
    "a file that was cut",
    () => [write(0, 1, one, { ends: false })],
    /shard-0-of-1.jsonl: must be a whole file of a shard, got an early end; remove it/,
  ],
  [
    "a figure that is none",
    () => [write(0, 1, [windowOf("x", 0), acquired("x", 60, { windows: "2" })])],
    /byte \d+: windows: must be a/,
  ],
  [
    "a file that lacks a line",
    () => {
      const path = write(0, 1, [...one, { id: "b", class: "dog" }]);
      writeFileSync(path, readFileSync(path, "utf8").replace(/\{"id":"a".*\n/, ""));
    },
    /shard-0-of-1.jsonl: must be a whole file of a shard, got fewer or more lines than its end says; /,
  ],
  [
    "windows of another scene",
    () => write(0, 1, [windowOf("y", 0), acquired("x", 60)]),
    /byte \d+: must be behind windows of x alone, got y; /,
  ],
  [
    "a line of a scene that says nothing",
    () => write(0, 1, [{ id: "x" }], { more: { command: "acquire" } }),
    /byte \d+: size: must be/,
  ],
  [
    "a grid that is none",
    () => [write(0, 1, [acquired("x", 60, { grid: { image_size: 4, patch_size: 0 } })])],
    /byte \d+: grid.patch_size/,
  ],
])("refuses %s", async (_, make, message) => {
  make();
  await expect(gather(folder, undefined)).rejects.toMatchObject({
    kind: "input",
    message: expect.stringMatching(message),
  });
});

it("suspects ids that it has seen twice, and those whose hashes are the same", () => {
  const ids = new SeenIds();
  for (let n = 0; n < 5000; n++) ids.add(`scene ${n}`);
  expect(ids.suspects().size).toBe(0);
  ids.add("scene 17");
  expect([...ids.suspects()]).toEqual([SeenIds.hash("scene 17")]);
  // The first six bytes of SHA-256 of "abc": FIPS 180-2, appendix B.1.
  expect(SeenIds.hash("abc")).toBe(0xba7816bf8f01);
});
