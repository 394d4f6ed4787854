/** Runs an experiment: its stages in order, what is done already left as it is, then the evaluation and the page. */
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { writeFileAtomic } from "../run/atomic.ts";
import { readState } from "../run/checkpoint.ts";
import { openCheckpoint } from "../run/open-checkpoint.ts";
import type { StageOptions } from "../run/options.ts";
import type { Reporter } from "../stages/epochs.ts";
import { type EvaluationRow, evaluateRun, type RunEvaluation } from "../stages/evaluate-run.ts";
import { train } from "../stages/train.ts";
import type { Experiment, ExperimentStage } from "./config.ts";
import { evalOptions } from "./eval-options.ts";
import { writePage } from "./page.ts";

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
  for (const stage of experiment.stages) {
    if (isDone(stage)) {
      reporter.note(`${stage.name}: done already, in ${stage.options.cv_dir}`);
      continue;
    }
    reporter.note(`${stage.name}: ${stage.stage}`);
    const { stopped } = await train(
      stage.stage,
      { ...stage.options, resume: hasCheckpoint(stage.options) } as StageOptions,
      reporter,
    );
    if (stopped !== undefined) return { rows: [], evaluations: {}, seconds: {}, page: "", stopped };
  }
  const evaluations: Record<string, RunEvaluation> = {};
  for (const stage of experiment.stages) {
    reporter.note(`${stage.name}: evaluation`);
    evaluations[stage.name] = await evaluateRun(evalOptions(stage, experiment), reporter.note);
  }
  const rows = tableOf(evaluations);
  const seconds = Object.fromEntries(experiment.stages.map(({ name, options }) => [name, secondsOf(options)]));
  const results = { command, rows, evaluations, seconds, written: new Date().toISOString() };
  writeFileAtomic(path.join(folder, "results.json"), Buffer.from(`${JSON.stringify(results, null, 2)}\n`));
  const page = await writePage(experiment, { rows, evaluations }, folder, command);
  return { rows, evaluations, seconds, page };
}

function hasCheckpoint({ cv_dir }: StageOptions): boolean {
  return existsSync(path.join(cv_dir, "config.json"));
}

function isDone({ options }: ExperimentStage): boolean {
  const last = path.join(options.cv_dir, "last");
  return existsSync(last) && Number(readState(last).progress.epoch) >= options.max_epochs;
}

function secondsOf({ cv_dir }: StageOptions): number {
  return Number(openCheckpoint(path.join(cv_dir, "last")).progress.seconds ?? 0);
}

/** Classifiers once, policies with their name, and each policy's baselines behind it. */
function tableOf(evaluations: Record<string, RunEvaluation>): EvaluationRow[] {
  return Object.entries(evaluations).flatMap(([name, { stage, rows }]) => {
    if (stage === "classifier_training") return rows;
    const compared = rows.filter((row) => row.name !== "LR classifier, no patches");
    return compared.map((row) => ({
      ...row,
      name: row.kind === "policy" ? `${name}: policy` : `${name}: ${row.name}`,
    }));
  });
}
