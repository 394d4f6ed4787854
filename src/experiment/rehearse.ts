/** A few steps of a stage, timed, in a folder that is thrown away: what a dry run knows of a training. */
import { existsSync, lstatSync, readdirSync, realpathSync } from "node:fs";
import path from "node:path";
import { compareConfigs } from "../checkpoints/compare-configs.ts";
import { namesCheckpoint } from "../checkpoints/run-config.ts";
import { readRunConfig } from "../checkpoints/saved-checkpoints.ts";
import { PatchDropError } from "../errors.ts";
import { toJson } from "../files/json.ts";
import { parseOptions } from "../options/stage-options.ts";
import { train } from "../training/train.ts";
import { breathe, type Reporter } from "../utils/reporter.ts";
import type { ExperimentStage } from "./experiment-file.ts";
import { isBegun } from "./stage-run.ts";

/** What was measured of a stage. */
export interface Rehearsed {
  readonly stepsPerEpoch: number;
  readonly secondsPerStep: number;
  /** Of one checkpoint. */
  readonly bytes: number;
}

/**
 * Trains a stage for a few steps under `folder`, with the checkpoints of `pending` stages that were rehearsed there before in the place
 * of those that are not made yet. Nothing is fetched. Returns why it could not be done where data are still to be fetched.
 * @throws what train throws; locked: a run that was begun with other options; Stopped
 */
export async function rehearse(
  { name, stage, options }: ExperimentStage,
  folder: string,
  pending: readonly ExperimentStage[],
  reporter: Reporter,
): Promise<Rehearsed | string> {
  const cv_dir = path.join(folder, name);
  const stand = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(stand);
    const from = pending.find((one) => one.options.cv_dir === value);
    return from === undefined ? value : path.join(folder, from.name);
  };
  const given = Object.entries(toJson(options)).map(([key, value]) => [
    key,
    namesCheckpoint(key) ? stand(value) : value,
  ]);
  const own = { cv_dir, resume: false, download: false, pretrained: undefined, profile: false };
  const known = Object.fromEntries(Object.entries(own).filter(([key]) => key in options || key === "cv_dir"));
  const clock = stepClock(reporter);
  try {
    await train(stage, parseOptions(stage, { ...Object.fromEntries(given), ...known }), { reporter: clock.reporter });
  } catch (error) {
    if (error instanceof PatchDropError && options.download) return "the data are to be fetched first";
    throw error;
  }
  await breathe(reporter);
  const config = readRunConfig(cv_dir);
  if (isBegun(options)) {
    const { pretrained } = { pretrained: undefined, ...options };
    const same = { ...config, options: toJson({ ...config.options, pretrained }) };
    compareConfigs(options.cv_dir, readRunConfig(options.cv_dir), same);
  }
  return { ...clock.measured(Number(config.options.batch_size)), bytes: sizeOf(path.join(cv_dir, "last")) };
}

/** So many steps are timed, behind a first one that warms up; slow ones for so long at most. */
const timedSteps = 10;
const longEnoughMs = 30_000;

/** A reporter that times the steps of the first epoch and asks for a stop when it has seen enough of them. */
function stepClock(reporter: Reporter) {
  const looks: { done: number; at: number }[] = [];
  let [images, isOver] = [0, false];
  const isEnough = () => {
    const [, first, ...later] = looks;
    if (later.length === 0) return false;
    return later.length >= timedSteps || performance.now() - first.at > longEnoughMs;
  };
  const look = (done: number) => {
    if (done !== looks.at(-1)?.done) looks.push({ done, at: performance.now() });
  };
  const timing: Reporter = {
    note: () => undefined,
    stopping: () => reporter.stopping() ?? (isOver || isEnough() ? "SIGTERM" : undefined),
    progress(_label, total) {
      const isFirst = looks.length === 0;
      if (isFirst) images = total;
      if (isFirst) look(0);
      return { update: (done) => isFirst && look(done), stop: () => (isOver = true) };
    },
  };
  const measured = (batch: number) => {
    const [first, last] = [looks[looks.length > 2 ? 1 : 0], looks[looks.length - 1]];
    const size = Math.min(batch, images);
    const secondsPerStep = ((last.at - first.at) / 1000 / (last.done - first.done)) * size;
    return { stepsPerEpoch: Math.ceil(images / size), secondsPerStep };
  };
  return { reporter: timing, measured };
}

function sizeOf(folder: string): number {
  if (!existsSync(folder)) return 0;
  const files = readdirSync(realpathSync(folder), { recursive: true, encoding: "utf8" });
  return files.reduce((sum, file) => sum + lstatSync(path.join(folder, file)).size, 0);
}
