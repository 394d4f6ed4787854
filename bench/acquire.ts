/**
 * How well looking and reading overlap: `acquire` of a scene whose server answers in 50 ms, beside what it is made of, each alone. The
 * parts are those of the same scene in the same process, in turns:
 *
 * - networks: deciding and classifying, with the scene on this disk
 * - reading: the very requests of `acquire`, six at a time, and nothing is done with what they bring
 * - everything: all tiles of the full resolution, as many requests at a time
 *
 *     npx tsx bench/acquire.ts --data_dir aid/test --size 8192 --tile 256 --rounds 3
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { acquire } from "../src/acquire/acquire.ts";
import { Fetcher } from "../src/acquire/fetcher.ts";
import { HttpFile, requestsAtOnce } from "../src/acquire/http-file.ts";
import { Ledger } from "../src/acquire/ledger.ts";
import type { ByteRange } from "../src/acquire/plan.ts";
import { RangeCache } from "../src/acquire/range-cache.ts";
import type { Acquired } from "../src/acquire/tally.ts";
import { openTiffImage } from "../src/acquire/tiff-image.ts";
import { inOrder } from "../src/data/in-order.ts";
import { readTileLayout } from "../src/formats/tiff-layout.ts";
import { openRun } from "../src/inference/open-run.ts";
import { parseAcquireOptions } from "../src/options/acquire-options.ts";
import { markdownTable } from "./markdown-table.ts";
import { median } from "./measure.ts";

const count = (least: number, usual: number) => z.coerce.number().int().min(least).default(usual);
const argumentsSchema = z.object({
  data_dir: z.string(),
  load: z.string().default("patchdrop:aid"),
  size: count(256, 8192),
  tile: count(16, 256),
  delay_ms: count(0, 50),
  batch_size: count(1, 64),
  threads: count(1, 2),
  rounds: count(1, 3),
});
const named = { type: "string" } as const;
const options = Object.fromEntries(Object.keys(argumentsSchema.shape).map((name) => [name, named]));
const { data_dir, load, size, tile, delay_ms, batch_size, threads, rounds } = argumentsSchema.parse(
  parseArgs({ options }).values,
);

const folder = mkdtempSync(join(tmpdir(), "patchdrop-bench-"));
const sides = ["networks", "reading", "everything", "acquire"] as const;
const seconds: Record<(typeof sides)[number], number[]> = { networks: [], reading: [], everything: [], acquire: [] };
makeScene();
const server = spawn(process.execPath, [here("slow-server.mjs"), join(folder, "made"), String(delay_ms)]);
const fetcher = new Fetcher({ requests: undefined });
const run = await openRun({ ...parseAcquireOptions({ load, out: "unused", threads }), load });
try {
  const lines = createInterface({ input: server.stdout });
  const [port] = (await once(lines, "line")) as [string];
  const url = `http://127.0.0.1:${port}/scene.tif`;
  let requested: ByteRange[] = [];
  lines.on("line", (line) => {
    const [start, last] = line.split("-").map(Number);
    requested.push({ start, end: last + 1 });
  });
  const ranges = new Set<string>();
  // Once for nothing: the first steps of the networks and of the thread that fetches are slow.
  const first = (await acquired(url)).result;
  for (let round = 0; round < rounds; round++) {
    const local = (await acquired(join(folder, "made", "scene.tif"))).result;
    seconds.networks.push(local.seconds.decide + local.seconds.classify);
    requested = [];
    const served = await acquired(url);
    seconds.acquire.push(served.seconds);
    await delay(100);
    const asked = [...requested];
    ranges.add(JSON.stringify(asked.toSorted((a, b) => a.start - b.start)));
    seconds.reading.push(await timed(() => readRanges(url, asked)));
    seconds.everything.push(await timed(() => readEverything(url)));
    const { look, decide, acquire: waited, classify, write } = served.result.seconds;
    console.log(JSON.stringify({ round, requests: asked.length, look, decide, acquire: waited, classify, write }));
  }
  if (ranges.size > 1) throw new Error("each acquisition must make the same requests");
  const medians = Object.fromEntries(sides.map((side) => [side, median(seconds[side])])) as Record<string, number>;
  const longer = seconds.acquire.map((one, n) => one / Math.max(seconds.networks[n], seconds.reading[n]));
  const header = ["", "seconds", "each"];
  const rows = sides.map((side) => [side, medians[side].toFixed(2), seconds[side].map((s) => s.toFixed(2)).join(" ")]);
  console.log(
    `${first.cells.chosen} of ${first.cells.all} patches, ${first.bytes?.used} of ${first.bytes?.whole} bytes\n`,
  );
  console.log(markdownTable(header, rows, 1));
  console.log(`acquire / the longer of networks and reading: ${median(longer).toFixed(2)}`);
} finally {
  server.kill();
  await fetcher.end();
  await run.free();
  rmSync(folder, { recursive: true });
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

function makeScene(): void {
  const script = here("../scripts/fixtures/make-scene.ts");
  const flags = { model: "EffLite0", data_dir, out: join(folder, "made"), size, tile };
  const given = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const { status, stderr } = spawnSync(process.execPath, [...process.execArgv, script, ...given], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

async function acquired(scene: string): Promise<{ result: Acquired; seconds: number }> {
  const out = join(folder, "out");
  rmSync(out, { recursive: true, force: true });
  const choices = parseAcquireOptions({ load, out, batch_size, threads });
  let result: Acquired | undefined;
  const took = await timed(async () => {
    result = await acquire(scene, run, { ...choices, fetcher });
  });
  return { result: result!, seconds: took };
}

/** In the order in which they were asked for. */
async function readRanges(url: string, asked: readonly ByteRange[]): Promise<void> {
  const file = await HttpFile.open(url, { ledger: new Ledger() });
  // The first one opened the file.
  for await (const _ of inOrder(asked.slice(1), requestsAtOnce, (range) => file.fetch(range, "high")));
}

async function readEverything(url: string): Promise<void> {
  const file = await HttpFile.open(url, { ledger: new Ledger() });
  const { full } = await openTiffImage(file, readTileLayout);
  const { offsets, byteCounts } = full;
  const tiles = Array.from(offsets, (start, n) => ({ start, end: start + byteCounts[n] }));
  await new RangeCache(file, { limit: Number.POSITIVE_INFINITY }).prefetch(tiles, "high").arrived;
}
