/**
 * Many tiny scenes behind nginx, acquired in shards whose processes are killed at random, and every line counted afterwards:
 *
 *     npm run build && npx tsx scripts/soak/shards.ts --scenes 100000 --shards 100 --kills 50
 *
 * A hundredth of the scenes are no images, and a hundredth are answered with 503 now and then. Prints what was seen as JSON, and
 * ends with 1 where a line is lost, doubled or wrong. --memory acquires all in one shard, and tells the memory on the way.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { RasterFile } from "../../src/acquire/raster-file.ts";
import { linesOf } from "../../src/files/line-reader.ts";
import { Random } from "../../src/utils/random.ts";
import { findNginx, startNginx } from "../../test/acquire/nginx.ts";

const built = fileURLToPath(new URL("../../dist/cli/patchdrop.js", import.meta.url));
/** Different images; the scenes are these again and again, under names of their own. */
const images = 100;
const side = 32;
/** Those images that are none, and those that are there only at times. */
const [unreadable, busy] = ["37", "53"];

export interface Soak {
  readonly scenes: number;
  readonly shards: number;
  readonly kills: number;
  /** Processes at a time. */
  readonly processes: number;
  readonly seed: number;
}

export interface Soaked {
  readonly lines: number;
  readonly lost: number;
  readonly doubled: number;
  readonly wrong: number;
  readonly failed: number;
  readonly kills: number;
  /** Scenes that were begun more often than once, as a share of all. */
  readonly again: number;
  readonly connections: number;
  readonly seconds: number;
  /** MiB of a process that did 1,000 scenes and more: after these, and at its end. */
  readonly rss: readonly { readonly after1000: number; readonly atEnd: number; readonly scenes: number }[];
}

export async function soakShards(
  { scenes, shards, kills, processes, seed }: Soak,
  folder: string,
  program = built,
): Promise<Soaked> {
  const nginx = findNginx();
  if (nginx === undefined) throw new Error("needs nginx");
  const files = join(folder, "files");
  await makeImages(files);
  const server = await startNginx(nginx, files, join(folder, "nginx"), {
    http: `split_clients "$request_id" $is_busy { 20% 1; * 0; }`,
    server: `
      location ~ ^/scene/\\d*${busy}\\.tif$ { if ($is_busy) { return 503; } rewrite . /${busy}.tif last; }
      location ~ ^/scene/\\d*(\\d\\d)\\.tif$ { rewrite ^/scene/\\d*(\\d\\d)\\.tif$ /$1.tif last; }`,
  });
  const manifest = join(folder, "manifest.jsonl");
  await writeManifest(manifest, scenes, server.url);
  const out = join(folder, "out");
  const began = performance.now();
  const runs = new ShardRuns({ manifest, out, shards, kills, random: new Random(seed, "soak"), program });
  await Promise.all(Array.from({ length: processes }, () => runs.work()));
  const seconds = (performance.now() - began) / 1000;
  const logged = await server.stop();
  const begun = logged.filter(
    ({ path, range, status }) => path.startsWith("/scene/") && range === "bytes=0-16383" && status === 206,
  );
  const connections = Math.max(...logged.map((one) => one.connections));
  const counted = await countLines(out, scenes);
  const readable = new Set(begun.map(({ path }) => path)).size;
  const again = (begun.length - readable) / scenes;
  return { ...counted, kills: runs.killed, again, connections, seconds, rss: runs.rss };
}

async function makeImages(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  for (let n = 0; n < images; n++) {
    const path = join(folder, `${String(n).padStart(2, "0")}.tif`);
    const random = new Random(n, "soak image");
    const affine = [0.5, 0, 380_000 + 100 * n, 0, -0.5, 5_820_000] as const;
    const georeference = { epsg: 32_633, affine, geographic: false };
    const raster = new RasterFile(path, { width: side, height: side, tileSize: 16, overviews: 2, georeference });
    await raster.write(Uint8Array.from({ length: side * side * 3 }, () => random.integer(256)));
    await raster.finish();
  }
  writeFileSync(join(folder, `${unreadable}.tif`), "no image at all");
}

/** "000123": the last two digits are the image's. */
const idOf = (n: number) => String(n).padStart(6, "0");

async function writeManifest(path: string, scenes: number, url: string): Promise<void> {
  const file = createWriteStream(path);
  for (let n = 0; n < scenes; n++) {
    const line = `${JSON.stringify({ id: idOf(n), href: `${url}/scene/${idOf(n)}.tif?signature=secret` })}\n`;
    if (!file.write(line)) await once(file, "drain");
  }
  file.end();
  await once(file, "finish");
}

class ShardRuns {
  readonly rss: { after1000: number; atEnd: number; scenes: number }[] = [];
  killed = 0;
  readonly #what: { manifest: string; out: string; shards: number; kills: number; random: Random; program: string };
  readonly #left: number[];
  /** What one took that was not killed. */
  #usualMs = 3000;

  constructor(what: { manifest: string; out: string; shards: number; kills: number; random: Random; program: string }) {
    this.#what = what;
    this.#left = Array.from({ length: what.shards }, (_, shard) => shard);
  }

  /** Runs shards until none is left; one that was killed is run again. */
  async work(): Promise<void> {
    for (let shard = this.#left.shift(); shard !== undefined; shard = this.#left.shift()) {
      if (!(await this.#run(shard))) this.#left.push(shard);
    }
  }

  async #run(shard: number): Promise<boolean> {
    const { manifest, out, shards, kills, random, program } = this.#what;
    const flags = ["--manifest", manifest, "--shard", `${shard}/${shards}`, "--out", out, "--threads", "1", "--quiet"];
    const began = performance.now();
    const child = spawn(process.execPath, [program, "acquire", "--load", "patchdrop:cifar10", ...flags]);
    let said = "";
    child.stderr.on("data", (text) => (said += text));
    const ended = once(child, "exit") as Promise<[number | null, string | null]>;
    const isDoomed = this.killed < kills && random.uniform() < Math.max(0.5, (kills - this.killed) / this.#left.length);
    if (isDoomed) this.killed++;
    const watching = new AbortController();
    const memory = this.#watchMemory(child, partialOf(out, shard, shards), watching.signal);
    if (isDoomed) {
      await Promise.race([ended, delay(random.uniform() * this.#usualMs)]);
      child.kill("SIGKILL");
    }
    const [code] = await ended;
    watching.abort();
    await memory;
    // 3: done, and some scenes could not be read.
    if (code !== 0 && code !== 3 && child.signalCode !== "SIGKILL")
      throw new Error(`shard ${shard}: exit ${code}: ${said}`);
    if (said.includes("secret")) throw new Error(`a signature was printed: ${said}`);
    const isDone = child.signalCode !== "SIGKILL";
    if (isDone && !isDoomed) this.#usualMs = performance.now() - began;
    return isDone;
  }

  async #watchMemory({ pid }: ChildProcess, partial: string, signal: AbortSignal): Promise<void> {
    let [after1000, atEnd, scenes] = [0, 0, 0];
    while (!signal.aborted) {
      await delay(1000, undefined, { signal }).catch(() => undefined);
      try {
        const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
        if (kib === undefined) continue;
        // A line of a window and one of the scene.
        scenes = lineCount(partial) / 2;
        atEnd = Math.round(Number(kib) / 1024);
        if (scenes >= 1000 && after1000 === 0) after1000 = atEnd;
      } catch {} // it has ended, or has not begun
    }
    if (scenes >= 2000) this.rss.push({ after1000, atEnd, scenes: Math.round(scenes) });
  }
}

function partialOf(out: string, shard: number, shards: number): string {
  return join(out, `.shard-${String(shard).padStart(String(shards - 1).length, "0")}-of-${shards}.jsonl.partial`);
}

function lineCount(path: string): number {
  let count = 0;
  for (const byte of readFileSync(path)) if (byte === 10) count++;
  return count;
}

/** Every scene is to be there once, with what its image is, or with its reason. */
async function countLines(out: string, scenes: number) {
  const seen = new Uint8Array(scenes);
  const classes = new Map<string, string>();
  let [lines, doubled, wrong, failed, window] = [0, 0, 0, 0, ""];
  for (const name of readdirSync(out).filter((one) => one.startsWith("shard-"))) {
    const tooLong = () => new Error("a long line");
    for await (const { text } of linesOf(join(out, name), { longest: 1e7, tooLong })) {
      if (text.includes("secret")) wrong++;
      const line = JSON.parse(text);
      if (line.of !== undefined) window = JSON.stringify([line.class, line.mask, line.of]);
      if (line.id === undefined) continue;
      lines++;
      if (seen[Number(line.id)]++ > 0) doubled++;
      const image = line.id.slice(-2);
      if (line.error !== undefined) {
        failed++;
        if (image !== unreadable) wrong++;
        continue;
      }
      const [className, mask, of] = JSON.parse(window);
      const found = JSON.stringify([className, mask]);
      // The first of an image says what all of them must be.
      const expected = classes.get(image) ?? found;
      classes.set(image, expected);
      if (found !== expected || of !== line.id || image === unreadable) wrong++;
    }
  }
  const lost = seen.filter((count) => count === 0).length;
  return { lines, lost, doubled, wrong, failed };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      scenes: { type: "string", default: "100000" },
      shards: { type: "string", default: "100" },
      kills: { type: "string", default: "50" },
      processes: { type: "string", default: "2" },
      seed: { type: "string", default: "1" },
      memory: { type: "boolean", default: false },
    },
  });
  const [scenes, shards, kills, processes, seed] = (["scenes", "shards", "kills", "processes", "seed"] as const).map(
    (name) => Number(values[name]),
  );
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-soak-"));
  try {
    const parts = values.memory ? { shards: 1, kills: 0, processes: 1 } : { shards, kills, processes };
    const soaked = await soakShards({ scenes, seed, ...parts }, folder);
    console.log(JSON.stringify(soaked, undefined, 2));
    if (soaked.lost + soaked.doubled + soaked.wrong > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
