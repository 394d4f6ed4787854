/** Which scenes of a list are whose: each of exactly one shard, whatever the lines are like. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Entry, openManifest } from "../../src/archive/manifest.ts";
import { PatchDropError } from "../../src/errors.ts";
import { Random } from "../../src/utils/random.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { geoparquet } from "./geoparquet.ts";
import { stacItem } from "./items.ts";

function listed(content: string | Uint8Array): string {
  const path = join(temporaryFolder(onTestFinished), "list");
  writeFileSync(path, content);
  return path;
}

async function entriesOf(path: string, index: number, count: number, wanted = {}): Promise<Entry[]> {
  const manifest = await openManifest(path);
  const entries: Entry[] = [];
  for await (const entry of manifest.entries({ index, count }, wanted)) entries.push(entry);
  return entries;
}

async function shardsOf(path: string, count: number): Promise<string[][]> {
  const shards = Array.from({ length: count }, (_, index) => entriesOf(path, index, count));
  return (await Promise.all(shards)).map((entries) => entries.map(({ id }) => id));
}

describe("JSON Lines", () => {
  it.each([1, 2, 3, 4])("gives each line to one shard, in its order (seed %i)", async (seed) => {
    const random = new Random(seed, "lines");
    const ids = Array.from({ length: 40 }, (_, n) => `${n}${"ä".repeat(random.integer(30))}`);
    const ends = ["\n", "\r\n", "\n\n"];
    const text = ids.map((id) => `${JSON.stringify({ id, href: "a.tif" })}${ends[random.integer(3)]}`).join("");
    for (const content of [text, text.trimEnd()]) {
      const path = listed(content);
      for (const count of [1, 2, 3, 7, 40, 97]) {
        const shards = await shardsOf(path, count);
        expect(shards.flat()).toEqual(ids);
        if (count === 2) expect(shards.map(({ length }) => length > 5)).toEqual([true, true]);
      }
    }
  });

  it("gives a line that is longer than what is read at a time", async () => {
    const long = { id: "long", href: "a.tif" };
    const lines = [...Array<object>(1000).fill(long), { id: "last", href: `${"b".repeat(1e6)}.tif` }];
    const path = listed(lines.map((line) => JSON.stringify(line)).join("\n"));
    const shards = await shardsOf(path, 3);
    expect(shards.flat().filter((id) => id === "last")).toEqual(["last"]);
    expect(shards.flat()).toHaveLength(1001);
  });

  it("takes STAC items and addresses, and what is wrong with one is its own", async () => {
    const path = listed(
      [
        { id: "plain", href: "b/plain.tif" },
        stacItem("item", "https://example.com/item.tif?signature=secret", { "eo:cloud_cover": 5 }),
        stacItem("cloudy", "c.tif", { "eo:cloud_cover": 80 }),
        { id: "both", href: "x.tif", hrefs: "secret" },
        stacItem("s3", "s3://bucket/a.tif"),
        '{"id":"cut","href":"https://example.com/a.tif?signature=secret',
      ]
        .map((line) => (typeof line === "string" ? line : JSON.stringify(line)))
        .join("\n"),
    );
    const folder = join(path, "..");
    const said = (await entriesOf(path, 0, 1)).map((entry) =>
      "error" in entry
        ? [entry.id, entry.error.message.replaceAll(path, "LIST")]
        : [entry.id, entry.scene.files[0].place],
    );
    expect(said).toEqual([
      ["plain", join(folder, "b/plain.tif")],
      ["item", "https://example.com/item.tif?signature=secret"],
      ["cloudy", join(folder, "c.tif")],
      ["both", expect.stringMatching(/^LIST: byte \d+: hrefs: must not be there; write a STAC item/)],
      ["s3", expect.stringContaining("item s3: asset image: must have an http or https address")],
      [
        expect.stringMatching(/^byte \d+$/),
        expect.stringMatching(
          /^LIST: byte \d+: must be JSON, got a text that is not, or ends too early; write a STAC item/,
        ),
      ],
    ]);
    const query = [{ property: "eo:cloud_cover", comparison: "<", value: 20 }] as const;
    const errors = said.flatMap(([id, message]) => (message.includes("must") ? [id] : []));
    // What has no such property is not wanted; what cannot be read is said all the same.
    expect((await entriesOf(path, 0, 1, { query })).map(({ id }) => id)).toEqual([
      "item",
      ...errors.filter((id) => id !== "s3"),
    ]);
  });
});

it("looks at another asset, or at what a line names for it", async () => {
  const item = stacItem("item", "sharp.tif");
  const both = { ...item, assets: { ...item.assets, coarse: { href: "coarse.tif" } } };
  const path = listed(
    [
      { id: "a", href: "a.tif", low: "b.tif" },
      { id: "c", href: "c.tif" },
    ]
      .map((line) => JSON.stringify(line))
      .join("\n"),
  );
  const folder = join(path, "..");
  const [pair, alone] = await entriesOf(path, 0, 1, { low: "low" });
  expect("scene" in pair && pair.scene).toMatchObject({
    files: [{ place: join(folder, "a.tif") }],
    low: join(folder, "b.tif"),
  });
  expect("error" in alone && alone.error.message).toContain(
    "item c: must have one asset whose key, role or band is low, got none",
  );
  const [found] = await entriesOf(listed(JSON.stringify(both)), 0, 1, { asset: ["image"], low: "coarse" });
  expect("scene" in found && found.scene.low).toMatch(/\/coarse\.tif$/);
});

it("takes a byte order mark for nothing", async () => {
  const path = listed('\ufeff{"id":"a","href":"a.tif"}\n{"id":"b","href":"b.tif"}\n');
  expect((await shardsOf(path, 1)).flat()).toEqual(["a", "b"]);
});

it("gives each row of GeoParquet to one shard", async () => {
  const ids = Array.from({ length: 23 }, (_, n) => `row${n}`);
  const path = listed(geoparquet({ ids, rowGroupSize: 5 }));
  for (const count of [1, 4]) expect((await shardsOf(path, count)).flat()).toEqual(ids);
  const [first] = await entriesOf(path, 0, 1);
  expect("scene" in first && first.scene.files[0].place).toBe(join(path, "..", "row0.tif"));
  const query = [{ property: "eo:cloud_cover", comparison: "<", value: 20 }];
  expect((await entriesOf(path, 0, 2, { query })).map(({ id }) => id)).toEqual(["row0"]);
  expect(await entriesOf(path, 1, 2, { query })).toEqual([]);
});

it.each([
  ["", "must be a list of scenes, got an empty file"],
  ["id,href\na,a.tif\n", "must be JSON Lines or STAC GeoParquet, got what begins with id,href; give JSON Lines"],
  [`{"id":"${"x".repeat(1_100_000)}","href":"a.tif"}\n{}\n`, "byte 0: must be lines of at most 1048576 bytes"],
  [`{${"x".repeat(3_000_000)}`, "byte 0: must be lines of at most 1048576 bytes, a scene each, got more"],
  ["PAR1 and nothing else", "must be a whole Parquet file"],
])("refuses %.20j", async (content, message) => {
  const error = await entriesOf(listed(content), 0, 1).catch((thrown) => thrown);
  expect(error).toBeInstanceOf(PatchDropError);
  expect([error.kind, error.message]).toEqual(["input", expect.stringContaining(message)]);
});

it("says nothing of a line that is no JSON, which may have a signature in it", async () => {
  const path = listed(
    '{"id":"a","href":"https://example.com/a.tif?signature=secret"}\n{"href":"https://example.com/b.tif?signature=secret"\n',
  );
  for (const entry of await entriesOf(path, 0, 1)) {
    expect("error" in entry ? entry.error.message : "").not.toContain("secret");
  }
});

it.each(["pipe", "folder"])("refuses a %s without waiting for it", async (what) => {
  const path = join(temporaryFolder(onTestFinished), what);
  if (what === "pipe") execFileSync("mkfifo", [path]);
  else mkdirSync(path);
  await expect(openManifest(path)).rejects.toThrow("must be a list of scenes, got a folder, a pipe or a device; give");
});

it("refuses an address, and does not repeat what may be secret in it", async () => {
  await expect(openManifest("https://example.com/list.jsonl?key=secret")).rejects.toThrow(
    /^https:\/\/example.com\/list.jsonl: must be a file of this machine: .* got an address; fetch it first$/,
  );
});

it("refuses a path where nothing is", async () => {
  await expect(openManifest("/nowhere/list.jsonl")).rejects.toThrow(
    "/nowhere/list.jsonl: must be a file of this machine: JSON Lines or STAC GeoParquet, got no such file",
  );
});
