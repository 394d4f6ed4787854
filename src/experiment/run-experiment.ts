/** Runs an experiment: its stages in order, except those that are already done, then the evaluation and the page. */
import path from "node:path";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { alone, ofFirst, type ProcessGroup } from "../distributed/process-group.ts";
import { evaluateRun } from "../evaluation/evaluate-run.ts";
import type { EvaluationRow, RunEvaluation } from "../evaluation/evaluation.ts";
import { renderPage } from "../report/page.ts";
import { type NamedTimes, timeText } from "../report/time-table.ts";
import { train } from "../training/train.ts";
import { loose, type Reporter, Stopped, type StopSignal, silentReporter } from "../utils/reporter.ts";
import { withoutEmptyFolders } from "./empty-folders.ts";
import type { Experiment } from "./experiment-file.ts";
import { assertResultsOf, experimentKey, type KnownResults, publish, readResults } from "./experiment-results.ts";
import { resultsName } from "./experiment-schema.ts";
import { curvesOf, type EvaluatedRun, gatherPage, tableOf, timesOf } from "./gather.ts";
import { evalOptions, evaluationKey } from "./stage-evaluation.ts";
import { assertData, assertInOrder, assertOptions, isBegun, isDone, secondsOf } from "./stage-run.ts";
import { TimedExperiment } from "./timed-experiment.ts";

/** Who hears of an experiment, and who runs it as one. */
export interface ExperimentContext {
  readonly reporter?: Reporter;
  /** The ranks that share it, each of which calls this alike; this process alone when absent. */
  readonly group?: ProcessGroup;
}

/** What comes of an experiment; empty but for `stopped` where a signal ended it early, and on all ranks but the first. */
export interface ExperimentResult {
  /** One table over all stages, in their order, the baselines of each policy behind it. */
  rows: EvaluationRow[];
  evaluations: Record<string, RunEvaluation>;
  /** Seconds that each stage trained in all, over all its sessions. */
  seconds: Record<string, number>;
  /** The written page. */
  page: string;
  stopped?: StopSignal;
}

const unfinished = { rows: [], evaluations: {}, seconds: {}, page: "" };

/**
 * Files go under `folder`: a run folder a stage, results.json, index.html. What is there is kept where it was made from what
 * the experiment says now; evaluations are kept one by one.
 * @throws what train and evaluateRun throw; locked: a stage of other options, or that began before those it starts from,
 * or a folder with the results of several seeds
 */
export async function runExperiment(
  experiment: Experiment,
  folder: string,
  command: string,
  { reporter: given = silentReporter, group = alone }: ExperimentContext = {},
): Promise<ExperimentResult> {
  const reporter = loose(given);
  await ofFirst(group, () => assertRunnable(experiment, folder));
  const timed = new TimedExperiment(experiment, folder, group);
  const context = { folder, command, reporter, group, timed };
  const result = await runStages(experiment, context).catch((error: unknown): ExperimentResult => {
    // Of many ranks, it may be one alone that was stopped, for which the others wait: its error ends them.
    if (error instanceof Stopped && group.size === 1) return { ...unfinished, stopped: error.signal };
    throw error;
  });
  const times = timed.store();
  if (times !== undefined) noteTimes({ name: folder, times }, reporter);
  return result;
}

interface RunContext extends Required<ExperimentContext> {
  readonly folder: string;
  readonly command: string;
  readonly timed: TimedExperiment;
}

async function runStages(experiment: Experiment, context: RunContext): Promise<ExperimentResult> {
  const { folder, group } = context;
  const training = () => trainStages(experiment, context);
  const stopped = await (group.rank === 0 ? withoutEmptyFolders(folder, training) : training());
  return stopped === undefined ? evaluateExperiment(experiment, context) : { ...unfinished, stopped };
}

/** @throws what {@link runExperiment} throws before it trains: see there */
export async function assertRunnable({ stages }: Experiment, folder: string): Promise<void> {
  assertResultsOf("one seed", folder);
  assertInOrder(stages);
  assertData(stages);
  await assertOptions(stages);
}

/** Trains what is not done. Returns the signal that ended it early, if one did. */
async function trainStages(
  { stages }: Experiment,
  { reporter, group, timed }: Pick<RunContext, "reporter" | "group" | "timed">,
): Promise<StopSignal | undefined> {
  for (const stage of stages) {
    const found = () => ({ done: isDone(stage), begun: isBegun(stage.options) });
    const { done, begun } = await ofFirst(group, found);
    if (done) {
      reporter.note(`${stage.name}: already done, in ${stage.options.cv_dir}`);
      continue;
    }
    reporter.note(`${stage.name}: ${stage.stage}`);
    const trained = () => train(stage.stage, { ...stage.options, resume: begun }, { reporter, group });
    const { stopped, profile: times } = await timed.profile.of(`training of ${stage.name}`, trained);
    if (times !== undefined) noteTimes({ name: stage.name, times }, reporter);
    if (stopped !== undefined) return stopped;
  }
  return undefined;
}

async function evaluateExperiment(
  experiment: Experiment,
  { folder, command, reporter, group, timed }: RunContext,
): Promise<ExperimentResult> {
  const known = readResults(path.join(folder, resultsName), reporter.note);
  // A damaged one is refused now and not after the evaluations.
  const times = await ofFirst(group, () => experiment.stages.flatMap((one) => timesOf(one.name, one.options.cv_dir)));
  const runs = await evaluateStages(experiment, known, { reporter, group, timed });
  if (group.rank > 0) return unfinished;
  const byStage = <T>(value: (run: KeyedRun) => T) => Object.fromEntries(runs.map((run) => [run.name, value(run)]));
  const keys = byStage(({ key }) => key);
  const seconds = byStage(({ options }) => secondsOf(options.load));
  const result = { rows: tableOf(runs), evaluations: byStage(({ evaluation }) => evaluation), seconds };
  const { title, summary, gallery } = experiment;
  const soFar = timed.soFar();
  const draw = async () => {
    const curves = runs.flatMap(({ name, evaluation }) => curvesOf(name, evaluation.checkpoint, reporter.note));
    // The experiment's own ends before the page, which cannot know how long it will have taken itself.
    const own = soFar === undefined ? [] : [{ name: "the experiment", times: soFar }];
    const words = { title, summary, command, curves, times: [...own, ...times] };
    return renderPage(await gatherPage(runs, words, ({ name }) => (name === gallery ? {} : undefined), reporter));
  };
  const render = () => timed.profile.of("page", draw);
  const results = { command, made_from: experimentKey(experiment, { keys, seconds, times }), ...result, keys };
  return { ...result, page: await publish({ folder, known, results, render }, reporter) };
}

function noteTimes(times: NamedTimes, reporter: Reporter): void {
  for (const line of timeText(times).trimEnd().split("\n")) reporter.note(line);
}

interface KeyedRun extends EvaluatedRun {
  /** See `evaluationKey`. */
  readonly key: string;
}

/** Evaluates each stage, unless it is known what comes of it. */
async function evaluateStages(
  experiment: Experiment,
  known: KnownResults | undefined,
  { reporter, group, timed }: Pick<RunContext, "reporter" | "group" | "timed">,
) {
  const runs: KeyedRun[] = [];
  for (const stage of experiment.stages) {
    const { name } = stage;
    const options = evalOptions(stage, experiment);
    const checkpoint = openCheckpoint(options.load);
    const key = evaluationKey(checkpoint, options);
    const before = await ofFirst(group, () => (known?.keys[name] === key ? known.evaluations[name] : undefined));
    if (before === undefined) reporter.note(`${name}: evaluation`);
    // A folder that was moved has its checkpoints elsewhere.
    const kept = before && { ...before, checkpoint: checkpoint.path };
    const evaluate = () => evaluateRun(options, reporter, { details: true, group });
    const evaluation = kept ?? (await timed.profile.of(`evaluation of ${name}`, evaluate));
    runs.push({ name, options, key, evaluation });
  }
  return runs;
}
