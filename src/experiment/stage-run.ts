/** What an experiment finds in the run folders of its stages: which have trained to their end, and whether from what is there now. */
import { existsSync } from "node:fs";
import path from "node:path";
import { readState } from "../checkpoints/checkpoint.ts";
import { compareConfigs } from "../checkpoints/compare-configs.ts";
import { namesCheckpoint } from "../checkpoints/run-config.ts";
import { configName, readRunConfig } from "../checkpoints/saved-checkpoints.ts";
import { type Fault, fault } from "../errors.ts";
import { toJson } from "../files/json.ts";
import { isThere } from "../files/read.ts";
import { foundOptionNames, type StageOptions, withModelDefaults } from "../options/stage-options.ts";
import { readMetricsIfAny } from "../run/metric-log.ts";
import { isOver } from "../training/epochs.ts";
import { optionFaults } from "../training/option-faults.ts";
import type { ExperimentStage } from "./experiment-file.ts";

/** Whether a stage's training was begun, so that it can be resumed. */
export function isBegun({ cv_dir }: StageOptions): boolean {
  return isThere(path.join(cv_dir, configName));
}

/** Whether a stage has trained to its end. @throws kind "locked" when it did so with other options, or went on longer. */
export function isDone({ stage, options }: ExperimentStage): boolean {
  const last = path.join(options.cv_dir, "last");
  if (!isThere(last)) return false;
  const { progress, config } = readState(last);
  const { epoch, sinceBest = 0 } = progress;
  if (!isOver({ epoch: Number(epoch), sinceBest: Number(sinceBest) }, options)) return false;
  const own = Object.fromEntries(foundOptionNames.map((name) => [name, config.options[name]]));
  const resolved = withModelDefaults(stage, { ...own, ...toJson(options) } as StageOptions);
  compareConfigs(options.cv_dir, config, { ...config, stage, options: toJson(resolved) });
  if (Number(epoch) <= options.max_epochs) return true;
  const next = "give the old max_epochs, or another --out";
  throw fault("locked", {
    where: options.cv_dir,
    rule: `must have trained ${options.max_epochs} epochs at most`,
    got: epoch,
    next,
  });
}

/** Seconds that the run in a folder trained in all, over all its sessions. */
export function secondsOf(run: string): number {
  return Number(readState(path.join(run, "last")).progress.seconds ?? 0);
}

/**
 * Refuses stages that began before a stage that they start from was done: they learned from a checkpoint that is no longer
 * there.
 * @throws kind "locked" with all such stages
 */
export function assertInOrder(stages: readonly ExperimentStage[]): void {
  const outdated = new Map<ExperimentStage, Fault>();
  for (const stage of stages.filter(({ options }) => isBegun(options))) {
    const changed = startsFrom(stage, stages).find((from) => outdated.has(from) || !isOlder(from, stage));
    if (changed === undefined) continue;
    outdated.set(stage, {
      where: stage.options.cv_dir,
      rule: `must have begun after ${changed.name}, which it starts from, was trained to epoch ${changed.options.max_epochs}`,
      next: "remove this folder to train the stage again, or give another --out",
    });
  }
  if (outdated.size > 0) throw fault("locked", [...outdated.values()]);
}

/**
 * Refuses stages that are not done where the folder of their data is not there, nor will be: better now than after hours.
 * @throws kind "input" with all such folders
 */
export function assertData(stages: readonly ExperimentStage[]): void {
  const missing = new Set<string>();
  for (const [i, stage] of stages.entries()) {
    const { data_dir } = stage.options;
    const isFetched = stages.slice(0, i + 1).some(({ options }) => options.download && options.data_dir === data_dir);
    if (data_dir !== undefined && !isFetched && !existsSync(data_dir) && !isDone(stage)) missing.add(data_dir);
  }
  const rule = { rule: "must be a folder that can be read", got: "no such folder", next: "check data_dir" };
  if (missing.size > 0) {
    throw fault(
      "input",
      [...missing].map((where) => ({ where, ...rule })),
    );
  }
}

/**
 * Refuses options of stages that are not done, before the first one trains.
 * @throws kind "usage" with all of them
 */
export async function assertOptions(stages: readonly ExperimentStage[]): Promise<void> {
  const faults: Fault[] = [];
  for (const { name, options } of stages.filter((stage) => !isDone(stage))) {
    const own = await optionFaults(options);
    faults.push(...own.map((one) => ({ ...one, where: `stages.${name}: ${one.where}` })));
  }
  if (faults.length > 0) throw fault("usage", faults);
}

/** The stages whose checkpoints a stage is given. */
function startsFrom({ options }: ExperimentStage, stages: readonly ExperimentStage[]): ExperimentStage[] {
  const given = Object.entries(options).flatMap(([key, value]) => (namesCheckpoint(key) ? [value] : []));
  return stages.filter((other) => given.includes(other.options.cv_dir));
}

/** Whether a stage is done, and its checkpoint was made before another began. */
function isOlder(from: ExperimentStage, later: ExperimentStage): boolean {
  if (!isDone(from)) return false;
  const made = bestMadeAt(from.options);
  return made === undefined || 1000 * made <= Date.parse(beganAt(later.options.cv_dir));
}

/** When the run in a folder began: ISO 8601, UTC. @throws input: a damaged configuration */
export function beganAt(run: string): string {
  return readRunConfig(run).created;
}

/** When the checkpoint that a run folder stands for was tested, in seconds since 1970; undefined where no log says it. */
function bestMadeAt({ cv_dir }: StageOptions): number | undefined {
  const { progress } = readState(path.join(cv_dir, isThere(path.join(cv_dir, "best")) ? "best" : "last"));
  const tests = (readMetricsIfAny(cv_dir) ?? []).filter(
    ({ split, epoch }) => split !== "train" && epoch === progress.epoch,
  );
  const time = tests.at(-1)?.time;
  return typeof time === "number" ? time : undefined;
}
