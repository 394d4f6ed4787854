/** Lists of scenes in shards, as a user and a batch system meet them: with the packaged CIFAR-10 run, on tiny scenes. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parquetReadObjects } from "hyparquet";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { soakShards } from "../../scripts/soak/shards.ts";
import { findNginx } from "../acquire/nginx.ts";
import { blockScene, utm33, writeScene } from "../acquire/scenes.ts";
import { collection, stacItem } from "../archive/items.ts";
import { describeUnless } from "../describe-unless.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { makeImageFolder } from "./images.ts";
import { patchdrop, programCommand, runTimeoutMs, succeed } from "./program.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const run = ["--load", "patchdrop:cifar10", "--threads", "1", "--precision", "fp32"];
const ids = Array.from({ length: 7 }, (_, n) => `scene-${n}`);

type Record = { readonly [key: string]: unknown };
const linesIn = (path: string): Record[] =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const shardsIn = (path: string) =>
  readdirSync(path)
    .sort()
    .flatMap((name) => linesIn(join(path, name)));
const cellsIn = (path: string) => parquetReadObjects({ file: new Uint8Array(readFileSync(path)).buffer });
/** Without what two runs have different: times, and where it stands. */
const timeless = ({ time: _, seconds: __, rounds: ___, why: ____, ...said }: Record) => said;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-shards-e2e-"));
  for (const [n, id] of ids.entries()) {
    const place = [0.5, 0, 380_000 + 1000 * n, 0, -0.5, 5_820_000] as const;
    // The last ones are no whole windows.
    const scene = blockScene(32 * (1 + (n % 3)), 40 + n, 0.3);
    await writeScene(at(`${id}.tif`), scene, { georeference: { ...utm33, affine: place } });
  }
  const items = ids.map((id) => stacItem(id, `${id}.tif`));
  writeFileSync(at("items.json"), JSON.stringify(collection(items)));
  writeFileSync(at("items.jsonl"), items.map((item) => `${JSON.stringify(item)}\n`).join(""));
}, runTimeoutMs);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("acquire --manifest", () => {
  const flags = [...run, "--price_per_km2", "10", "--free_patches"];

  it("finds in shards what it finds in the scenes one by one", { timeout: runTimeoutMs }, async () => {
    await succeed(["acquire", ...flags, at("items.json"), "--out", at("folders")]);
    for (const shard of ["2/3", "0/3"]) {
      await succeed(["acquire", ...flags, "--manifest", at("items.jsonl"), "--shard", shard, "--out", at("shards")]);
    }
    const some = await patchdrop(["gather", at("shards")]);
    expect(some.code).toBe(3);
    expect(some.stderr).toContain(
      `error: ${at("shards")}: must have 3 shards, got all but 1; run these shards (again), from 0 on\n`,
    );
    const refused = await patchdrop(["gather", at("shards"), "--out", at("gathered")]);
    expect({ code: refused.code, there: readdirSync(folder).includes("gathered") }).toEqual({ code: 3, there: false });
    const variables = { SLURM_ARRAY_TASK_MIN: "0", SLURM_ARRAY_TASK_MAX: "2", SLURM_ARRAY_TASK_COUNT: "3" };
    const slurm = { ...variables, SLURM_ARRAY_TASK_ID: "1" };
    await succeed(["acquire", ...flags, "--manifest", at("items.jsonl"), "--out", at("shards")], slurm);
    await succeed(["gather", at("shards"), "--out", at("gathered")]);

    const lines = shardsIn(at("shards"));
    const scenes = lines.filter(({ id }) => id !== undefined);
    expect(scenes.map(({ id }) => id)).toEqual(ids);
    for (const { id, from, place, grid, ...said } of scenes) {
      const { checkpoint, ...savings } = JSON.parse(readFileSync(at("folders", String(id), "savings.json"), "utf8"));
      expect(timeless(said)).toEqual(timeless(savings));
      expect({ from, place, grid, checkpoint }).toEqual({
        from: at("items.jsonl"),
        place: { epsg: 32_633, affine: [0.5, 0, 380_000 + 1000 * ids.indexOf(String(id)), 0, -0.5, 5_820_000] },
        grid: { image_size: 32, patch_size: 8 },
        checkpoint: lines[0].checkpoint,
      });
      const windows = lines
        .filter(({ of }) => of === id)
        .map(({ of: _, chosen: __, cell_bytes: ___, ...said }) => said);
      const predictions = linesIn(at("folders", String(id), "predictions.jsonl"));
      expect(windows).toEqual(predictions.map(({ checkpoint: _, ...line }) => line));
    }
    expect(await cellsIn(at("gathered", "patches.parquet"))).toEqual(await cellsIn(at("folders", "patches.parquet")));
    const gathered = JSON.parse(readFileSync(at("gathered", "gathered.json"), "utf8"));
    const { scenes: _, ...sum } = JSON.parse(readFileSync(at("folders", "savings.json"), "utf8"));
    expect(timeless(gathered.savings)).toEqual(timeless(sum));
    expect(gathered).toMatchObject({ command: "acquire", scenes: 7, failed: 0, shards: { all: 3, missing: [] } });
    expect(readFileSync(at("gathered", "failed.jsonl"), "utf8")).toBe("");
  });

  it("ends with 3 where a scene is none, and with its reason", { timeout: runTimeoutMs }, async () => {
    writeFileSync(at("text.tif"), "no image");
    const scenes = [
      { id: "a", href: "text.tif" },
      { id: "b", href: "nothing.tif" },
      { id: "c", href: `${ids[0]}.tif` },
    ];
    writeFileSync(at("some.jsonl"), scenes.map((scene) => JSON.stringify(scene)).join("\n"));
    const command = ["acquire", ...flags, "--manifest", at("some.jsonl"), "--out", at("some"), "--quiet"];
    for (let time = 0; time < 2; time++) {
      expect(await patchdrop(command)).toMatchObject({
        code: 3,
        stdout: "",
        stderr: `error: 2 of 3 scenes could not be read; see their lines in ${at("some", "shard-0-of-1.jsonl")}\n`,
      });
    }
    const errors = shardsIn(at("some")).filter(({ error }) => error !== undefined);
    expect(errors).toEqual([
      { id: "a", error: expect.stringContaining("text.tif: must be an image file that can be read"), kind: "input" },
      {
        id: "b",
        error: expect.stringContaining("nothing.tif: must be an image file that can be read, got no such file"),
        kind: "input",
      },
    ]);
  });

  it.each([
    [["--manifest", "items.jsonl", "scene.tif"], "image: must be given, or --manifest in its place, got both"],
    [[], "image: must be given, or --manifest, or --low COARSE --plan; see `patchdrop acquire --help`"],
    [
      ["--shard", "0/3", "scene.tif"],
      "--shard: needs --manifest, the list that it is a part of, got 0/3; see `patchdrop acquire --help`",
    ],
    [
      ["--shard", "1", "--manifest", "x"],
      "--shard: must be I/N, the I-th of N parts, from 0, got 1; see `patchdrop acquire --help`",
    ],
  ])("says what is wrong with %j", { timeout: runTimeoutMs }, async (given, message) => {
    const { code, stderr } = await patchdrop(["acquire", ...run, "--out", at("none"), ...given]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: `error: ${message}\n` });
  });
});

describe("predict --manifest", () => {
  it("says of a server's images what predict says of their files", { timeout: runTimeoutMs }, async () => {
    await makeImageFolder(at("images"), { classes: 2, train: 3, test: 0 });
    const paths = ["class0/0.png", "class0/1.png", "class1/0.png", "class1/2.png"];
    const most = { underway: 0, seen: 0 };
    const server = createServer(async ({ url = "" }, response) => {
      most.seen = Math.max(most.seen, ++most.underway);
      await new Promise((resolve) => setTimeout(resolve, 30));
      most.underway--;
      const path = url.replace(/\?.*/, "");
      if (path === "/text") response.end("no image");
      else if (path === "/none") response.writeHead(404).end();
      else response.end(readFileSync(at("images", "train", path)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const hrefs = [...paths, "text", "none"].map((path) => ({ id: path, href: `${origin}/${path}?key=secret` }));
    writeFileSync(at("images.jsonl"), hrefs.map((line) => JSON.stringify(line)).join("\n"));
    const command = ["predict", ...run, "--manifest", at("images.jsonl"), "--out", at("predicted"), "--requests", "2"];
    const { code, stdout, stderr } = await patchdrop(command);
    expect({ code, stdout }).toEqual({ code: 3, stdout: `6 scenes: see ${at("predicted", "shard-0-of-1.jsonl")}\n` });
    expect(most.seen).toBe(2);

    const lines = shardsIn(at("predicted"));
    expect(readFileSync(at("predicted", "shard-0-of-1.jsonl"), "utf8") + stderr).not.toContain("secret");
    const files = await patchdrop(["predict", ...run, ...paths.map((path) => at("images", "train", path))]);
    const expected = files.stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.slice(1, 5).map(({ ms: _, ...line }) => line)).toEqual(
      expected.map(({ ms: _, checkpoint: __, settings: ___, ...line }, n) => ({
        ...line,
        id: paths[n],
        path: `${origin}/${paths[n]}`,
      })),
    );
    expect(lines.slice(5)).toEqual([
      {
        id: "text",
        error: expect.stringMatching(/\/text: must be an image that can be read, got not (a )?/),
        kind: "input",
      },
      {
        id: "none",
        error: expect.stringMatching(/\/none: the server must send the file, got HTTP 404/),
        kind: "input",
      },
      { end: { scenes: 6, failed: 2 } },
    ]);
    const { stdout: summed } = await patchdrop(["gather", at("predicted"), "--json"]);
    const classes: { [name: string]: number } = {};
    for (const { class: name } of expected) classes[name] = (classes[name] ?? 0) + 1;
    expect(JSON.parse(summed)).toMatchObject({ command: "predict", scenes: 6, failed: 2, savings: null, classes });
  });
});

describeUnless(findNginx() === undefined ? "nginx is not installed" : undefined, "a small soak", () => {
  it("loses and doubles no line, whatever is killed", { timeout: runTimeoutMs }, async () => {
    const soak = { scenes: 400, shards: 4, kills: 4, processes: 2, seed: 1 };
    const soaked = await soakShards(soak, temporaryFolder(onTestFinished), programCommand[1]);
    expect(soaked).toMatchObject({ lines: 400, lost: 0, doubled: 0, wrong: 0, kills: 4 });
    // A hundredth is unreadable; of those that are there at times, some may have been away twice.
    expect(soaked.failed).toBeGreaterThanOrEqual(4);
    // A killed process had at most eight scenes in hand.
    expect(soaked.again * 400).toBeLessThanOrEqual(4 * 8);
    // Two processes of at most 16 requests to a host each.
    expect(soaked.connections).toBeLessThanOrEqual(32);
  });
});
