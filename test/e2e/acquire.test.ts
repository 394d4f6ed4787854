/** `patchdrop acquire` as a user meets it: a trained run, a server, a folder; and inputs that are wrong. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Prediction } from "../../src/predict/lines.ts";
import { blockScene, boxOf, sparseScene, writeScene } from "../acquire/scenes.ts";
import { type Answer, serveFile } from "../acquire/server.ts";
import { serveTexts, stacItem } from "../archive/items.ts";
import { makeImageFolder } from "./images.ts";
import { patchdrop, runTimeoutMs, shellCode, start, succeed, until } from "./program.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const quick = ["--threads", "1", "--precision", "fp32"];
/** 3 × 2 windows of 32. */
const scene = blockScene(96, 64);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-acquire-e2e-"));
  await makeImageFolder(at("data"), { classes: 2, train: 8, test: 2 });
  const training = [
    "--model",
    "R8_Scenes",
    "--batch_size",
    "8",
    "--max_epochs",
    "1",
    "--data_dir",
    at("data"),
    ...quick,
  ];
  await succeed(["classifier_training", ...training, "--cv_dir", at("hr")]);
  const policy = ["--ckpt_hr_cl", at("hr"), "--no_curriculum", "--lr", "0.01"];
  await succeed(["pretrain", ...training, ...policy, "--cv_dir", at("policy")]);
  const values = ["--estimator", "values", "--reward", "priced", "--rounds", "4", "--fill", "lr"];
  const inRounds = ["--ckpt_hr_cl", at("hr"), "--lr", "0.003", ...values];
  await succeed(["pretrain", ...training, ...inRounds, "--cv_dir", at("rounds")]);
  await writeScene(at("scene.tif"), scene, { resampling: "nearest" });
}, runTimeoutMs);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Prediction);

it.each([
  ["policy", []],
  ["rounds", ["rounds"]],
])(
  "decides as predict does of each window, and reads from a server what it chose: %s",
  {
    timeout: runTimeoutMs,
  },
  async (load, ownLines) => {
    const server = await serveFile(readFileSync(at("scene.tif")));
    const out = `acquired-${load}`;
    const given = ["--load", at(load), ...quick, "--out", at(out), "--price-per-km2", "12", "--min_area_km2", "1"];
    const { stdout, stderr } = await succeed(["acquire", server.url, ...given]);
    await server.close();
    expect(stderr).toBe("");

    const windows = Array.from({ length: 6 }, (_, i) => ({ x: 32 * (i % 3), y: 32 * Math.floor(i / 3) }));
    for (const [i, window] of windows.entries()) {
      const image = boxOf(scene, { ...window, width: 32, height: 32 });
      await sharp(image, { raw: { width: 32, height: 32, channels: 3 } })
        .png()
        .toFile(at(`window-${i}.png`));
    }
    const predicted = await succeed([
      "predict",
      "--load",
      at(load),
      ...quick,
      ...windows.map((_, i) => at(`window-${i}.png`)),
    ]);
    const seen = linesOf(readFileSync(at(out, "predictions.jsonl"), "utf8"));
    for (const [i, said] of linesOf(predicted.stdout).entries()) {
      const { mask, patches, pixels, checkpoint } = said;
      expect(seen[i]).toMatchObject({ mask, patches, pixels, checkpoint, class: said.class });
      expect(seen[i].rounds).toBe(said.rounds);
      expect(seen[i].top[0].probability).toBeCloseTo(said.top[0].probability, 5);
      for (const [k, p] of said.patch_probabilities!.entries())
        expect(seen[i].patch_probabilities![k]).toBeCloseTo(p, 5);
    }
    const patches = seen.reduce((sum, line) => sum + line.patches, 0);
    expect(patches).toBeGreaterThan(0);
    expect(patches).toBeLessThan(96);
    const savings = JSON.parse(readFileSync(at(out, "savings.json"), "utf8"));
    expect(savings).toMatchObject({ cells: { all: 96, chosen: patches }, read: { bytes: server.sent } });
    expect(savings.rounds.reduce((sum: number, round: { patches: number }) => sum + round.patches, 0)).toBe(patches);
    const lines = stdout.trimEnd().split("\n");
    const names = ["patches", ...ownLines, "pixels", "bytes", "time", "money", "why", "see"];
    expect(lines.map((line) => line.split(" ")[0])).toEqual(names);
    expect(lines[0]).toBe(`patches ${patches} of 96`);
    // Both orders are below the least area: a square kilometre.
    expect(lines.at(-3)).toBe("money   12.00 of 12.00: nothing saved");
    // Nearly every tile of so small a scene is touched.
    expect(lines.at(-2)).toMatch(
      /^why {5}2[0-4] of 24 tiles hold a patch that was read, and the low resolution came on top/,
    );
  },
);

it.each(["policy", "rounds"])(
  "decides with --engine onnx and without libtorch as with it: %s",
  { timeout: runTimeoutMs },
  async (load) => {
    await succeed(["export", "--load", at(load), "--out", at(`onnx-${load}`), "--images", "2", "--threads", "1"]);
    const given = ["--engine", "onnx", "--load", at(`onnx-${load}`), "--threads", "1", "--out", at(`by-onnx-${load}`)];
    const noLibtorch = { PATCHDROP_TORCH: "/nonexistent" };
    const { code, stderr } = await patchdrop(["acquire", at("scene.tif"), ...given], noLibtorch);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [seen, expected] = [`by-onnx-${load}`, `acquired-${load}`].map((out) =>
      linesOf(readFileSync(at(out, "predictions.jsonl"), "utf8")),
    );
    expect(seen.length).toBe(6);
    for (const [i, { mask, patches, class: label, top }] of expected.entries()) {
      expect(seen[i]).toMatchObject({ mask, patches, class: label });
      // As far as export itself lets the two differ.
      expect(seen[i].top[0].probability).toBeCloseTo(top[0].probability, 3);
    }
    const wrong = await patchdrop(["acquire", at("scene.tif"), ...given, "--device", "cuda"]);
    const told = "error: --device: must be cpu with --engine onnx, got cuda; see `patchdrop acquire --help`\n";
    expect(wrong).toMatchObject({ code: 2, stderr: told });
  },
);

it("prints savings.json with --json", { timeout: runTimeoutMs }, async () => {
  const given = ["--load", at("policy"), ...quick, "--out", at("json"), "--json", "--quiet"];
  const { stdout, stderr } = await succeed(["acquire", at("scene.tif"), ...given]);
  expect(JSON.parse(stdout)).toEqual(JSON.parse(readFileSync(at("json", "savings.json"), "utf8")));
  expect(stderr).toBe("");
});

it("says what is wrong with its flags, the file, the server and the run", { timeout: runTimeoutMs }, async () => {
  const next = "see `patchdrop acquire --help`";
  expect(
    await patchdrop(["acquire", at("scene.tif"), "--load", at("policy"), "--bands", "0,1,2", "--scale", "5,5"]),
  ).toMatchObject({
    code: 2,
    stdout: "",
    stderr: [
      `error: --out: must be given; ${next}`,
      `error: --bands: must be 1 to 16 bands, by their numbers counted from 1, or by their names, such as 3,2,1 or red,nir, got 0,1,2; ${next}`,
      `error: --scale: must be two values that differ, such as 0,3000, got 5,5; ${next}\n`,
    ].join("\n"),
  });

  const before = readdirSync(folder).sort();
  const into = (out: string) => ["--load", at("policy"), ...quick, "--out", at(out)];
  const striped = await sharp(scene.pixels, { raw: { width: 96, height: 64, channels: 3 } })
    .tiff()
    .toBuffer();
  const ignorant: Answer = (_, response) => void response.end(readFileSync(at("scene.tif")));
  const servers = [await serveFile(striped), await serveFile(striped, ignorant)];
  // Into a folder each: while one works, another with its --out is refused for that alone.
  const outs = ["bad", "worse"];
  const both = servers.map(({ url }, n) => patchdrop(["acquire", url, ...into(outs[n])]));
  const [strips, whole] = await Promise.all(both);
  expect(strips.code).toBe(3);
  expect(strips.stderr).toMatch(
    /^error: http:\S+\/scene\.tif: must be tiled, [^\n]+, got strips; make it one with [^\n]+\n$/,
  );
  expect(whole.code).toBe(3);
  expect(whole.stderr).toMatch(
    /^error: [^\n]+ must send parts of a file \(range requests\), [^\n]+--allow_full_file\n$/,
  );
  const allowed = await patchdrop(["acquire", servers[1].url, ...into("bad"), "--allow-full-file"]);
  expect(allowed).toMatchObject({ code: 0, stdout: expect.stringMatching(/bytes +[\d,]+ of [\d,]+: nothing saved/) });
  rmSync(at("bad"), { recursive: true });
  for (const server of servers) await server.close();

  const alone = await patchdrop(["acquire", at("scene.tif"), "--load", at("hr"), ...quick, "--out", at("bad")]);
  expect(alone).toMatchObject({ code: 3, stdout: "" });
  expect(alone.stderr).toMatch(/^error: --load: must hold a policy, got resnet_hr; [^\n]+\n$/);
  expect(readdirSync(folder).sort()).toEqual(before);
  expect(existsSync(at("bad"))).toBe(false);
});

it.each(["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"] as const)(
  "of a scene of a few thousand bytes and 64 million pixels ends at %s, and leaves nothing",
  async (signal) => {
    writeFileSync(at("wide.tif"), sparseScene(1_000_000, 64, 4096));
    const before = readdirSync(folder).sort();
    const { child, ended } = start(["acquire", at("wide.tif"), "--load", at("policy"), ...quick, "--out", at("wide")]);
    await until(() => readdirSync(folder).some((name) => name.startsWith(".patchdrop-tmp-wide-")));
    // Somewhere between opening the scene and its last window.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(child.exitCode).toBeNull();
    const began = performance.now();
    child.kill(signal);
    const how = await ended;
    expect(performance.now() - began).toBeLessThan(15_000);
    expect(shellCode(how)).toBe(128 + constants.signals[signal]);
    expect(how.stderr).toContain(`stopped by ${signal}\n`);
    expect(readdirSync(folder).sort()).toEqual(before);
  },
  runTimeoutMs,
);

/** Documents of STAC by the names of their files; those of a server are asked for there. */
const documents: Record<string, unknown> = {
  "item.json": stacItem("a", "scene.tif"),
  "to-file.json": stacItem("a", "file:///etc/hostname"),
  "to-bucket.json": stacItem("a", "s3://bucket/scene.tif?key=secret"),
  "bands.json": {
    ...stacItem("a", ""),
    assets: { B04: { href: "scene.tif", type: "image/tiff", bands: [{ name: "B04", "eo:common_name": "red" }] } },
  },
};

it.each([
  [
    "a band that a scene lacks",
    "item.json",
    ["--bands", "red,green,swir16"],
    2,
    /^error: --bands: must name one band of \S+scene\.tif, got swir16; it has red, green, blue\n$/,
  ],
  [
    "a band that none of the item's assets is",
    "bands.json",
    ["--bands", "red,green,nir"],
    3,
    /^error: \S+bands\.json: item a: must have one asset that is the band green alone, got none; give --asset KEY, one of: B04\n$/,
  ],
  [
    "an item without the asset",
    "item.json",
    ["--asset", "B04"],
    3,
    /^error: \S+item\.json: item a: must have one asset whose key, role or band is B04, got none; give --asset KEY, one of: image, thumbnail\n$/,
  ],
  [
    "an item from the network that points to a file",
    "http to-file.json",
    [],
    3,
    /^error: http:\S+to-file\.json: item a: asset image: must not point to a file of this machine, as its item was read from the network, got file:\/\/\/etc\/hostname; save the item as a file if it is to be trusted\n$/,
  ],
  [
    "another scheme",
    "to-bucket.json",
    [],
    3,
    /^error: \S+to-bucket\.json: item a: asset image: must have an http or https address, got s3:\/\/bucket\/scene\.tif; give an item whose asset has an https address \(of a bucket: a presigned one\)\n$/,
  ],
  [
    "GeoParquet without geometry",
    "items.parquet",
    [],
    3,
    /^error: \S+items\.parquet: must be GeoParquet with the columns id, geometry and assets of STAC items, got no geometry; /,
  ],
  [
    "an empty condition",
    "item.json",
    ["--query", "a=1", "--query", ""],
    2,
    /^error: --query: must be conditions with commas between them, such as eo:cloud_cover<20,platform=sentinel-2a, got a=1,; /,
  ],
])("refuses of STAC %s in one line", { timeout: runTimeoutMs }, async (_, name, given, code, message) => {
  for (const [file, content] of Object.entries(documents)) writeFileSync(at(file), JSON.stringify(content));
  const columnData = ["id", "assets"].map((column) => ({ name: column, data: ["x"] }));
  const kvMetadata = [{ key: "geo", value: "{}" }];
  writeFileSync(at("items.parquet"), new Uint8Array(parquetWriteBuffer({ columnData, kvMetadata })));
  const server = await serveTexts((url) => JSON.stringify(documents[url.slice(1)]));
  const [scheme, path] = name.split(" ");
  const document = path === undefined ? at(scheme) : `${server.origin}/${path}`;
  const ended = await patchdrop(["acquire", document, "--load", at("policy"), "--out", at("none"), ...given, ...quick]);
  await server.close();
  expect(ended.stderr).toMatch(message);
  expect(ended).toMatchObject({ code, stdout: "" });
  expect(existsSync(at("none"))).toBe(false);
});
