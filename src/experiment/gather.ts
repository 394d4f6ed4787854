/**
 * Gathers all that a page shows of evaluated runs: curves from their folders, tables and charts from their evaluations,
 * pictures from the networks. `patchdrop run` and `patchdrop report` make their pages of it.
 */
import { dirname, join } from "node:path";
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { configName, lastState } from "../checkpoints/saved-checkpoints.ts";
import { readCompute } from "../compute/stored-compute.ts";
import type { EvaluationRow, PolicyDetails, RunEvaluation } from "../evaluation/evaluation.ts";
import { sameNumber } from "../evaluation/masks.ts";
import { cascade, sameMean } from "../evaluation/rivals.ts";
import { type ShowOptions, showImages } from "../evaluation/show-images.ts";
import { isThere } from "../files/read.ts";
import { readHeadroom } from "../headroom/stored-headroom.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import { type TimedTradeoff, timedTradeoff } from "../report/compute-table.ts";
import type { GalleryGroup } from "../report/gallery.ts";
import type { MetricRecord, StageRecords } from "../report/learning-curves.ts";
import type { PageInput, RunFacts } from "../report/page.ts";
import type { Compared, PolicyReport } from "../report/policies.ts";
import { sweepChart } from "../report/sweep-table.ts";
import type { NamedTimes } from "../report/time-table.ts";
import type { TradeoffSeries } from "../report/tradeoff.ts";
import { metricsName, readMetricsIfAny } from "../run/metric-log.ts";
import { readProfile } from "../run/stored-profile.ts";
import type { RunTimes } from "../utils/profile.ts";
import type { Reporter } from "../utils/reporter.ts";

/** A run that was evaluated with its details. */
export interface EvaluatedRun {
  readonly name: string;
  readonly options: EvalOptions;
  readonly evaluation: RunEvaluation;
}

/** What the page says that the evaluations do not. */
export interface PageWords {
  readonly title: string;
  readonly summary: string;
  readonly command: string;
  /** Of the runs, see {@link curvesOf}. */
  readonly curves: readonly StageRecords[];
  /** Of the runs, see {@link timesOf}. */
  readonly times: readonly NamedTimes[];
}

/** @param pictured how images of a run are shown; undefined where they are not */
export async function gatherPage(
  runs: readonly EvaluatedRun[],
  { title, summary, command, curves, times }: PageWords,
  pictured: (run: EvaluatedRun) => Pick<ShowOptions, "composite"> | undefined,
  reporter: Reporter,
): Promise<PageInput> {
  const policies: PolicyReport[] = [];
  for (const run of runs) {
    const { evaluation } = run;
    const { details, patchUse, columns } = evaluation;
    if (details === undefined || patchUse === undefined || columns === undefined) continue;
    reporter.note(`${run.name}: page`);
    const shown = pictured(run);
    policies.push({
      name: run.name,
      tradeoff: tradeoffOf(run, runs),
      timed: timedOf(run, reporter.note),
      patchUse,
      columns,
      classes: classesOf(evaluation, details),
      health: { ...details.health, decided: evaluation.decided, exits: exitsOf(evaluation), ...gainOf(evaluation) },
      gallery: shown === undefined ? [] : await galleryOf(run, details, shown),
    });
  }
  return {
    title,
    summary,
    table: { rows: tableOf(runs) },
    stages: curves.map((stage) => {
      const own = runs.find(({ name }) => name === stage.name);
      return { ...stage, rewardName: own?.evaluation.rows[0].rewardName };
    }),
    headrooms: runs.flatMap(({ name, evaluation }) => {
      const table = readHeadroom(evaluation.checkpoint);
      return table === undefined ? [] : [{ name, table }];
    }),
    policies,
    classes: runs.flatMap(({ name, evaluation: { details, classifierDetails } }) => {
      const found = details ?? classifierDetails;
      return found === undefined ? [] : [{ name, classes: found.classes, confusions: found.confusions ?? [] }];
    }),
    times,
    runs: runs.map(factsOf),
    command,
    generated: new Date(),
  };
}

/**
 * The rows of all runs, each policy's baselines behind it. A run's name stands before its rows where another has rows of
 * the same kind. A row that a classifier's run already has is not repeated for a policy.
 */
export function tableOf(runs: readonly Pick<EvaluatedRun, "name" | "evaluation">[]): RunEvaluation["rows"] {
  const isPolicy = ({ evaluation }: (typeof runs)[number]) => evaluation.patchUse !== undefined;
  const ofClassifiers = runs.filter((run) => !isPolicy(run)).flatMap(({ evaluation }) => evaluation.rows);
  const namesakes = (name: string) => ofClassifiers.filter((row) => row.name === name).length;
  const several = runs.filter(isPolicy).length > 1;
  return runs.flatMap((run) => {
    const { rows } = run.evaluation;
    const before = (name: string) => `${run.name}: ${name}`;
    if (!isPolicy(run)) return rows.map((row) => (namesakes(row.name) > 1 ? { ...row, name: before(row.name) } : row));
    const own = rows.filter(({ name }) => namesakes(name) === 0);
    return several ? own.map((row) => ({ ...row, name: before(row.kind === "policy" ? "policy" : row.name) })) : own;
  });
}

/** The run's sweep with its baselines, and the points of the policies that were not swept beside it. */
function tradeoffOf({ evaluation: { sweep, rows } }: EvaluatedRun, runs: readonly EvaluatedRun[]): TradeoffSeries[] {
  if (sweep === undefined) return [];
  const others = runs.filter((run) => run.evaluation.details !== undefined && run.evaluation.sweep === undefined);
  const points = others.map(({ name, evaluation }) => {
    const policy = evaluation.rows.filter(({ kind }) => kind === "policy");
    return { label: `${name}: policy`, kind: "policy" as const, points: policy };
  });
  return [...sweepChart(sweep, rows), ...points];
}

/** None without a sweep, and none of a run that was not measured. @throws input: what was measured is damaged, or of other weights */
function timedOf({ name, evaluation }: EvaluatedRun, note: Reporter["note"]): TimedTradeoff | undefined {
  const { checkpoint, sweep, rows, exits } = evaluation;
  const table = sweep === undefined ? undefined : readCompute(checkpoint);
  if (sweep === undefined || table === undefined) return undefined;
  if (exits !== undefined) {
    note(
      `${name}: no chart of accuracy against milliseconds: what images take that leave early is not known of a sweep`,
    );
    return undefined;
  }
  const timed = timedTradeoff(sweepChart(sweep, rows), table, { lookFirst: [cascade + sameMean] });
  if (!("why" in timed)) return timed;
  note(`${name}: no chart of accuracy against milliseconds: ${timed.why}`);
  return undefined;
}

function classesOf({ sweep }: RunEvaluation, { classes }: PolicyDetails): PolicyReport["classes"] {
  return classes.map((result, k) => ({
    ...result,
    tradeoff: (sweep?.series ?? []).map(({ name, kind, points }) => {
      return { label: name, kind, points: points.map((point) => point.classes[k]) };
    }),
  }));
}

function exitsOf({ exits }: RunEvaluation): PolicyReport["health"]["exits"] {
  if (exits === undefined) return undefined;
  const [atOnce, ...more] = exits.imagesByPatches;
  return { confidence: exits.confidence, atOnce, later: more.reduce((sum, count) => sum + count, 0) };
}

/** The policy beside the best of what needs no policy; of an evaluation of before, beside the best mask of the same number. */
function gainOf({ rows }: RunEvaluation): Pick<PolicyReport["health"], "accuracy" | "bestBaseline" | "sameNumber"> {
  const best = (suffix: string) => {
    const compared = rows.filter(({ name }) => name.endsWith(suffix));
    return compared.reduce((one, other) => (other.accuracy > one.accuracy ? other : one));
  };
  const suffix = rows.some(({ name }) => name.endsWith(sameMean)) ? sameMean : sameNumber;
  return {
    accuracy: rows[0].accuracy,
    bestBaseline: comparedWith(best(suffix), suffix),
    sameNumber: comparedWith(best(sameNumber), sameNumber),
  };
}

function comparedWith({ name, accuracy, gain }: EvaluationRow, suffix: string): Compared {
  return { name: name.slice(0, name.length - suffix.length), accuracy, gain };
}

const groups: readonly (readonly [keyof PolicyDetails["examples"], string])[] = [
  ["fewest", "Fewest patches, recognized"],
  ["most", "Most patches"],
  ["right", "Recognized, picked at random"],
  ["wrong", "Not recognized, picked at random"],
];

async function galleryOf(
  { options, evaluation }: EvaluatedRun,
  { examples }: PolicyDetails,
  { composite }: Pick<ShowOptions, "composite">,
): Promise<GalleryGroup[]> {
  const { choice, exits } = evaluation;
  const indices = Uint32Array.from(groups.flatMap(([key]) => examples[key]));
  const shown = await showImages(options, indices, { choice: choice?.rule, exit: exits, composite });
  const items = shown.map((one) => {
    const raw = (pixels: Uint8Array) => ({ size: Math.sqrt(pixels.length / 3), pixels });
    return { ...one, image: raw(one.image), lowResolution: raw(one.lowResolution), masked: raw(one.masked) };
  });
  const parts = groups.map(([key, title]) => ({ title, items: items.splice(0, examples[key].length) }));
  return parts.filter((part) => part.items.length > 0);
}

/**
 * None of a checkpoint that lies in no run folder; none, with a note, of a run whose log is gone.
 * @throws input: logs that have changed, or are no logs
 */
export function curvesOf(name: string, checkpoint: string, note: Reporter["note"]): StageRecords[] {
  const folder = dirname(dirname(checkpoint));
  const logged = readMetricsIfAny(folder);
  if (logged === undefined) {
    const had = lastState(folder)?.logs[metricsName] ?? 0;
    if (had > 0) note(`${join(folder, metricsName)}: is gone; the page has no learning curves of ${name}`);
    return [];
  }
  const records = logged.flatMap((record) => {
    const { split } = record;
    if (split !== "train" && split !== "val" && split !== "test") return [];
    const number = (key: string) => (typeof record[key] === "number" ? record[key] : undefined);
    const curves: MetricRecord = {
      epoch: record.epoch,
      split,
      accuracy: Number(record.accuracy),
      reward: number("reward"),
      patches: number("sparsity"),
      // In training, patches are drawn by chance: how many masks there were then says nothing about the policy.
      distinctMasks: split !== "train" ? number("distinct_masks") : undefined,
      loss: number("loss"),
    };
    return [curves];
  });
  return [{ name, records }];
}

/** None of a run whose time was not measured, or of a folder that is no run's. @throws input: a damaged file; system */
export function timesOf(name: string, folder: string): { name: string; times: RunTimes }[] {
  const times = isThere(join(folder, configName)) ? readProfile(folder) : undefined;
  return times === undefined ? [] : [{ name, times }];
}

function factsOf({ name, evaluation: { checkpoint, dataset, split, images } }: EvaluatedRun): RunFacts {
  const { stage, options, versions } = configOfCheckpoint(checkpoint);
  const evaluated = `${dataset}, ${split}, ${images} images`;
  return {
    name,
    configuration: [
      ["stage", stage],
      ["evaluated on", evaluated],
      ["checkpoint", checkpoint],
      ...Object.entries(options),
    ],
    versions: Object.entries(versions),
  };
}
