/** Scenes of STAC documents, one after the other, by a policy whose choice is known; what is written holds to published schemas. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv } from "ajv";
import { parquetMetadata, parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, expect, it } from "vitest";
import { acquireScenes, folderName } from "../../src/acquire/acquire-scenes.ts";
import { archiveGroup } from "../../src/options/archive-group.ts";
import { Stopped, silentReporter } from "../../src/utils/reporter.ts";
import { collection, stacItem } from "../archive/items.ts";
import { blockScene, brightPolicy, limits, writeScene } from "./scenes.ts";
import { serveFile } from "./server.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const json = (...names: string[]) => JSON.parse(readFileSync(at(...names), "utf8"));
const choices = { ...limits, top: 2, batch_size: 3, price_per_km2: 1000 };
const into = (out: string) => ({ ...choices, out: at(out) });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-scenes-"));
  await writeScene(at("a.tif"), blockScene(101, 75));
  await writeScene(at("b.tif"), blockScene(64, 64));
  const b = { ...stacItem("b/2", "b.tif", { "eo:cloud_cover": 5 }) };
  writeFileSync(at("items.json"), JSON.stringify(collection([stacItem("a", "a.tif", { "eo:cloud_cover": 15 }), b])));
  writeFileSync(at("item.json"), JSON.stringify(stacItem("a", "a.tif")));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const schemas = new URL("../archive/stac-schemas/", import.meta.url);
const schemaOf = (name: string) => JSON.parse(readFileSync(new URL(name, schemas), "utf8"));

/** The published schema of items. */
function itemValidator() {
  const ajv = new Ajv({
    strict: false,
    formats: { "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, iri: true, "iri-reference": true, uri: true },
  });
  const item = "https://schemas.stacspec.org/v1.1.0/item-spec/json-schema/";
  for (const name of readdirSync(schemas).filter((one) => one.endsWith(".json") && one !== "item.json")) {
    const base = name === "Feature.json" || name === "Geometry.json" ? "https://geojson.org/schema/" : item;
    // One of them misspells its own address.
    ajv.addSchema({ ...schemaOf(name), $id: `${base}${name}` });
  }
  return ajv.compile(schemaOf("item.json"));
}

/** What the projection extension 2.0.0 asks of the fields that are written: a code of an authority, two sides, an affine map. */
function expectProjection(properties: Record<string, unknown>) {
  expect(properties["proj:code"]).toMatch(/^EPSG:\d+$/);
  expect(properties["proj:shape"]).toEqual([expect.any(Number), expect.any(Number)]);
  expect(properties["proj:transform"]).toHaveLength(6);
}

it("acquires all scenes into a folder each, with their sums, a table of all cells and a valid collection", async () => {
  const labels: string[] = [];
  const notes: string[] = [];
  const reporter = {
    ...silentReporter,
    note: (text: string) => void notes.push(text),
    progress: (label: string) => {
      labels.push(label);
      return { update() {}, stop() {} };
    },
  };
  const acquired = await acquireScenes(at("items.json"), brightPolicy, into("all"), reporter);
  expect(notes).toEqual(["2 of 2 items match"]);
  expect(labels).toEqual(["scene 1/2: acquire", "scene 2/2: acquire"]);
  const names = ["a", folderName("b/2")];
  expect(names[1]).toMatch(/^b_2-[0-9a-f]{8}$/);
  expect(readdirSync(at("all")).sort()).toEqual([...names, "items.json", "patches.parquet", "savings.json"].sort());
  expect(readdirSync(at("all", "a")).sort()).toEqual([
    ...["item.json", "masked.tif", "order.geojson", "patches.geojson", "predictions.jsonl", "savings.json"],
  ]);

  const savings = json("all", "savings.json");
  expect(savings).toEqual(JSON.parse(JSON.stringify(acquired)));
  const each = names.map((name) => json("all", name, "savings.json"));
  expect(Object.values(savings.scenes)).toEqual(each);
  expect(savings.cells.all).toBe(130 + 64);
  expect(savings.pixels.whole).toBe(101 * 75 + 64 * 64);
  for (const key of ["whole", "used", "saved"]) {
    expect(savings.bytes[key]).toBe(each[0].bytes[key] + each[1].bytes[key]);
    expect(savings.money[key]).toBeCloseTo(each[0].money[key] + each[1].money[key], 9);
  }
  expect(savings.read.by.low.requests).toBe(each[0].read.by.low.requests + each[1].read.by.low.requests);

  const isItem = itemValidator();
  const { type, features } = json("all", "items.json");
  expect(type).toBe("FeatureCollection");
  expect(features.map(({ id }: { id: string }) => id)).toEqual(["a", "b/2"]);
  for (const [n, feature] of features.entries()) {
    isItem(feature);
    expect(isItem.errors).toBeNull();
    expectProjection(feature.properties);
    expect(feature.properties.datetime).toBe("2024-03-01T10:00:00Z");
    for (const { href } of Object.values<{ href: string }>(feature.assets))
      expect(existsSync(at("all", href))).toBe(true);
    expect(feature.assets.masked.href).toBe(`./${names[n]}/masked.tif`);
  }
  isItem({ ...features[0], bbox: undefined });
  expect(isItem.errors).not.toBeNull();

  const bytes = readFileSync(at("all", "patches.parquet"));
  const file = new Uint8Array(bytes).buffer;
  const rows = await parquetReadObjects({ file });
  const cells = names.flatMap((name) => json("all", name, "patches.geojson").features);
  expect(rows).toHaveLength(cells.length);
  for (const [n, { geometry, properties }] of cells.entries()) {
    const { chosen, probability, bytes: cost, patch, window } = properties;
    expect(rows[n]).toEqual({
      ...{ scene: n < 130 ? "a" : "b/2", geometry, chosen, probability, bytes: BigInt(cost), patch },
      ...{ window_column: window[0], window_row: window[1] },
    });
  }
  const { key_value_metadata: metadata } = parquetMetadata(file);
  expect(JSON.parse(metadata?.find(({ key }) => key === "geo")?.value ?? "")).toMatchObject({
    ...{ version: "1.1.0", primary_column: "geometry", columns: { geometry: { encoding: "WKB" } } },
  });
});

it("acquires an item as one scene, and says of which item it is", async () => {
  const server = await serveFile(readFileSync(at("a.tif")));
  writeFileSync(at("far.json"), JSON.stringify(stacItem("far", server.url)));
  const savings = await acquireScenes(at("far.json"), brightPolicy, into("one"));
  await server.close();
  expect(savings.read).toMatchObject({ bytes: server.sent, requests: server.ranges.length });
  const item = json("one", "item.json");
  expect(item).toMatchObject({ id: "far", properties: { datetime: "2024-03-01T10:00:00Z" } });
  const source = server.url.replace(/\?.*/, "");
  expect(item.links).toEqual([
    { rel: "derived_from", href: at("far.json") },
    { rel: "derived_from", href: source },
  ]);
  const isItem = itemValidator();
  isItem(item);
  expect(isItem.errors).toBeNull();
  for (const name of readdirSync(at("one"))) expect(readFileSync(at("one", name), "latin1")).not.toContain("secret");
  const rows = await parquetReadObjects({ file: new Uint8Array(readFileSync(at("one", "patches.parquet"))).buffer });
  expect(rows.length).toBe(130);
  expect(item.assets.cells.href).toBe("patches.parquet");
});

it("asks a server for an image's beginning once, and counts it", async () => {
  const server = await serveFile(readFileSync(at("a.tif")));
  const { read } = await acquireScenes(server.url, brightPolicy, into("image"));
  await server.close();
  expect(read).toMatchObject({ bytes: server.sent, requests: server.ranges.length });
  expect(server.ranges.filter((range) => range.startsWith("0-"))).toHaveLength(1);
  expect(
    await parquetReadObjects({
      file: new Uint8Array(readFileSync(at("image", "patches.parquet"))).buffer,
      columns: ["scene"],
      rowEnd: 1,
    }),
  ).toEqual([{ scene: "scene" }]);
});

it("writes nothing where a scene can't be read, at a stop, or with options that are for items", async () => {
  const before = readdirSync(folder).sort();
  const items = [stacItem("a", "a.tif"), stacItem("b", "none.tif")];
  writeFileSync(at("items2.json"), JSON.stringify(collection(items)));
  await expect(acquireScenes(at("items2.json"), brightPolicy, into("none"))).rejects.toThrow(
    `${at("none.tif")}: must be an image file that can be read, got no such file`,
  );
  let asked = 0;
  const stopping = () => (++asked > 3 ? ("SIGTERM" as const) : undefined);
  await expect(
    acquireScenes(at("items.json"), brightPolicy, into("none"), { ...silentReporter, stopping }),
  ).rejects.toThrow(Stopped);
  const query = archiveGroup.query.parse("eo:cloud_cover<20");
  await expect(acquireScenes(at("a.tif"), brightPolicy, { ...into("none"), asset: ["x"], query })).rejects.toThrow(
    "--asset: must be left out for an image: it is for STAC items\n--query: must be left out for an image",
  );
  rmSync(at("items2.json"));
  expect(readdirSync(folder).sort()).toEqual(before);
});

it("gives ids folders that differ, and none of the names of other files", () => {
  const ids = ["a", "A b", "A_b", "..", "items.json", "savings.json", "x".repeat(300), "x".repeat(301), "../../etc"];
  const names = ids.map(folderName);
  expect(new Set(names).size).toBe(ids.length);
  for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,120}$/);
  expect(names).not.toContain("items.json");
});

const hasGdal = spawnSync("ogrinfo", ["--formats"]).stdout?.toString().includes("Parquet") ?? false;
it.skipIf(!hasGdal)("writes a table that GDAL reads", () => {
  const said = execFileSync("ogrinfo", ["-so", "-al", at("all", "patches.parquet")], { encoding: "utf8" });
  expect(said).toContain("Feature Count: 194");
});
