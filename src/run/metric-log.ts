/**
 * A run's numbers, twice: `metrics.jsonl` (one record a line: the source for tables and curves) and a TensorBoard event
 * file. That has the same scalars, the epoch being the step, under the reference's tags, `<split>_<metric>`, and under tags
 * that TensorBoard shows in groups, `<metric>/<split>`; and what is for looking at alone: numbers of single training steps,
 * `<metric>/train_step`, hyperparameters and images.
 */

import { createHash, type Hash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import type { CheckpointRecord } from "../checkpoints/checkpoint.ts";
import { lastState } from "../checkpoints/saved-checkpoints.ts";
import { type Fault, fault } from "../errors.ts";
import { isJsonObject } from "../files/json.ts";
import { cutFile, LogFile } from "../files/log-file.ts";
import { readBytes, readBytesIfAny } from "../files/read.ts";
import {
  encodeFileVersion,
  encodeHyperparameters,
  encodeImage,
  encodeScalars,
  type PngImage,
} from "../formats/tensorboard-events.ts";
import { sha256 } from "../utils/sha256.ts";

/** The numbers of one split ("train", "val", "test") in one epoch. A number that is not finite is kept as NaN. */
export interface MetricRecord {
  readonly epoch: number;
  readonly split: string;
  readonly [metric: string]: number | string;
}

/** Of one training step, a number for each metric. */
export interface StepRecord {
  /** Steps of the run so far, this one included. */
  readonly step: number;
  readonly metrics: Readonly<Record<string, number | undefined>>;
}

/** What TensorBoard lists of a run beside its numbers. */
export type Hyperparameters = ReadonlyMap<string, number | boolean | string>;

export const metricsName = "metrics.jsonl";

/**
 * Metrics that have another name in the reference, by ours. TensorBoard's tags are the reference's, so that old and new runs
 * lie on the same curves; up to version 0.1 `metrics.jsonl` had them too.
 */
const referenceNames: ReadonlyMap<string, string> = new Map([
  ["patches_std", "variance"],
  ["distinct_masks", "unique_policies"],
  ["commonest_mask", "commonest_policy"],
]);
const namesOfReference = new Map([...referenceNames].map(([ours, theirs]) => [theirs, ours]));

const eventsPrefix = "events.out.tfevents.";

/** What a checkpoint says of the logs: how long they were, and what they held. */
type LogRecord = Pick<CheckpointRecord, "logs" | "logHashes">;

/** A log with the hash of what it holds, kept as it grows: what else happens to the file shows by it. */
class HashedLog extends LogFile {
  readonly #hash: Hash;

  constructor(path: string) {
    super(path);
    this.#hash = createHash("sha256").update(readBytes(path));
  }

  override append(bytes: Uint8Array): void {
    super.append(bytes);
    this.#hash.update(bytes);
  }

  get sha256(): string {
    return this.#hash.copy().digest("hex");
  }
}

/** The two logs of a run folder, open for appending. */
export class MetricLog {
  readonly #metrics: HashedLog;
  readonly #events: HashedLog;
  readonly #eventsName: string;

  /** Continues the logs that `folder` has, or starts them, the event file with the hyperparameters. Throws "system". */
  constructor(folder: string, hyperparameters: Hyperparameters = new Map()) {
    const events = readdirSync(folder).filter((name) => name.startsWith(eventsPrefix));
    const host = hostname().replace(/[^\w.-]/g, "_");
    this.#eventsName = events.sort().at(-1) ?? `${eventsPrefix}${Math.floor(Date.now() / 1000)}.${host}`;
    this.#metrics = new HashedLog(join(folder, metricsName));
    this.#events = new HashedLog(join(folder, this.#eventsName));
    if (this.#events.length > 0) return;
    this.#events.append(encodeFileVersion(now()));
    if (hyperparameters.size > 0) this.#events.append(encodeHyperparameters(now(), hyperparameters));
  }

  /** Appends a record to both logs; the line also gets `time`, in seconds since 1970. Throws "system". */
  append(record: MetricRecord): void {
    const time = now();
    this.#metrics.append(new TextEncoder().encode(`${JSON.stringify({ ...record, time })}\n`));
    const scalars = new Map<string, number>();
    for (const [metric, value] of Object.entries(record)) {
      if (metric === "epoch" || typeof value !== "number") continue;
      scalars.set(`${record.split}_${referenceNames.get(metric) ?? metric}`, value);
      scalars.set(`${metric}/${record.split}`, value);
    }
    this.#events.append(encodeScalars(time, record.epoch, scalars));
  }

  /** Appends the numbers of a training step to the event file. Throws "system". */
  appendStep({ step, metrics }: StepRecord): void {
    const known = Object.entries(metrics).flatMap(([metric, value]) =>
      value === undefined ? [] : [[`${metric}/train_step`, value] as const],
    );
    this.#events.append(encodeScalars(now(), step, new Map(known)));
  }

  /** Appends an image of an epoch to the event file. Throws "system". */
  appendImage(epoch: number, tag: string, image: PngImage): void {
    this.#events.append(encodeImage(now(), epoch, tag, image));
  }

  /** Forces the logs to the disk and returns what a checkpoint is to say of them. Throws "system". */
  sync(): Required<LogRecord> {
    this.#metrics.sync();
    this.#events.sync();
    return {
      logs: { [metricsName]: this.#metrics.length, [this.#eventsName]: this.#events.length },
      logHashes: { [metricsName]: this.#metrics.sha256, [this.#eventsName]: this.#events.sha256 },
    };
  }

  close(): void {
    this.#metrics.close();
    this.#events.close();
  }
}

/** In seconds since 1970. */
function now(): number {
  return Date.now() / 1000;
}

/**
 * Cuts the logs of `folder` back to the recorded lengths (0 where a log has none), so that a resumed run repeats no line.
 * Returns a note for each log that is shorter than it was. Throws "input", and then cuts nothing, where one holds something
 * else than it did; "system".
 */
export function cutLogs(folder: string, record: LogRecord): string[] {
  const faults = Object.keys(record.logs).flatMap((name) =>
    changeOf(folder, name, readBytesIfAny(join(folder, name)), record),
  );
  if (faults.length > 0) throw fault("input", faults);
  const lengths = new Map(Object.entries(record.logs));
  const notes: string[] = [];
  const present = readdirSync(folder).filter((name) => name === metricsName || name.startsWith(eventsPrefix));
  for (const name of new Set([...present, ...lengths.keys()])) {
    const length = lengths.get(name) ?? 0;
    const path = join(folder, name);
    const whole = existsSync(path) ? cutFile(path, length) : length === 0;
    if (!whole) notes.push(`${path}: shorter than at the last checkpoint; some of its lines are lost`);
  }
  return notes;
}

/** The fault of a log that is as long as it was when a checkpoint was made, and does not begin as it did. */
function changeOf(
  folder: string,
  name: string,
  bytes: Uint8Array | undefined,
  { logs, logHashes = {} }: LogRecord,
): Fault[] {
  const length = logs[name];
  const { [name]: wanted } = logHashes;
  if (wanted === undefined || bytes === undefined || bytes.length < length) return [];
  const got = sha256(bytes.subarray(0, length));
  if (got === wanted) return [];
  const rule = `the first ${length} bytes must have the SHA-256 that they had at the last checkpoint, ${wanted}`;
  return [{ where: join(folder, name), rule, got, next: restoreOrRemove }];
}

const restoreOrRemove = "restore it from a copy, or remove it to go on without it";

/**
 * Reads a run folder's metrics in the order in which they were logged. A last line without its end (a run that was cut
 * while it wrote) is left out, and metrics of an older version get their names of today. Throws "input" for a folder
 * without metrics, for metrics that have changed or become fewer since the last checkpoint and, by line number, for a line
 * that is no record.
 */
export function readMetrics(folder: string): MetricRecord[] {
  const records = readMetricsIfAny(folder);
  if (records !== undefined) return records;
  const next = "give the --cv_dir of a training";
  throw fault("input", { where: join(folder, metricsName), rule: "does not exist", next });
}

/** The same; undefined where there is no such file. */
export function readMetricsIfAny(folder: string): MetricRecord[] | undefined {
  const path = join(folder, metricsName);
  // Before the log, which a training that is under way makes longer, and only then says so.
  const record: LogRecord = lastState(folder) ?? { logs: {} };
  const bytes = readBytesIfAny(path);
  if (bytes === undefined) return undefined;
  const { [metricsName]: length = 0 } = record.logs;
  if (bytes.length < length) {
    const rule = `must have the ${length} bytes that it had at the last checkpoint`;
    throw fault("input", { where: path, rule, got: bytes.length, next: restoreOrRemove });
  }
  const changes = changeOf(folder, metricsName, bytes, record);
  if (changes.length > 0) throw fault("input", changes);
  const lines = bytes.toString().split("\n").slice(0, -1);
  return lines.map((line, i) => parseRecord(line, `${path}:${i + 1}`));
}

function parseRecord(line: string, where: string): MetricRecord {
  const bad = (rule: string, got: unknown) => fault("input", { where, rule, got });
  let record: unknown;
  try {
    record = JSON.parse(line, (_, value) => (value === null ? Number.NaN : value));
  } catch {
    throw bad("must be a JSON object", line);
  }
  if (!isJsonObject(record)) throw bad("must be a JSON object", line);
  const { epoch, split } = record;
  if (!Number.isSafeInteger(epoch)) throw bad("epoch must be a whole number", epoch);
  if (typeof split !== "string") throw bad("split must be text", split);
  for (const [name, value] of Object.entries(record)) {
    if (typeof value !== "number" && typeof value !== "string") throw bad(`${name} must be a number`, value);
  }
  const named = Object.entries(record).map(([name, value]) => [namesOfReference.get(name) ?? name, value]);
  return Object.fromEntries(named) as MetricRecord;
}
