/**
 * `patchdrop gather`: the shards of a manifest added up. Shards that are missing are named, and those of other runs, and scenes that
 * are there twice, are errors. Files are read line by line; of a scene 8 bytes are held.
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { makeNewFolder } from "../acquire/new-folder.ts";
import { addUp } from "../acquire/sum-scenes.ts";
import type { Summed } from "../acquire/tally.ts";
import { fault } from "../errors.ts";
import { assertNew, systemFault } from "../files/atomic.ts";
import { breathe, type Reporter, silentReporter } from "../utils/reporter.ts";
import { GatheredFiles, type Sink, type WindowRecord } from "./gathered-files.ts";
import { sceneLineSchema, windowLineSchema } from "./scene-lines.ts";
import { SeenIds } from "./seen-ids.ts";
import { checked, type ShardCounts, type ShardHeader, type ShardLine, shardLines, shardName } from "./shard-file.ts";

/** The contents of gathered.json. */
export interface Gathered {
  readonly command: ShardHeader["command"];
  readonly checkpoint: string;
  readonly settings: string;
  readonly manifest: ShardHeader["manifest"];
  readonly shards: { readonly all: number; readonly missing: readonly number[] };
  readonly scenes: number;
  /** Those of them that could not be read. */
  readonly failed: number;
  /** Of images or windows, by the class that was most probable. */
  readonly classes: Readonly<Record<string, number>>;
  /** What was saved in all; of `acquire`, where a scene was read. */
  readonly savings: Summed | null;
}

const linesBetweenTurns = 500;
const scenesBetweenSums = 100;

/**
 * Adds up the shards of a folder, and writes, where `out` is given, the folder of sums: gathered.json, failed.jsonl and, of `acquire`,
 * patches.parquet.
 * @throws usage: a folder `out` that exists; input: what holds no shards, or such as do not belong together; a scene that is there
 *   twice; with `out`, shards that are missing; system; Stopped
 */
export async function gather(
  folder: string,
  out: string | undefined,
  reporter: Reporter = silentReporter,
): Promise<Gathered> {
  if (out !== undefined) assertNew(out);
  const shards = findShards(folder);
  if (out === undefined) return addShards(folder, shards, undefined, reporter);
  const missing = missingOf(shards);
  if (missing.length > 0) throw fault("input", missingFault(folder, shards.count, missing));
  let gathered: Gathered | undefined;
  await makeNewFolder(out, async (temporary) => {
    const files = new GatheredFiles(temporary);
    try {
      gathered = await addShards(folder, shards, files, reporter);
      files.finish(gathered);
    } finally {
      files.close();
    }
  });
  return gathered!;
}

/** What is said of shards that are not there. */
export function missingFault(folder: string, count: number, missing: readonly number[]) {
  const some = missing.slice(0, 20).join(", ");
  const got = `all but ${some}${missing.length > 20 ? ` and ${missing.length - 20} more` : ""}`;
  return { where: folder, rule: `must have ${count} shards`, got, next: "run these shards (again), from 0 on" };
}

interface Shards {
  readonly count: number;
  readonly indices: readonly number[];
}

/** @throws input: no shards, or shards of several counts */
function findShards(folder: string): Shards {
  const names = existsSync(folder) ? namesIn(folder) : [];
  const found = names.flatMap((name) => {
    const [, index, count] = /^shard-(\d+)-of-(\d+)\.jsonl$/.exec(name) ?? [];
    return index === undefined ? [] : [{ index: Number(index), count: Number(count) }];
  });
  if (found.length === 0) {
    const rule = "must be a folder of shards that are complete";
    const next = "give the --out of `patchdrop acquire --manifest` or `predict --manifest`";
    throw fault("input", { where: folder, rule, got: names.length === 0 ? "nothing" : "none", next });
  }
  const counts = [...new Set(found.map(({ count }) => count))];
  if (counts.length > 1) {
    const rule = "must have shards of one division";
    const next = "remove those of the wrong one";
    throw fault("input", { where: folder, rule, got: counts.map((count) => `of ${count}`).join(" and "), next });
  }
  return { count: counts[0], indices: found.map(({ index }) => index).sort((a, b) => a - b) };
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return [];
    throw systemFault("could not be read", folder, 0, error);
  }
}

function missingOf({ count, indices }: Shards): number[] {
  const there = new Set(indices);
  return Array.from({ length: count }, (_, index) => index).filter((index) => !there.has(index));
}

async function addShards(
  folder: string,
  shards: Shards,
  sink: Sink | undefined,
  reporter: Reporter,
): Promise<Gathered> {
  const ids = new SeenIds();
  const sums = new Sums(sink);
  let first: ShardHeader | undefined;
  const paths = shards.indices.map((index) => join(folder, shardName({ index, count: shards.count })));
  const bar = reporter.progress("gather", shards.indices.length);
  try {
    for (const [n, path] of paths.entries()) {
      const before = { scenes: sums.scenes, failed: sums.failed };
      let end: ShardCounts | undefined;
      let lines = 0;
      for await (const { line } of shardLines(path)) {
        if (lines++ % linesBetweenTurns === 0) await breathe(reporter);
        if (line.kind === "header") {
          first ??= line.header;
          mustAgree(line.header, first, { path, index: shards.indices[n], count: shards.count });
        } else if (line.kind === "scene") ids.add(line.id);
        end = line.kind === "end" ? line.counts : undefined;
        sums.add(line);
      }
      const isWhole = end?.scenes === sums.scenes - before.scenes && end.failed === sums.failed - before.failed;
      if (!isWhole) {
        const next = "remove it, and run the shard again";
        throw fault("input", {
          where: path,
          rule: "must be a whole file of a shard",
          got: end === undefined ? "an early end" : "fewer or more lines than its end says",
          next,
        });
      }
      bar.update(n + 1, { scenes: String(sums.scenes) });
    }
    await refuseDoubles(ids, paths, reporter);
  } finally {
    bar.stop();
  }
  const { command, checkpoint, settings, manifest } = first!;
  const shardCounts = { all: shards.count, missing: missingOf(shards) };
  return { command, checkpoint, settings, manifest, shards: shardCounts, ...sums.result(checkpoint) };
}

/** @throws input: a shard of another manifest or run */
function mustAgree(
  header: ShardHeader,
  first: ShardHeader,
  { path, index, count }: { path: string; index: number; count: number },
): void {
  const expected: ShardHeader = { ...first, part: header.part, shard: [index, count] };
  const different = (["shard", "command", "manifest", "checkpoint", "settings"] as const).find(
    (key) => JSON.stringify(header[key]) !== JSON.stringify(expected[key]),
  );
  if (different === undefined) return;
  const shown = (one: ShardHeader) =>
    typeof one[different] === "string" ? one[different] : JSON.stringify(one[different]);
  const rule = `must have the ${different} ${shown(expected)}, as its name and the first shard say`;
  const next = "remove the shards that do not belong here";
  throw fault("input", { where: path, rule, got: shown(header), next });
}

/** @throws input */
async function refuseDoubles(ids: SeenIds, paths: readonly string[], reporter: Reporter): Promise<void> {
  const suspects = ids.suspects();
  if (suspects.size === 0) return;
  const places = new Map<string, string>();
  for (const path of paths) {
    for await (const { line } of shardLines(path)) {
      if (line.kind !== "scene" || !suspects.has(SeenIds.hash(line.id))) continue;
      await breathe(reporter);
      const earlier = places.get(line.id);
      if (earlier !== undefined) {
        const next = "remove one of them from the manifest, and run the shards again";
        const got = `${line.id.slice(0, 100)} in ${earlier} also`;
        throw fault("input", { where: path, rule: "must have each scene once", got, next });
      }
      places.set(line.id, path);
    }
  }
}

class Sums {
  readonly #sink: Sink | undefined;
  readonly #classes = new Map<string, number>();
  #windows: WindowRecord[] = [];
  #savings: Summed[] = [];
  scenes = 0;
  failed = 0;

  constructor(sink: Sink | undefined) {
    this.#sink = sink;
  }

  add(line: ShardLine): void {
    if (line.kind === "part") {
      const window = checked(windowLineSchema, line.content, line.where);
      if (window.class !== undefined) this.#count(window.class);
      this.#windows.push(window);
    } else if (line.kind === "scene") this.#scene(line);
  }

  #scene({ id, error, content, where }: Extract<ShardLine, { kind: "scene" }>): void {
    this.scenes++;
    const other = this.#windows.find(({ of }) => of !== id);
    if (other !== undefined) {
      const rule = `must be behind windows of ${id} alone`;
      throw fault("input", { where, rule, got: other.of, next: "remove the file, and run the shard again" });
    }
    if (error !== undefined) {
      this.failed++;
      this.#sink?.failed(content);
      return;
    }
    if ("class" in content) this.#count(String(content.class));
    else {
      const scene = checked(sceneLineSchema, content, where);
      this.#savings.push({ ...scene, checkpoint: "" });
      if (this.#savings.length === scenesBetweenSums) this.#savings = [addUp(this.#savings)];
      this.#sink?.scene(scene, this.#windows);
    }
    this.#windows = [];
  }

  #count(name: string): void {
    this.#classes.set(name, (this.#classes.get(name) ?? 0) + 1);
  }

  result(checkpoint: string): Pick<Gathered, "scenes" | "failed" | "classes" | "savings"> {
    const classes = [...this.#classes].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1));
    const savings = this.#savings.length === 0 ? null : { ...addUp(this.#savings), checkpoint };
    return { scenes: this.scenes, failed: this.failed, classes: Object.fromEntries(classes), savings };
  }
}
