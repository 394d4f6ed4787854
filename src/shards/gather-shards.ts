/**
 * `patchdrop gather`: the shards of a manifest added up. Shards that are missing are named, and those of other runs, and scenes that
 * are there twice, are errors. Files are read line by line; of a scene 8 bytes are held.
 */

import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { CellTable } from "../acquire/cell-table.ts";
import { fileNames } from "../acquire/file-names.ts";
import { cornersOf, geometryOf } from "../acquire/geojson.ts";
import { type Affine, type Georeference, georeference } from "../acquire/georeference.ts";
import { makeNewFolder } from "../acquire/new-folder.ts";
import { cellsOf, sceneOf } from "../acquire/scene.ts";
import { addUp, type Summed } from "../acquire/sum-scenes.ts";
import { fault } from "../errors.ts";
import { assertNew, systemFault, writeFileAtomic } from "../files/atomic.ts";
import type { JsonObject } from "../files/json.ts";
import { LogFile } from "../files/log-file.ts";
import { makeGrid } from "../method/grid.ts";
import { breathe, type Reporter, silentReporter } from "../utils/reporter.ts";
import type { SceneLine, WindowLine } from "./acquire-shard.ts";
import { SeenIds } from "./seen-ids.ts";
import { type ShardHeader, type ShardLine, shardLines, shardName } from "./shard-file.ts";

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

/** Where what is found goes besides the sums. */
interface Sink {
  failed(line: object): void;
  scene(line: SceneLine, windows: readonly WindowLine[]): void;
}

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
  const got = `none of ${some}${missing.length > 20 ? ` and ${missing.length - 20} more` : ""}`;
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
      let isWhole = false;
      let lines = 0;
      for await (const { line } of shardLines(path)) {
        if (lines++ % linesBetweenTurns === 0) await breathe(reporter);
        if (line.kind === "header") {
          first ??= line.header;
          mustAgree(line.header, first, { path, index: shards.indices[n], count: shards.count });
        } else if (line.kind === "scene") ids.add(line.id);
        isWhole = line.kind === "end";
        sums.add(line);
      }
      if (!isWhole) {
        const next = "remove it, and run the shard again";
        throw fault("input", { where: path, rule: "must be a whole file of a shard", got: "an early end", next });
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
  const expected: ShardHeader = { ...first, shard: [index, count] };
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
  #windows: WindowLine[] = [];
  #savings: Summed[] = [];
  #failed = 0;
  scenes = 0;

  constructor(sink: Sink | undefined) {
    this.#sink = sink;
  }

  add(line: ShardLine): void {
    if (line.kind === "part") {
      const window = line.content as unknown as WindowLine;
      if (window.class !== undefined) this.#count(window.class);
      if (this.#sink !== undefined) this.#windows.push(window);
    } else if (line.kind === "scene") this.#scene(line);
  }

  #scene({ error, content }: Extract<ShardLine, { kind: "scene" }>): void {
    this.scenes++;
    if (error !== undefined) {
      this.#failed++;
      this.#sink?.failed(content);
      return;
    }
    if ("class" in content) this.#count(String(content.class));
    else {
      this.#savings.push(content as unknown as Summed);
      if (this.#savings.length === scenesBetweenSums) this.#savings = [addUp(this.#savings)];
      this.#sink?.scene(content as unknown as SceneLine, this.#windows);
    }
    this.#windows = [];
  }

  #count(name: string): void {
    this.#classes.set(name, (this.#classes.get(name) ?? 0) + 1);
  }

  result(checkpoint: string): Pick<Gathered, "scenes" | "failed" | "classes" | "savings"> {
    const classes = [...this.#classes].sort(([a, one], [b, other]) => other - one || (a < b ? -1 : 1));
    const savings = this.#savings.length === 0 ? null : { ...addUp(this.#savings), checkpoint };
    return { scenes: this.scenes, failed: this.#failed, classes: Object.fromEntries(classes), savings };
  }
}

/** What is written of all shards together. */
class GatheredFiles implements Sink {
  readonly #folder: string;
  readonly #failed: LogFile;
  #cells: CellTable | undefined;

  constructor(folder: string) {
    this.#folder = folder;
    this.#failed = new LogFile(join(folder, "failed.jsonl"));
  }

  failed(line: object): void {
    this.#failed.append(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
  }

  scene({ id, size, place, grid: { image_size, patch_size } }: SceneLine, windows: readonly WindowLine[]): void {
    this.#cells ??= new CellTable(join(this.#folder, fileNames.cells));
    const scene = sceneOf(size, makeGrid(image_size, patch_size));
    const onEarth: Georeference | undefined =
      place === null ? undefined : georeference(place.epsg, place.affine as unknown as Affine, id);
    for (const {
      window: [column, row],
      box,
      chosen,
      patch_probabilities = [],
      cell_bytes,
    } of windows) {
      for (const [n, cell] of cellsOf(scene, box).entries()) {
        const geometry = onEarth === undefined ? null : geometryOf(cornersOf(cell.inside, onEarth));
        const said = { chosen: chosen[cell.patch] === "1", probability: patch_probabilities[cell.patch] };
        const decided = { cell, window: { column, row }, ...said, bytes: cell_bytes[n] };
        this.#cells.add(id, decided, geometry as JsonObject | null);
      }
    }
  }

  finish(gathered: Gathered): void {
    this.#failed.sync();
    this.#cells?.finish();
    const text = `${JSON.stringify(gathered, undefined, 2)}\n`;
    writeFileAtomic(join(this.#folder, "gathered.json"), new TextEncoder().encode(text));
  }

  close(): void {
    this.#failed.close();
    this.#cells?.close();
  }
}
