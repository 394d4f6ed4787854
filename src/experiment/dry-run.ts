/** What `patchdrop run` would do, without doing it: which stages, how many steps, how much disk, about how long. */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { readState } from "../checkpoints/checkpoint.ts";
import { isThere } from "../files/read.ts";
import type { StageName } from "../options/stage-options.ts";
import { nearestExisting } from "../utils/make-missing.ts";
import type { Reporter } from "../utils/reporter.ts";
import type { Experiment, ExperimentStage } from "./experiment-file.ts";
import { type Rehearsed, rehearse } from "./rehearse.ts";
import { assertRunnable } from "./run-experiment.ts";
import { isBegun, isDone } from "./stage-run.ts";

/** A stage of the plan, and what is still to be done of it. */
export interface PlannedStage {
  readonly run: string;
  readonly stage: StageName;
  readonly state: "done" | "goes on" | "starts";
  readonly epochs: number;
  /** Nothing where it is done; a text says why it could not be measured. */
  readonly rehearsed?: Rehearsed | string | undefined;
  /** Epochs that are left, with a part of one. */
  readonly left: number;
}

/** A run keeps three checkpoints and the best, beside one that is being written. */
const checkpointsAtMost = 5;

/**
 * Plans experiments that have the same stages, one for each seed. A stage is timed once, in a temporary folder, which is then
 * removed.
 * @throws what runExperiment throws before it trains; what a stage throws at its start; Stopped
 */
export async function planRuns(
  runs: readonly { readonly experiment: Experiment; readonly folder: string }[],
  reporter: Reporter,
): Promise<PlannedStage[]> {
  for (const { experiment, folder } of runs) await assertRunnable(experiment, folder);
  const temporary = mkdtempSync(path.join(tmpdir(), "patchdrop-dry-run-"));
  const known = new Map<string, Rehearsed | string>();
  try {
    const plan: PlannedStage[] = [];
    for (const { experiment } of runs) {
      const pending = experiment.stages.filter((stage) => !isDone(stage));
      for (const stage of experiment.stages) {
        if (pending.includes(stage) && !known.has(stage.name)) {
          reporter.note(`${stage.name}: timing some steps`);
          known.set(stage.name, await rehearse(stage, temporary, pending, reporter));
        }
        plan.push(plannedStage(stage, pending.includes(stage) ? known.get(stage.name) : undefined));
      }
    }
    return plan;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function plannedStage(stage: ExperimentStage, rehearsed: PlannedStage["rehearsed"]): PlannedStage {
  const { cv_dir: run, max_epochs: epochs } = stage.options;
  const shared = { run, stage: stage.stage, epochs, rehearsed };
  if (rehearsed === undefined) return { ...shared, state: "done", left: 0 };
  const last = path.join(run, "last");
  if (!isThere(last)) return { ...shared, state: isBegun(stage.options) ? "goes on" : "starts", left: epochs };
  const { epoch, step = 0 } = readState(last).progress;
  const part = typeof rehearsed === "string" ? 0 : Number(step) / rehearsed.stepsPerEpoch;
  return { ...shared, state: "goes on", left: epochs - Number(epoch) - part };
}

/** The plan in lines, and what it comes to. */
export function planText(plan: readonly PlannedStage[], folder: string): string {
  const width = Math.max(...plan.map(({ run }) => run.length));
  const kind = Math.max(...plan.map(({ stage }) => stage.length));
  const lines = plan.map((one) => `${one.run.padEnd(width)}  ${one.stage.padEnd(kind)}  ${stageText(one)}`);
  return [...lines, "", totalText(plan, folder)].join("\n");
}

function stageText({ state, epochs, left, rehearsed }: PlannedStage): string {
  if (rehearsed === undefined) return "done";
  const begun = state === "goes on" ? "goes on: " : "";
  if (typeof rehearsed === "string") return `${begun}${counted(epochs, "epoch")}, not measured: ${rehearsed}`;
  const { stepsPerEpoch, secondsPerStep, bytes } = rehearsed;
  const steps = Math.round(left * stepsPerEpoch);
  const all = `${begun}${counted(epochs, "epoch")} of ${counted(stepsPerEpoch, "step")}, ${counted(steps, "step")} to do`;
  return `${all}, about ${duration(steps * secondsPerStep)}, up to ${size(checkpointsAtMost * bytes)}`;
}

function totalText(plan: readonly PlannedStage[], folder: string): string {
  const measured = plan.flatMap(({ left, rehearsed }) => (typeof rehearsed === "object" ? { left, ...rehearsed } : []));
  const sum = (of: (one: (typeof measured)[number]) => number) => measured.reduce((total, one) => total + of(one), 0);
  const steps = sum(({ left, stepsPerEpoch }) => Math.round(left * stepsPerEpoch));
  const seconds = sum(({ left, stepsPerEpoch, secondsPerStep }) => left * stepsPerEpoch * secondsPerStep);
  const bytes = checkpointsAtMost * sum((one) => one.bytes);
  const { bavail, bsize } = statfsSync(nearestExisting(folder));
  return [
    `in all ${steps} steps, about ${duration(seconds)}, without tests after epochs and the evaluation at the end`,
    `disk: up to ${size(bytes)} of ${size(bavail * bsize)} that are free`,
  ].join("\n");
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

/** "40 s", "12 min", "3.5 h" */
function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/** "12 MB", "3.4 GB" */
function size(bytes: number): string {
  return bytes < 1e9 ? `${Math.ceil(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}
