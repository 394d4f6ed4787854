/** Which scenes a STAC document names, and what is refused of one, by its message. */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { readGeoParquet } from "../../src/archive/geoparquet.ts";
import { type FindOptions, findScenes } from "../../src/archive/scenes.ts";
import { PatchDropError } from "../../src/errors.ts";
import { archiveGroup } from "../../src/options/archive-group.ts";
import { Random } from "../../src/utils/random.ts";
import { damaged, expectRefusal } from "../fuzz.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { geoparquet } from "./geoparquet.ts";
import { collection, type MadeItem, serveTexts, stacItem } from "./items.ts";

const wantedOf = ({ bandNames, ...given }: { bandNames?: string[] }) => ({
  ...z.strictObject(archiveGroup).parse(given),
  bandNames,
});

/** The document as a file, and what it names. */
async function found(content: unknown, wanted: object = {}, options: FindOptions = {}) {
  const folder = temporaryFolder(onTestFinished);
  const path = join(folder, "document");
  writeFileSync(path, content instanceof Uint8Array || typeof content === "string" ? content : JSON.stringify(content));
  return { folder, path, scenes: await findScenes(path, wantedOf(wanted), options) };
}

async function refused(content: unknown, wanted: object = {}, options: FindOptions = {}) {
  const error: unknown = await found(content, wanted, options).catch((error) => error);
  if (!(error instanceof PatchDropError)) throw new Error(`was not refused: ${String(error)}`);
  return {
    kind: error.kind,
    exitCode: error.exitCode,
    message: error.message.replaceAll(/\/\S*?\/document/g, "DOCUMENT"),
  };
}

const idsOf = ({ scenes }: Awaited<ReturnType<typeof found>>) =>
  scenes.kind === "items" ? scenes.scenes.map(({ item }) => item.id) : scenes.kind;

it("finds the asset of an item beside its file, and of one read from a server beside its address", async () => {
  const { scenes, folder, path } = await found(stacItem("a", "./b/scene.tif"));
  const times = { datetime: "2024-03-01T10:00:00Z", start_datetime: undefined, end_datetime: undefined };
  const place = join(folder, "b", "scene.tif");
  const called = ["image"];
  const files = (own: string) => [{ place: own, called, bandNames: [] }];
  expect(scenes).toEqual({ kind: "item", scene: { files: files(place), item: { id: "a", times, from: path } } });

  const server = await serveTexts((url) =>
    url.startsWith("/x/item") ? JSON.stringify(stacItem("a", "../b/s.tif?k=1")) : undefined,
  );
  onTestFinished(() => void server.close());
  expect(await findScenes(`${server.origin}/x/item?signature=secret`, {})).toEqual({
    kind: "item",
    scene: { files: files(`${server.origin}/b/s.tif?k=1`), item: { id: "a", times, from: `${server.origin}/x/item` } },
  });
  expect(server.asked).toEqual(["/x/item?signature=secret"]);
});

it.each([
  ["visual", "visual"],
  ["cloud", "mask"],
  ["red", "b4"],
  ["nir", "b8"],
])("takes of several assets %s by key, role or band", async (asset, expected) => {
  const item = stacItem("a", "x.tif");
  item.assets = {
    visual: {
      href: "visual.tif",
      type: "image/tiff",
      bands: [{ "eo:common_name": "red" }, { "eo:common_name": "green" }],
    },
    mask: { href: "mask.tif", roles: ["cloud"] },
    b4: { href: "b4.tif", "eo:bands": [{ common_name: "red" }] },
    b8: { href: "b8.tif", bands: [{ "eo:common_name": "nir" }] },
  };
  const { scenes, folder } = await found(item, { asset });
  expect(scenes).toMatchObject({ scene: { files: [{ place: join(folder, `${expected}.tif`) }] } });
  expect((await found(item)).scenes).toMatchObject({
    scene: { files: [{ place: expect.stringContaining("visual.tif") }] },
  });
});

/** As Earth Search (1.0, `eo:bands`) and as STAC 1.1 have Sentinel-2: a file a band, a picture, and JPEG 2000 beside. */
function sentinel2(version: "1.0.0" | "1.1.0"): MadeItem {
  const item = { ...stacItem("S2", "x.tif"), stac_version: version };
  const of = (names: readonly (readonly [string, string?])[]) => {
    if (version === "1.0.0") return { "eo:bands": names.map(([name, common]) => ({ name, common_name: common })) };
    return { bands: names.map(([name, common]) => ({ name, "eo:common_name": common })) };
  };
  const file = (name: string, common?: string) => ({
    ...{ href: `${name}.tif`, type: "image/tiff; application=geotiff", roles: ["data"] },
    ...of([[name, common]]),
  });
  const rgb = of([
    ["B04", "red"],
    ["B03", "green"],
    ["B02", "blue"],
  ]);
  item.assets = {
    visual: { href: "TCI.tif", type: "image/tiff", roles: ["visual"], ...rgb },
    thumbnail: { href: "p.tif", type: "image/tiff", roles: ["thumbnail"], ...rgb },
    B02: file("B02", "blue"),
    B03: file("B03", "green"),
    B04: file("B04", "red"),
    B05: file("B05", "rededge"),
    B06: file("B06", "rededge"),
    B08: file("B08", "nir"),
    B12: file("B12"),
    "B04-jp2": { href: "B04.jp2", type: "image/jp2", ...of([["B04", "red"]]) },
  };
  return item;
}

describe.each(["1.0.0", "1.1.0"] as const)("an item of STAC %s with a file for each band", (version) => {
  const filesOf = async (item: unknown, wanted: object, bands?: string[]) => {
    const { scenes } = await found(item, { ...wanted, bandNames: bands });
    if (scenes.kind !== "item") throw new Error("more than one");
    return scenes.scene.files;
  };
  const names = async (wanted: object, bands?: string[]) =>
    (await filesOf(sentinel2(version), wanted, bands)).map(({ place }) => place.split("/").at(-1));

  it.each([
    ["common names of --bands", {}, ["red", "green", "blue", "nir"], ["B04.tif", "B03.tif", "B02.tif", "B08.tif"]],
    ["names of --bands", {}, ["B05", "b12"], ["B05.tif", "B12.tif"]],
    ["common names of --asset", { asset: "nir,red" }, undefined, ["B08.tif", "B04.tif"]],
    ["keys of --asset, which counts before --bands", { asset: "B12,B02" }, ["red"], ["B12.tif", "B02.tif"]],
    ["no bands", {}, undefined, ["TCI.tif"]],
    ["bands that no asset names", {}, ["x"], ["TCI.tif"]],
  ])("gives the files of %s", async (_, wanted, bands, expected) => {
    expect(await names(wanted, bands)).toEqual(expected);
  });

  it("says what each file is called, and what its bands are", async () => {
    const [file] = await filesOf(sentinel2(version), {}, ["red", "nir"]);
    expect(file).toMatchObject({ called: ["red", "B04"], bandNames: [["red", "B04"]] });
  });

  it("is passed over for an asset that has all the bands", async () => {
    const item = sentinel2(version);
    const { visual } = item.assets;
    item.assets.all = { ...visual, href: "all.tif", roles: ["data"] };
    const [file, ...others] = await filesOf(item, {}, ["red", "blue"]);
    expect(others).toEqual([]);
    expect(file.place).toMatch(/all\.tif$/);
    expect(file.bandNames).toEqual([
      ["red", "B04"],
      ["green", "B03"],
      ["blue", "B02"],
    ]);
  });

  it.each([
    ["rededge", "got B05, B06; give --asset KEY, one of: visual, "],
    ["swir22", "got none; give --asset KEY, one of: visual, "],
  ])("is refused where %s is none of its bands, or several", async (band, got) => {
    const error = await refused(sentinel2(version), { bandNames: ["red", band] });
    expect(error).toMatchObject({ kind: "input", exitCode: 3 });
    expect(error.message).toContain(`DOCUMENT: item S2: must have one asset that is the band ${band} alone, ${got}`);
  });
});

it("keeps the items of a place, also across 180°, a time, and properties that they have", async () => {
  const items = [
    stacItem("west", "w.tif", { "eo:cloud_cover": 10, platform: "s2a" }, [-179, -20, -178, -19]),
    stacItem("east", "e.tif", { "eo:cloud_cover": 30, datetime: "2024-06-30T23:59:59.5Z" }, [178, -20, 179, -19]),
    stacItem("across", "a.tif", { platform: "s2b" }, [179.5, -20, -179.5, -19]),
    stacItem("far", "f.tif", {
      datetime: null,
      start_datetime: "2023-01-01T00:00:00Z",
      end_datetime: "2023-12-31T00:00:00Z",
    }),
  ];
  const ids = async (wanted: object) => idsOf(await found(collection(items), wanted));
  expect(await ids({ bbox: "170,-30,-178.5,10" })).toEqual(["west", "east", "across"]);
  expect(await ids({ bbox: "-180,-30,-179.7,10" })).toEqual(["across"]);
  expect(await ids({ bbox: "0,-20,180,60" })).toEqual(["east", "across", "far"]);
  expect(await ids({ datetime: "2024-06-30" })).toEqual(["east"]);
  expect(await ids({ datetime: "../2023-12-31" })).toEqual(["far"]);
  expect(await ids({ datetime: "2023-06-01/2024-03-01T10:00:00Z" })).toEqual(["west", "across", "far"]);
  expect(await ids({ query: "eo:cloud_cover<30" })).toEqual(["west"]);
  expect(await ids({ query: "eo:cloud_cover>=10,platform!=s2b" })).toEqual(["west"]);
  expect(await ids({ query: "platform!=s2b" })).toEqual(["west"]);
  const notes: string[] = [];
  await found(collection(items), { query: "platform=s2a" }, { note: (text) => notes.push(text) });
  expect(notes).toEqual(["1 of 4 items match"]);
  expect(await refused(collection(items), { query: "platform=s3" })).toEqual({
    kind: "input",
    exitCode: 3,
    message: "DOCUMENT: must have items that match --bbox, --datetime and --query, got 0 of 4; ask for less",
  });
});

it.each([
  [{ bbox: "1,2,3" }, "bbox"],
  [{ bbox: "0,10,1,5" }, "bbox"],
  [{ bbox: "0,0,190,5" }, "bbox"],
  [{ datetime: "yesterday" }, "datetime"],
  [{ datetime: "../.." }, "datetime"],
  [{ datetime: "2024-02-31" }, "datetime"],
  [{ datetime: "2024-06-01/2024-01-01" }, "datetime"],
  [{ query: "cloudy" }, "query"],
  [{ query: "a<1,,b>2" }, "query"],
  [{ asset: "red,,nir" }, "asset"],
  [{ asset: Array(17).fill("a").join(",") }, "asset"],
])("refuses the option %j", (given, name) => {
  const { error } = z.strictObject(archiveGroup).safeParse(given);
  expect(error?.issues[0].path).toEqual([name]);
  expect(error?.issues[0].message).toMatch(/^must be /);
});

it("follows next links, and refuses those that go round, lead elsewhere, or to too many items", async () => {
  const page = (ids: string[], href?: string, more = {}) =>
    JSON.stringify(
      collection(
        ids.map((id) => stacItem(id, `${id}.tif`)),
        href ? [{ rel: "next", href, ...more }] : [],
      ),
    );
  const pages: Record<string, string> = {
    "/search?q=1": page(["a", "b"], "?q=2"),
    "/search?q=2": page(["c"]),
    "/round": page(["a"], "/round2"),
    "/round2": page(["b"], "/round"),
    "/post": page(["a"], "/search", { method: "POST" }),
    "/file": page(["a"], "file:///etc/passwd"),
  };
  const server = await serveTexts((url) => pages[url]);
  onTestFinished(() => void server.close());
  const at = (path: string, options = {}) => findScenes(`${server.origin}${path}`, {}, options);
  expect(await at("/search?q=1")).toMatchObject({
    all: 3,
    scenes: [
      { files: [{ place: `${server.origin}/a.tif` }] },
      { files: [{ place: `${server.origin}/b.tif` }] },
      { files: [{ place: `${server.origin}/c.tif` }] },
    ],
  });
  await expect(at("/round")).rejects.toThrow(
    `/round2: its pages must not go round, got next again ${server.origin}/round`,
  );
  await expect(at("/post")).rejects.toThrow("/post: its next page must be had by GET, got POST");
  await expect(at("/file")).rejects.toThrow(
    "/file: its next page must have an http or https address, got file:///etc/passwd",
  );
  await expect(at("/search?q=1", { mostItems: 2 })).rejects.toThrow("/search: must have at most 2 items, got more");
  await expect(at("/search?q=1", { mostBytes: 100 })).rejects.toMatchObject({ kind: "resource", exitCode: 6 });
});

it("refuses what an item from the network says of files of this machine, and schemes that nothing reads", async () => {
  const hrefs = ["file:///etc/passwd", "s3://bucket/scene.tif?secret", "gs://bucket/scene.tif"];
  const server = await serveTexts((url) => JSON.stringify(stacItem("a", hrefs[Number(url[1])])));
  onTestFinished(() => void server.close());
  const at = (n: number) => findScenes(`${server.origin}/${n}`, {});
  await expect(at(0)).rejects.toThrow(
    `${server.origin}/0: item a: asset image: must not point to a file of this machine, as its item was read from the network, got file:///etc/passwd;`,
  );
  const next = "give an item whose asset has an https address (of a bucket: a presigned one)";
  await expect(at(1)).rejects.toThrow(`must have an http or https address, got s3://bucket/scene.tif; ${next}`);
  await expect(at(2)).rejects.toThrow("got gs://bucket/scene.tif;");
  const { scenes } = await found(stacItem("a", "file:///data/a%20b.tif"));
  expect(scenes).toMatchObject({ scene: { files: [{ place: "/data/a b.tif" }] } });
});

const without = (item: MadeItem, field: string) => ({ ...item, [field]: undefined });
it.each<[string, unknown, object, string, string]>([
  [
    "plain GeoJSON",
    { type: "Feature", geometry: null, properties: {} },
    {},
    "input",
    "DOCUMENT: must be an image, a STAC item or a collection of STAC items, got GeoJSON without stac_version; give an item",
  ],
  ["random JSON", [1, 2], {}, "input", "got other JSON"],
  [
    "a collection",
    { type: "Collection", stac_version: "1.0.0" },
    {},
    "input",
    "got JSON of type Collection; give one of its items, or the address of its items",
  ],
  [
    "HTML",
    "<!DOCTYPE html><html></html>",
    {},
    "input",
    "DOCUMENT: must be an image or a STAC item, got a web page (HTML)",
  ],
  [
    "JSON that ends",
    '{"type": "Fea',
    {},
    "input",
    "DOCUMENT: must be whole JSON, got a text that is not JSON, or ends too early",
  ],
  ["no id", without(stacItem("a", "x.tif"), "id"), {}, "input", "DOCUMENT: item without an id: id: must be given"],
  ["no box", without(stacItem("a", "x.tif"), "bbox"), {}, "input", "DOCUMENT: item a: bbox: must be given"],
  [
    "a wrong box",
    stacItem("a", "x.tif", {}, [0, 0, 1, 95]),
    {},
    "input",
    "DOCUMENT: item a: bbox: must be four numbers",
  ],
  [
    "a wrong time",
    stacItem("a", "x.tif", { datetime: "soon" }),
    {},
    "input",
    "DOCUMENT: item a: properties.datetime: must be a time as RFC 3339 has it, got soon",
  ],
  [
    "no time",
    stacItem("a", "x.tif", { datetime: null }),
    {},
    "input",
    "DOCUMENT: item a: properties.datetime: must be given, or start_datetime and end_datetime",
  ],
  [
    "version 0.9",
    { ...stacItem("a", "x.tif"), stac_version: "0.9.0" },
    {},
    "input",
    "DOCUMENT: item a: stac_version: must be 1.x, got 0.9.0",
  ],
  [
    "no such asset",
    stacItem("a", "x.tif"),
    { asset: "B04" },
    "input",
    "DOCUMENT: item a: must have one asset whose key, role or band is B04, got none; give --asset KEY, one of: image, thumbnail",
  ],
  [
    "the same id twice",
    collection([stacItem("a", "x.tif"), stacItem("a", "y.tif")]),
    {},
    "input",
    "must have each id once, as results are put into folders of that name, got a twice",
  ],
])("refuses %s", async (_, content, wanted, kind, message) => {
  const error = await refused(content, wanted);
  expect(error).toMatchObject({ kind, exitCode: 3 });
  expect(error.message).toContain(message);
});

it("refuses a document that is too large, and reads no picture", async () => {
  const item = stacItem("a", "x.tif");
  const { kind, message } = await refused(item, {}, { mostBytes: 100 });
  expect(kind).toBe("resource");
  expect(message).toMatch(/^DOCUMENT: a STAC document must have at most 100 bytes, got \d+; /);
  expect((await found("II*\0")).scenes).toEqual({ kind: "image", begun: undefined });
  const folder = temporaryFolder(onTestFinished);
  mkdirSync(join(folder, "f"));
  expect(await findScenes(join(folder, "f"), {})).toEqual({ kind: "image", begun: undefined });
});

it("ends with a damaged GeoParquet file, whatever its counts say", { timeout: 300_000 }, async () => {
  const whole = geoparquet();
  const random = new Random(1, "damaged GeoParquet");
  const wanted = { properties: [], mostItems: 10 };
  for (let n = 0; n < 40; n++) {
    const bytes = new Uint8Array(damaged(whole, random));
    try {
      const rows = await readGeoParquet({ source: bytes, where: "damaged", wanted }, 2000);
      expect(rows.length).toBeLessThanOrEqual(10);
    } catch (error) {
      expectRefusal(error);
    }
  }
});

it("reads items of STAC GeoParquet, and refuses what is none", async () => {
  const { scenes, folder } = await found(geoparquet(), { query: "eo:cloud_cover<20", bbox: "10.5,50.5,12,52" });
  expect(scenes).toMatchObject({
    all: 2,
    scenes: [
      { files: [{ place: join(folder, "a.tif") }], item: { id: "a", times: { datetime: "2024-01-01T00:00:00.000Z" } } },
    ],
  });
  expect(idsOf(await found(geoparquet(), { datetime: "2024-06-01/.." }))).toEqual(["b"]);

  const rule = "DOCUMENT: must be GeoParquet with the columns id, geometry and assets of STAC items";
  expect((await refused(geoparquet({ leave: "geometry" }))).message).toContain(`${rule}, got no geometry; `);
  expect(await refused(geoparquet({ isGeo: false }))).toMatchObject({
    kind: "input",
    message: expect.stringContaining(`${rule}, got no metadata of GeoParquet; `),
  });
  const whole = geoparquet();
  for (const length of [4, 12, 100, whole.length - 1, whole.length - 200]) {
    expect(await refused(whole.subarray(0, length))).toMatchObject({
      kind: "input",
      message: expect.stringMatching(/^DOCUMENT: must be a whole Parquet file, got /),
    });
  }
  expect(await refused(whole, {}, { mostItems: 1 })).toMatchObject({
    kind: "resource",
    message: expect.stringContaining("must have at most 1 items, got 2"),
  });
});
