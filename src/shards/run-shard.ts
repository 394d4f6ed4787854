/**
 * A shard from its manifest to its file, whatever is done with a scene. A scene that can't be read is a line with its reason. Where a
 * server does not answer, the scene is tried once more after all others, and only many in a row end the shard: then it is the
 * network that is at fault, and what is there is kept.
 */

import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { Entry, Manifest, Shard } from "../archive/manifest.ts";
import type { ArchivedScene, WantedScenes } from "../archive/scenes.ts";
import { inOrder } from "../data/in-order.ts";
import { type ErrorKind, fault, PatchDropError } from "../errors.ts";
import { makeFolder } from "../files/atomic.ts";
import { lockBeside, takeLock } from "../files/lock.ts";
import { breathe, type Reporter, Stopped } from "../utils/reporter.ts";
import { divisionOf, type ShardCounts, ShardFile, type ShardHeader } from "./shard-file.ts";

/** The lines of a scene, each with its line break, or what is wrong with it. */
export type Outcome = { readonly lines: string } | { readonly error: PatchDropError };

export interface ShardTask {
  readonly manifest: Manifest;
  readonly shard: Shard;
  /** The folder of all shards. */
  readonly out: string;
  readonly wanted: WantedScenes;
  readonly made: Pick<ShardHeader, "command" | "checkpoint" | "settings">;
}

/** What is done with scenes. */
export interface SceneWork {
  /** So many are worked on as one. */
  readonly groupSize: number;
  /** So many groups are under way, so that one is read while another is looked at. */
  readonly atOnce: number;
  /** An outcome for each. @throws what ends the shard: Stopped; a fault of the run and of no scene */
  run(scenes: readonly ArchivedScene[]): Promise<readonly Outcome[]>;
}

/** Faults of a scene; others are of the run or of this machine. */
const kindsOfScenes: readonly ErrorKind[] = ["input", "usage", "unsafe", "resource", "notFinite"];
/** So many scenes in a row that no server answered for are no accident. */
const mostSilent = 20;

/** Whether an error is one scene's, and the others can be done. */
export function isOfScene(error: unknown): error is PatchDropError {
  return error instanceof PatchDropError && (kindsOfScenes.includes(error.kind) || error.kind === "system");
}

/**
 * Does what is missing of a shard.
 * @throws input: a manifest that has a scene twice; locked: a shard that another process works on, or that was begun in another
 *   way; system: no server answers, or the disk; what `work` throws; Stopped. What is there is kept
 */
export async function runShard(
  task: ShardTask,
  work: SceneWork,
  reporter: Reporter,
): Promise<ShardCounts & { path: string }> {
  const { manifest, shard, out, made } = task;
  const { path, mark } = manifest;
  const { all, part } = await survey(task, reporter);
  const own = { manifest: { name: basename(path), ...mark }, part, ...made };
  makeFolder(out);
  refuseOtherDivision(out, shard);
  const release = takeLock(lockBeside(join(out, `shard-${shard.index}-of-${shard.count}`)));
  try {
    const file = await ShardFile.open(out, { shard: [shard.index, shard.count], ...own });
    try {
      if (file.isComplete) reporter.note(`${file.path} is complete: nothing is left to do`);
      else await new ShardRun(task, work, file, reporter).run(all);
      return { ...file.counts, path: file.path };
    } catch (error) {
      const kept = `${file.counts.scenes} scenes are kept in ${out}: the same command goes on`;
      if (error instanceof Stopped) reporter.note(kept);
      throw error;
    } finally {
      file.close();
    }
  } finally {
    release();
  }
}

/** How many scenes there are in a shard, and a hash of what is said of them. @throws input: one that is there twice */
async function survey(
  { manifest, shard, wanted }: ShardTask,
  reporter: Reporter,
): Promise<{ all: number; part: string }> {
  const seen = new Set<string>();
  const hash = createHash("sha256");
  for await (const { id, said } of manifest.entries(shard, wanted)) {
    if (seen.has(id)) {
      const got = `${id.slice(0, 100)} twice`;
      throw fault("input", {
        where: manifest.path,
        rule: "must have each scene once",
        got,
        next: "remove one of them",
      });
    }
    seen.add(id);
    hash.update(`${said}\n`);
    if (seen.size % 1000 === 0) await breathe(reporter);
  }
  return { all: seen.size, part: hash.digest("hex").slice(0, 16) };
}

/** Shards of several divisions do not add up. @throws locked */
function refuseOtherDivision(out: string, { count }: Shard): void {
  for (const name of readdirSync(out)) {
    const other = divisionOf(name);
    if (other === undefined || other === count) continue;
    const next = "give the same N, or another --out";
    throw fault("locked", { where: out, rule: `was begun with ${other} shards (${name})`, got: `I/${count}`, next });
  }
}

class ShardRun {
  readonly #task: ShardTask;
  readonly #work: SceneWork;
  readonly #file: ShardFile;
  readonly #reporter: Reporter;
  /** Scenes for which no server answered. */
  readonly #silent: Entry[] = [];
  #silentInARow = 0;

  constructor(task: ShardTask, work: SceneWork, file: ShardFile, reporter: Reporter) {
    this.#task = task;
    this.#work = work;
    this.#file = file;
    this.#reporter = reporter;
  }

  /** @param all scenes, those that are there among them */
  async run(all: number): Promise<void> {
    const { shard } = this.#task;
    const name = `${this.#task.made.command} ${shard.index}/${shard.count}`;
    const bar = this.#reporter.progress(name, all, this.#file.done.size);
    const update = () => bar.update(this.#file.done.size, { failed: String(this.#file.counts.failed) });
    try {
      await this.#attempt(this.#entries(), false, update);
      await this.#attempt(this.#silent, true, update);
      this.#file.finish();
    } finally {
      bar.stop();
    }
  }

  async *#entries(): AsyncGenerator<Entry> {
    const { manifest, shard, wanted } = this.#task;
    for await (const entry of manifest.entries(shard, wanted)) if (!this.#file.done.has(entry.id)) yield entry;
  }

  /** @param isLast whether a scene for which no server answers is given up */
  async #attempt(entries: Iterable<Entry> | AsyncIterable<Entry>, isLast: boolean, update: () => void): Promise<void> {
    const { groupSize, atOnce } = this.#work;
    const groups = inGroups(entries, groupSize);
    for await (const { group, outcomes } of inOrder(groups, atOnce, (group) => this.#outcomes(group))) {
      for (const [n, entry] of group.entries()) this.#write(entry, outcomes[n], isLast);
      update();
      await breathe(this.#reporter);
    }
  }

  async #outcomes(group: readonly Entry[]) {
    const scenes = group.flatMap((entry) => ("scene" in entry ? [entry.scene] : []));
    const done = scenes.length === 0 ? [] : await this.#work.run(scenes);
    let n = 0;
    return { group, outcomes: group.map((entry): Outcome => ("scene" in entry ? done[n++] : entry)) };
  }

  #write(entry: Entry, outcome: Outcome, isLast: boolean): void {
    const isSilent = "error" in outcome && outcome.error.kind === "system";
    if (!isSilent) this.#silentInARow = 0;
    if ("lines" in outcome) this.#file.add(entry.id, outcome.lines);
    // Those that are tried once more had no answer: that they have none again says nothing of the network.
    else if (!isSilent || isLast) this.#file.addFailed(entry.id, outcome.error);
    else if (++this.#silentInARow === mostSilent) throw outcome.error;
    else this.#silent.push(entry);
  }
}

async function* inGroups<T>(items: Iterable<T> | AsyncIterable<T>, size: number): AsyncGenerator<readonly T[]> {
  let group: T[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length < size) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}

/** Which scenes are wanted, and what of them, as options. */
export function wantedText({ asset, low, bbox, datetime, query }: WantedScenes): Record<string, string | undefined> {
  return {
    asset: asset?.join(","),
    low,
    bbox: bbox?.join(","),
    datetime: datetime && `${datetime.from}/${datetime.to}`,
    query: query?.map(({ property, comparison, value }) => `${property}${comparison}${value}`).join(","),
  };
}
