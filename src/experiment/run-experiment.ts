/** Runs an experiment: its stages in order, what is done already left as it is, then the evaluation and the page. */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { readState } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { compareConfigs } from "../checkpoints/run-config.ts";
import { evaluateRun } from "../evaluation/evaluate-run.ts";
import type { EvaluationRow, RunEvaluation } from "../evaluation/evaluation.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { toJson } from "../files/json.ts";
import { modelOptionNames, type StageOptions, withModelDefaults } from "../options/stage-options.ts";
import { train } from "../training/train.ts";
import { type Reporter, Stopped } from "../utils/reporter.ts";
import type { Experiment, ExperimentStage } from "./experiment-file.ts";
import { shownStage, writePage } from "./experiment-page.ts";
import { type EvaluatedRun, tableOf } from "./gather.ts";
import { evalOptions } from "./stage-evaluation.ts";

export interface ExperimentResult {
  /** One table over all stages, in their order, the baselines of each policy behind it. */
  rows: EvaluationRow[];
  evaluations: Record<string, RunEvaluation>;
  /** Seconds that each stage trained in all, over all its sessions. */
  seconds: Record<string, number>;
  /** The written page. */
  page: string;
  stopped?: NodeJS.Signals;
}

/** Files go under `folder`: a run folder a stage, results.json, index.html. */
export async function runExperiment(
  experiment: Experiment,
  folder: string,
  command: string,
  reporter: Reporter,
): Promise<ExperimentResult> {
  mkdirSync(folder, { recursive: true });
  const resultsFile = path.join(folder, "results.json");
  const allDone = experiment.stages.every(isDone);
  for (const stage of experiment.stages) {
    if (isDone(stage)) {
      reporter.note(`${stage.name}: done already, in ${stage.options.cv_dir}`);
      continue;
    }
    reporter.note(`${stage.name}: ${stage.stage}`);
    const { stopped } = await train(
      stage.stage,
      { ...stage.options, resume: hasCheckpoint(stage.options) } as StageOptions,
      { reporter },
    );
    if (stopped !== undefined) return { ...unfinished, stopped };
  }
  if (allDone && existsSync(resultsFile)) {
    const known = JSON.parse(readFileSync(resultsFile, "utf8")) as Omit<ExperimentResult, "page">;
    return { ...known, page: path.join(folder, "index.html") };
  }
  const runs: EvaluatedRun[] = [];
  for (const stage of experiment.stages) {
    reporter.note(`${stage.name}: evaluation`);
    try {
      const options = { ...evalOptions(stage, experiment), sweep: stage.name === shownStage(experiment) };
      runs.push({ name: stage.name, options, evaluation: await evaluateRun(options, reporter, { details: true }) });
    } catch (error) {
      if (!(error instanceof Stopped)) throw error;
      return { ...unfinished, stopped: error.signal };
    }
  }
  const evaluations = Object.fromEntries(runs.map(({ name, evaluation }) => [name, evaluation]));
  const rows = tableOf(runs);
  const seconds = Object.fromEntries(experiment.stages.map(({ name, options }) => [name, secondsOf(options)]));
  // The page first: results.json says that all is there.
  const page = await writePage(experiment, runs, folder, command, reporter);
  const results = { command, rows, evaluations, seconds, written: new Date().toISOString() };
  writeFileAtomic(resultsFile, Buffer.from(`${JSON.stringify(results, null, 2)}\n`));
  return { rows, evaluations, seconds, page };
}

const unfinished = { rows: [], evaluations: {}, seconds: {}, page: "" };

function hasCheckpoint({ cv_dir }: StageOptions): boolean {
  return existsSync(path.join(cv_dir, "config.json"));
}

/** Whether a stage has trained to its end. @throws kind "locked" when it did so with other options than the file's. */
function isDone({ stage, options }: ExperimentStage): boolean {
  const last = path.join(options.cv_dir, "last");
  if (!existsSync(last)) return false;
  const { progress, config } = readState(last);
  if (Number(progress.epoch) < options.max_epochs) return false;
  const own = Object.fromEntries(modelOptionNames.map((name) => [name, config.options[name]]));
  const resolved = withModelDefaults(stage, { ...own, ...toJson(options) } as StageOptions);
  compareConfigs(options.cv_dir, config, { ...config, stage, options: toJson(resolved) });
  return true;
}

function secondsOf({ cv_dir }: StageOptions): number {
  return Number(openCheckpoint(path.join(cv_dir, "last")).progress.seconds ?? 0);
}
