/**
 * A run's folder (`--cv_dir`): `config.json`, the metric logs, `checkpoints/`, and the links `best` and `last` into it.
 * Held by one process at a time. A save makes a checkpoint whole, then moves the links, then removes the oldest:
 * wherever it is cut, `last` names a checkpoint that loads.
 */

import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import {
  type Checkpoint,
  type CheckpointContents,
  type CheckpointRecord,
  readCheckpoint,
  withChecksum,
  writeCheckpoint,
} from "../checkpoints/checkpoint.ts";
import { compareConfigs } from "../checkpoints/compare-configs.ts";
import { elsewhere, freeOptions, type RunConfig, type SavedConfig } from "../checkpoints/run-config.ts";
import {
  checkpointsName,
  configName,
  damagedEnding,
  linkedName,
  listCheckpoints,
  readRunConfig,
} from "../checkpoints/saved-checkpoints.ts";
import { type Fault, fault, PatchDropError, sentence } from "../errors.ts";
import {
  linkAtomic,
  makeFolder,
  removeFolderAtomic,
  removeTemporaries,
  syncFolder,
  systemFault,
  temporaryPrefix,
  writeFileAtomic,
} from "../files/atomic.ts";
import { assertUnlocked, type Release, takeLock } from "../files/lock.ts";
import type { PngImage } from "../formats/tensorboard-events.ts";
import { cutLogs, type Hyperparameters, MetricLog, type MetricRecord, type StepRecord } from "./metric-log.ts";

const lockName = "run.lock";

export interface SaveRequest extends CheckpointContents {
  /** The checkpoint's folder name: see `checkpointName`. */
  readonly name: string;
  /** Whether `best` shall name this checkpoint. */
  readonly isBest: boolean;
}

export interface RunOptions {
  /** How many checkpoints stay, at least 2. `best` and `last` always stay. */
  readonly keep?: number;
  /** Called with the checkpoint that a run would go on from, before anything of the run changes: throws what is wrong with it. */
  readonly accept?: (checkpoint: Checkpoint) => void;
}

/** A run that continues: from `checkpoint`, or from its beginning where none was made. */
export interface ResumedRun {
  readonly run: RunFolder;
  readonly checkpoint: Checkpoint | undefined;
  /** What the user must be told: a damaged checkpoint that was passed over, other versions. */
  readonly notes: readonly string[];
}

export class RunFolder {
  readonly path: string;
  readonly config: SavedConfig;
  readonly #keep: number;
  readonly #release: Release;
  readonly #log: MetricLog;
  /** The whole checkpoints, oldest first. */
  #saved: readonly { readonly name: string; readonly sequence: number }[];

  private constructor(path: string, config: SavedConfig, release: Release, keep: number) {
    this.path = path;
    this.config = config;
    this.#release = release;
    this.#keep = Math.max(2, keep);
    this.#log = new MetricLog(path, hyperparametersOf(config));
    // The first checkpoint speaks of the logs: their names must not be lost where it is kept.
    syncFolder(path);
    this.#saved = listCheckpoints(path);
  }

  /**
   * Starts a run in a new or empty folder, or in one where a run was cut before it had begun. Throws "locked" where it holds
   * anything else, "system".
   */
  static create(path: string, config: RunConfig, { keep = 3 }: RunOptions = {}): RunFolder {
    makeFolder(path);
    assertFree(path);
    return holding(path, (release) => {
      assertFree(path); // a rival may have had the lock until now
      removeTemporaries(path);
      const saved: SavedConfig = { format: 1, ...config, created: new Date().toISOString() };
      writeConfig(path, saved);
      makeFolder(join(path, checkpointsName));
      return new RunFolder(path, saved, release, keep);
    });
  }

  /**
   * Goes on with the run in `path`. Throws "locked" where another process holds it or where options or data differ (all
   * of them listed), "input" where there is no run or none of its checkpoints is whole, "system".
   */
  static resume(path: string, config: RunConfig, { keep = 3, accept }: RunOptions = {}): ResumedRun {
    const saved = readRunConfig(path);
    return holding(path, (release) => {
      const notes = compareConfigs(path, saved, config);
      const now = { ...saved, ...config };
      makeFolder(join(path, checkpointsName));
      removeTemporaries(path);
      removeTemporaries(join(path, checkpointsName));
      const checkpoint = newestWhole(path, notes);
      if (checkpoint !== undefined) accept?.(checkpoint);
      notes.push(...cutLogs(path, checkpoint ?? { logs: {} }));
      writeConfig(path, now);
      return { run: new RunFolder(path, now, release, keep), checkpoint, notes };
    });
  }

  /**
   * Saves a checkpoint, points `last` (and `best`) at it, and then removes the oldest. Returns its folder; where `name`
   * is taken, a number is added. Throws "system", and then `last` still names the checkpoint before.
   */
  save({ name, isBest, ...contents }: SaveRequest): string {
    if (!/^[a-z][\w.-]*$/i.test(name) || name.endsWith(damagedEnding)) {
      throw fault("internal", { where: "save", rule: "the checkpoint's name must name a folder", got: name });
    }
    const sequence = 1 + (this.#saved.at(-1)?.sequence ?? 0);
    const free = freeName(join(this.path, checkpointsName), name);
    const folder = join(this.path, checkpointsName, free);
    writeCheckpoint(folder, contents, { sequence, ...this.#log.sync(), config: this.config });
    // `best` first: cut between the two, the run continues from the old `last`, and meets this `best` again.
    if (isBest) linkAtomic(join(this.path, "best"), join(checkpointsName, free));
    linkAtomic(join(this.path, "last"), join(checkpointsName, free));
    this.#saved = [...this.#saved, { name: free, sequence }];
    this.#removeOldest();
    return folder;
  }

  /** Appends numbers to `metrics.jsonl` and to the event file. Throws "system". */
  log(record: MetricRecord): void {
    this.#log.append(record);
  }

  /** Removes a run that has made no checkpoint, to be called once it is closed: nothing could go on from there. */
  discard(): void {
    if (this.#saved.length > 0) return;
    try {
      removeFolderAtomic(this.path);
    } catch {
      // What made the run fail says more.
    }
  }

  /** Appends the numbers of a training step to the event file. Throws "system". */
  logStep(record: StepRecord): void {
    this.#log.appendStep(record);
  }

  /** Appends an image to the event file. Throws "system". */
  logImage(epoch: number, tag: string, image: PngImage): void {
    this.#log.appendImage(epoch, tag, image);
  }

  /** Closes the logs and gives the folder free. Throws "system". */
  close(): void {
    try {
      this.#log.close();
    } finally {
      this.#release();
    }
  }

  #removeOldest(): void {
    const linked = [linkedName(this.path, "best"), linkedName(this.path, "last")];
    const surplus = this.#saved.length - this.#keep;
    const old = this.#saved.filter(({ name }) => !linked.includes(name)).slice(0, Math.max(0, surplus));
    for (const { name } of old) removeFolderAtomic(join(this.path, checkpointsName, name));
    this.#saved = this.#saved.filter((saved) => !old.includes(saved));
  }
}

/** What of a run's options bears on what it learns. */
function hyperparametersOf({ stage, options }: RunConfig): Hyperparameters {
  const values = new Map<string, number | boolean | string>([["stage", stage]]);
  for (const [name, value] of Object.entries(options)) {
    if (value === null || value === undefined || freeOptions.includes(name)) continue;
    values.set(name, typeof value === "object" ? JSON.stringify(value) : value);
  }
  return values;
}

/** Runs `start` with the folder's lock taken, and gives the lock back where it fails. */
function holding<T>(path: string, start: (release: Release) => T): T {
  const release = takeLock(join(path, lockName));
  try {
    return start(release);
  } catch (error) {
    release();
    throw error instanceof Error && "syscall" in error ? systemFault("could not be used", path, 0, error) : error;
  }
}

/** Throws "locked" where a folder holds more than a run that was cut before it had begun: its lock, unfinished files. */
function assertFree(path: string): void {
  const isLeft = (name: string) => name === lockName || name.startsWith(temporaryPrefix);
  try {
    if (!readdirSync(path).every(isLeft)) throw occupied(path);
  } catch (error) {
    throw error instanceof PatchDropError ? error : systemFault("could not be used", path, 0, error);
  }
}

function occupied(path: string): PatchDropError {
  assertUnlocked(join(path, lockName)); // a run that is under way is the better thing to say
  const isRun = existsSync(join(path, configName));
  return fault("locked", {
    where: path,
    rule: `the folder must be new or empty; ${isRun ? "it holds a run, which is" : "what it holds is"} never overwritten`,
    next: isRun ? `continue it with --resume, or give ${elsewhere}` : `give ${elsewhere}`,
  });
}

function writeConfig(path: string, config: SavedConfig): void {
  const text = `${JSON.stringify(withChecksum(config), null, 2)}\n`;
  writeFileAtomic(join(path, configName), new TextEncoder().encode(text));
}

/**
 * The checkpoint that `last` names; where it is damaged, the newest one that is whole, with a note for each that was
 * passed over. Undefined where the run has made none.
 */
function newestWhole(path: string, notes: string[]): (Checkpoint & CheckpointRecord) | undefined {
  const last = linkedName(path, "last");
  const others = listCheckpoints(path).filter(({ name }) => name !== last);
  const names = [...(last === undefined ? [] : [last]), ...others.reverse().map(({ name }) => name)];
  const damaged = new Map<string, readonly Fault[]>();
  for (const name of names) {
    try {
      const checkpoint = readCheckpoint(join(path, checkpointsName, name));
      if (name !== last) useInstead(path, name, damaged, notes);
      return checkpoint;
    } catch (error) {
      if (!(error instanceof PatchDropError) || error.kind !== "input") throw error;
      damaged.set(name, error.faults);
    }
  }
  if (damaged.size === 0) return undefined;
  const rule = "none of the run's checkpoints is whole";
  const next = `start a new run in ${elsewhere}`;
  throw fault("input", [{ where: path, rule, next }, ...[...damaged.values()].flat()]);
}

/** Makes `used` the last checkpoint in place of the damaged ones, which are set aside, and notes each of them. */
function useInstead(path: string, used: string, damaged: ReadonlyMap<string, readonly Fault[]>, notes: string[]): void {
  const folder = join(path, checkpointsName);
  if (damaged.size === 0) notes.push(`there was no link "last"; the run continues from ${used}`);
  for (const [name, faults] of damaged) {
    const reasons = faults.map(sentence).join("; ");
    notes.push(`checkpoint ${name} is damaged: ${reasons}; the run continues from ${used}`);
    if (linkedName(path, "best") === name) {
      linkAtomic(join(path, "best"), join(checkpointsName, used));
      notes.push(`the link "best" named the damaged ${name}; it now names ${used}`);
    }
    // Set aside, so that the name is free and nobody takes the folder for whole.
    if (!existsSync(join(folder, name))) continue;
    const aside = `${name}${damagedEnding}`;
    rmSync(join(folder, aside), { recursive: true, force: true });
    renameSync(join(folder, name), join(folder, aside));
  }
  linkAtomic(join(path, "last"), join(checkpointsName, used));
}

function freeName(folder: string, name: string): string {
  let free = name;
  for (let n = 2; existsSync(join(folder, free)); n++) free = `${name}_${n}`;
  return free;
}
