/**
 * Holds a trained run against the baselines of the method on one split: all patches, none (the low-resolution
 * classifier), and fixed and random choices with just as many patches an image as the policy took.
 */
import type { Dataset } from "../data/dataset.ts";
import { fault } from "../errors.ts";
import { asTested, meanEntropy, type Selection } from "../method/budget.ts";
import type { ClassResult } from "../method/class-metrics.ts";
import { countPatches } from "../method/grid.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import type { Checkpoint } from "../run/checkpoint.ts";
import { type Measured, writeChoice } from "../run/choice.ts";
import type { EvalOptions } from "../run/eval-options.ts";
import { networkOf, openCheckpoint } from "../run/open-checkpoint.ts";
import { type Reporter, silentReporter } from "../run/reporter.ts";
import { selectionOf, selectionText } from "../run/selection-options.ts";
import { type Calibrated, calibrate, lookForCalibration, type Target } from "./calibrate.ts";
import { evaluateClassifier } from "./evaluate.ts";
import { type Examples, findExamples } from "./examples.ts";
import { judge, type Look, lookAt, type MaskOf, type Verdict } from "./judge.ts";
import { baselineNames, baselinesOf, masksOf } from "./masks.ts";
import { asTrained, type OpenedRun, withOpenedRun } from "./opened-run.ts";
import { loadNetwork, prepare, type Setting } from "./setting.ts";
import { type SweepSeries, sweepMasks, sweepSelections, sweepSeries } from "./sweep.ts";

/** One way of choosing patches and what came of it; accuracy and shares are within 0..1. */
export interface EvaluationRow {
  name: string;
  kind: "policy" | "baseline";
  accuracy: number;
  /** S: mean number of patches an image. */
  patches: number;
  /** V: its standard deviation over the images. */
  patchesStd?: number;
  /** Number of distinct masks. */
  policies?: number;
  reward?: number;
}

export interface RunEvaluation {
  checkpoint: string;
  stage: string;
  model: string;
  dataset: string;
  split: "train" | "test";
  images: number;
  rows: EvaluationRow[];
  /** Share of images for which the policy took each patch, [P]; none for a classifier. */
  patchUse?: number[];
  /** How the policy's patches were chosen, where a flag said it. */
  choice?: EvaluatedChoice;
  sweep?: PolicySweep;
  details?: PolicyDetails;
}

export interface EvaluatedChoice {
  selection: Selection;
  target?: Target;
  /** What the threshold gave on the training images that it was calibrated on. */
  calibrated?: Measured;
  /** Where the choice is stored; nowhere if it was calibrated with a classifier that is not the checkpoint's. */
  file?: string;
}

export interface PolicySweep {
  rule: "threshold" | "topk";
  /** Names, [K]. */
  classes: readonly string[];
  series: SweepSeries[];
}

/** What there is to say of a policy beyond the rows of a table. */
export interface PolicyDetails {
  /** By label, [K]. */
  classes: readonly (ClassResult & { name: string })[];
  health: PolicyHealth;
  examples: Examples;
}

/** Whether the policy looks at its images, or treats all alike. */
export interface PolicyHealth {
  /** Mean entropy of an image's choice in bits, 0 … P. */
  entropyBits: number;
  /** Distinct masks. */
  policies: number;
  /** Share of images with the most frequent mask. */
  commonestPolicy: number;
  /** How many images had 0, 1, … P patches taken, [P + 1]. */
  imagesByPatches: number[];
}

/**
 * Evaluates the checkpoint of `options.load`.
 * @param details whether to return those, too
 * @throws kinds "input" and "usage"
 */
export async function evaluateRun(
  options: EvalOptions,
  reporter: Reporter = silentReporter,
  { details = options.sweep } = {},
): Promise<RunEvaluation> {
  const checkpoint = openCheckpoint(options.load);
  if (!checkpoint.networks.has("agent")) return evaluateAlone(checkpoint, options, reporter);
  return withOpenedRun(checkpoint, options, reporter, async (run) => {
    const { details: found, ...rest } = await evaluatePolicy(run, options);
    return { ...described(checkpoint, run.setting, options), ...rest, ...(details && { details: found }) };
  });
}

function described(checkpoint: Checkpoint, { model, data }: Setting, { split }: EvalOptions) {
  const { name, length } = data[split];
  const { stage } = checkpoint.config;
  return { checkpoint: checkpoint.path, stage, model: model.name, dataset: name, split, images: length };
}

/** A run of one classifier. */
async function evaluateAlone(checkpoint: Checkpoint, options: EvalOptions, reporter: Reporter): Promise<RunEvaluation> {
  const flags = ["policy", "budget", "threshold", "target_patches", "target_accuracy", "sweep"] as const;
  const given = flags.find((flag) => options[flag] !== undefined && options[flag] !== false);
  if (given !== undefined) {
    const rule = "must be left out for a run without a policy";
    throw fault("usage", { where: `--${given}`, rule, got: checkpoint.path });
  }
  const setting = await prepare(asTrained(checkpoint, options), reporter);
  const row = await classifierRow(checkpoint, setting.data[options.split], setting);
  return { ...described(checkpoint, setting, options), rows: [row] };
}

async function classifierRow(checkpoint: Checkpoint, split: Dataset, setting: Setting): Promise<EvaluationRow> {
  // A file that does not say what its network is for holds a high-resolution classifier.
  const name = checkpoint.networks.has("resnet_lr") ? "resnet_lr" : "resnet_hr";
  if (networkOf(checkpoint, name) === undefined) {
    throw fault("input", {
      where: checkpoint.path,
      rule: "must hold a classifier or a policy",
      got: [...checkpoint.networks.keys()].join(", "),
    });
  }
  const { network, parameters } = loadNetwork(setting, checkpoint, name);
  const frozen = new FrozenNetwork(network, parameters, setting.precision);
  const stream = name === "resnet_lr" ? "LR" : "HR";
  const { accuracy } = (await evaluateClassifier(split, setting, frozen, stream)).metrics();
  frozen.free();
  parameters.free();
  const label = stream === "LR" ? "LR classifier, no patches" : "HR classifier, all patches";
  return { name: label, kind: "baseline", accuracy, patches: stream === "LR" ? 0 : setting.model.grid.patches };
}

async function evaluatePolicy(
  run: OpenedRun,
  options: EvalOptions,
): Promise<Pick<RunEvaluation, "rows" | "patchUse" | "choice" | "sweep" | "details">> {
  const { setting, seed, checkpoint } = run;
  const { grid } = setting.model;
  const split = setting.data[options.split];
  const chosen = selectionOf(options, grid.patches, checkpoint.path);
  const target = targetOf(options);
  const rule = chosen.policy === "topk" ? "topk" : "threshold";
  const calibration = target || options.sweep ? await lookForCalibration(run) : undefined;
  const fitted = target && (await calibrate(run, calibration!, target, options.budget));
  const selection = fitted?.selection ?? chosen;

  const look = await lookAt(split, run);
  const masks = masksOf(look, selection, seed);
  const choices = [masks, ...baselinesOf(grid, masks, seed), () => new Uint8Array(grid.patches).fill(1)];
  const points = options.sweep ? sweepSelections(rule, grid, calibration!.look) : [];
  const verdicts = await judge(split, run, look, [...choices, ...sweepMasks(grid, look, points, seed)]);

  const evaluated = verdicts.slice(0, choices.length);
  const rows = rowsOf(evaluated, `policy (${checkpoint.config.stage})${said(selection)}`);
  const lowAlone = await lowAccuracy(run, split, options.sweep);
  if (lowAlone !== undefined) {
    rows.push({ name: "LR classifier, no patches", kind: "baseline", accuracy: lowAlone, patches: 0 });
  }
  const measured = { split: options.split, images: split.length, accuracy: rows[0].accuracy, patches: rows[0].patches };
  return {
    rows,
    patchUse: evaluated[0].metrics.patchUse(),
    ...choiceOf(run, options, selection, fitted, measured),
    details: detailsOf(run, split, look, masks, evaluated[0]),
    ...(options.sweep && {
      sweep: { rule, classes: split.classes, series: sweepSeries(points, verdicts.slice(choices.length)) },
    }),
  };
}

function targetOf({ target_patches: patches, target_accuracy: accuracy }: EvalOptions): Target | undefined {
  if (patches !== undefined) return { patches };
  return accuracy === undefined ? undefined : { accuracy };
}

/** Behind the name of a policy that is not evaluated as it was tested. */
function said(selection: Selection): string {
  const isAsTested = JSON.stringify(selection) === JSON.stringify(asTested);
  return isAsTested ? "" : `, ${selectionText(selection)}`;
}

function rowsOf(verdicts: readonly Verdict[], policy: string): EvaluationRow[] {
  const names = [policy, ...baselineNames.map((name) => `${name}, as many`), "all patches"];
  return names.map((name, i) => row(name, i === 0 ? "policy" : "baseline", verdicts[i]));
}

function row(name: string, kind: EvaluationRow["kind"], { metrics }: Verdict): EvaluationRow {
  const { accuracy, sparsity = 0, variance, unique_policies, reward } = metrics.metrics();
  return {
    name,
    kind,
    accuracy,
    patches: sparsity,
    ...(variance !== undefined && { patchesStd: variance }),
    ...(unique_policies !== undefined && { policies: unique_policies }),
    ...(reward !== undefined && { reward }),
  };
}

/** Of the low-resolution classifier alone: the one that was given, or, where baselines are wanted, the run's own. */
async function lowAccuracy({ setting, networks }: OpenedRun, split: Dataset, own: boolean) {
  const network = networks.lowAlone ?? (own ? networks.low : undefined);
  if (network === undefined) return undefined;
  return (await evaluateClassifier(split, setting, network, "LR")).metrics().accuracy;
}

/** What is said of the choice, which is stored where it was calibrated for the checkpoint's own networks. */
function choiceOf(
  { checkpoint, setting, seed }: OpenedRun,
  options: EvalOptions,
  selection: Selection,
  fitted: Calibrated | undefined,
  evaluated: Measured,
): { choice?: EvaluatedChoice } {
  const target = targetOf(options);
  if (fitted === undefined || target === undefined) return said(selection) === "" ? {} : { choice: { selection } };
  const { calibrated } = fitted;
  const choice = { selection, target, calibrated };
  if (options.ckpt_hr_cl !== undefined) return { choice };
  const dataset = setting.data.train.name;
  const file = writeChoice(checkpoint.path, { ...fitted.selection, target, dataset, seed, calibrated, evaluated });
  return { choice: { ...choice, file } };
}

function detailsOf(
  { seed }: OpenedRun,
  split: Dataset,
  look: Look,
  masks: MaskOf,
  { metrics, classes, right }: Verdict,
) {
  const { unique_policies: policies = 0, commonest_policy: commonestPolicy = 0 } = metrics.metrics();
  const counts = Uint8Array.from(right, (_, i) => countPatches(masks(i)));
  const imagesByPatches = Array.from({ length: look.patches + 1 }, (_, n) => counts.filter((c) => c === n).length);
  return {
    classes: classes.results().map((result, label) => ({ name: split.classes[label], ...result })),
    health: { entropyBits: meanEntropy(look), policies, commonestPolicy, imagesByPatches },
    examples: findExamples(right, counts, seed),
  };
}
