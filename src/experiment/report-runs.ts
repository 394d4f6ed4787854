/** `patchdrop report`: evaluates runs, alike and one after the other, and writes one page of all of them. */
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { checkpointsName, configName } from "../checkpoints/saved-checkpoints.ts";
import { readCompute } from "../compute/stored-compute.ts";
import { evaluateRun } from "../evaluation/evaluate-run.ts";
import { type RunEvaluation, splitWords } from "../evaluation/evaluation.ts";
import { checkComposite } from "../evaluation/show-images.ts";
import { assertWritable, writeFileAtomic } from "../files/atomic.ts";
import { refuseChoice } from "../options/choice-options.ts";
import { evalSchema } from "../options/eval-options.ts";
import { parseWith } from "../options/parse.ts";
import type { ReportOptions } from "../options/report-options.ts";
import { renderPage } from "../report/page.ts";
import { percent } from "../report/table.ts";
import type { RunTimes } from "../utils/profile.ts";
import type { Reporter } from "../utils/reporter.ts";
import { resultsName } from "./experiment-schema.ts";
import { curvesOf, type EvaluatedRun, gatherPage, timesOf } from "./gather.ts";
import { isLowBeside } from "./stage-evaluation.ts";
import { beganAt } from "./stage-run.ts";

interface OpenedCheckpoint {
  readonly path: string;
  readonly checkpoint: Checkpoint;
}

export interface Report {
  /** The written file. */
  readonly page: string;
  /** By the runs' names on the page. */
  readonly evaluations: Readonly<Record<string, RunEvaluation>>;
  /** The same, of runs whose time was measured. */
  readonly profiles: Readonly<Record<string, RunTimes>>;
}

/**
 * @param paths run folders, checkpoints, and folders of `patchdrop run`, for the runs below them
 * @throws what evaluateRun throws; system: a page that cannot be written; Stopped
 */
export async function reportRuns(
  paths: readonly string[],
  options: ReportOptions,
  command: string,
  reporter: Reporter,
): Promise<Report> {
  const { out, title, composite, ...shared } = options;
  assertWritable(out);
  // However often and by which path a run is named, it is one.
  const found = named([...new Map(paths.flatMap(runsAt).map((path) => [resolve(path), path])).values()]);
  const opened = found.map((run) => ({ ...run, checkpoint: openCheckpoint(run.path) }));
  if (opened.every(({ checkpoint }) => !checkpoint.networks.has("agent"))) {
    refuseChoice(options, opened.map(({ name }) => name).join(", "), ["ckpt_lr_cl"]);
  }
  // What cannot be shown is refused now and not after the evaluations.
  for (const { checkpoint } of opened) checkComposite(checkpoint, composite);
  // So are logs that have changed, and what was measured and is damaged.
  const curves = opened.flatMap(({ name, checkpoint }) => curvesOf(name, checkpoint.path, reporter.note));
  if (options.sweep) for (const { checkpoint } of opened) readCompute(checkpoint.path);
  const times = opened.flatMap(({ name, checkpoint }) => timesOf(name, dirname(dirname(checkpoint.path))));
  const checked = opened.map(({ name, path, checkpoint }) => {
    return { name, options: evalOptions(path, checkpoint, shared, opened) };
  });
  const runs: EvaluatedRun[] = [];
  for (const run of checked) {
    reporter.note(`${run.name}: evaluation`);
    runs.push({ ...run, evaluation: await evaluateRun(run.options, reporter, { details: true }) });
  }
  const page = await gatherPage(
    runs,
    {
      title,
      summary: summaryOf(runs),
      command,
      curves,
      times,
    },
    () => ({ composite }),
    reporter,
  );
  writeFileAtomic(out, Buffer.from(await renderPage(page)));
  const evaluations = Object.fromEntries(runs.map(({ name, evaluation }) => [name, evaluation]));
  return { page: out, evaluations, profiles: Object.fromEntries(times.map(({ name, times }) => [name, times])) };
}

/** The runs below a folder that is no run itself, as `patchdrop run` leaves them, in the order in which they began. */
function runsAt(path: string): string[] {
  if (!existsSync(path) || existsSync(join(path, configName))) return [path];
  const below = existsSync(join(path, resultsName)) ? readdirSync(path).map((name) => join(path, name)) : [];
  const runs = below.filter((folder) => existsSync(join(folder, configName)));
  return runs.length === 0 ? [path] : runs.sort((a, b) => beganAt(a).localeCompare(beganAt(b)));
}

/** Each run under its folder's name, or under as much more of its path as no other run has. */
function named(paths: readonly string[]): { name: string; path: string }[] {
  const parts = paths.map((path) => {
    const whole = resolve(path).split(sep);
    return whole.filter((part, i) => part !== checkpointsName || i !== whole.length - 2);
  });
  const ending = (i: number, length: number) => parts[i].slice(-length).join("/");
  return paths.map((path, i) => {
    let length = 1;
    const isTaken = () => parts.some((_, j) => j !== i && ending(j, length) === ending(i, length));
    while (length < parts[i].length && isTaken()) length += 1;
    return { path, name: ending(i, length) };
  });
}

/** The report's options as those of a run's evaluation. */
function evalOptions(
  load: string,
  checkpoint: Checkpoint,
  { sweep, policy, budget, threshold, ckpt_lr_cl, ...shared }: Omit<ReportOptions, "out" | "title" | "composite">,
  runs: readonly OpenedCheckpoint[],
) {
  if (!checkpoint.networks.has("agent")) return parseWith(evalSchema, { load, ...shared }, "report");
  const low = ckpt_lr_cl ?? lowClassifier(checkpoint, runs);
  const chosen = { sweep, policy, budget, threshold, ckpt_lr_cl: low };
  return parseWith(evalSchema, { load, ...shared, ...chosen }, "report");
}

/** The low-resolution classifier that a policy is compared with: one of the runs, or the one that its run had. */
function lowClassifier({ config }: Checkpoint, runs: readonly OpenedCheckpoint[]): string | undefined {
  const among = runs.find(({ checkpoint }) => isLowBeside(checkpoint.config, config));
  const { ckpt_lr_cl: own } = config.options;
  return among?.path ?? (typeof own === "string" && existsSync(own) ? own : undefined);
}

/**
 * What was found, in one sentence about the most accurate policy (of those that are equal to a tenth of a percent, the
 * one with the fewest patches), or about the first classifier where there is none.
 */
export function summaryOf(runs: readonly EvaluatedRun[]): string {
  const policies = runs.filter(({ evaluation }) => evaluation.patchUse !== undefined);
  const policyRow = ({ evaluation }: EvaluatedRun) => evaluation.rows[0];
  const shownAccuracy = (run: EvaluatedRun) => Number(percent(policyRow(run).accuracy));
  const order = policies.toSorted(
    (a, b) => shownAccuracy(b) - shownAccuracy(a) || policyRow(a).patches - policyRow(b).patches,
  );
  const { name, evaluation } = order[0] ?? runs[0];
  const { dataset, split, images, rows, patchUse } = evaluation;
  const all = `the ${images.toLocaleString("en")} ${splitWords[split]} images of ${dataset}`;
  const which = policies.length > 1 ? `The most accurate of ${policies.length} policies, ${name},` : name;
  const found = `${which} recognizes ${percent(rows[0].accuracy)} % of ${all}`;
  if (patchUse === undefined) return `${found}.`;
  const whole = rows.find((row) => row.name === "all patches")?.accuracy ?? Number.NaN;
  const read = `reads ${rows[0].patches.toFixed(2)} of the ${patchUse.length} patches of each`;
  return `${found} and ${read}; with all ${patchUse.length} it recognizes ${percent(whole)} %.`;
}
