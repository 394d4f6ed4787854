/**
 * Holds a policy against the baselines of the method on one split: all patches, none (the low-resolution classifier), and
 * fixed and random choices with just as many patches an image as the policy took; along its budgets, too.
 */

import { choiceFile, type Measured, writeChoice } from "../checkpoints/stored-choice.ts";
import type { Dataset } from "../data/dataset.ts";
import { assertWritable } from "../files/atomic.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import { asTested, meanEntropy, type Selection } from "../method/budget.ts";
import { countPatches } from "../method/grid.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import { calibratedSelection, selectionOf, selectionText } from "../options/selection-options.ts";
import { type Calibrated, type CalibrationSet, calibrate, lookForCalibration, type Target } from "./calibrate.ts";
import { evaluateClassifier } from "./evaluate.ts";
import type { EvaluatedChoice, EvaluationRow, PolicyDetails, RunEvaluation } from "./evaluation.ts";
import { findExamples } from "./examples.ts";
import { judge, type Look, lookAt, type MaskOf, type Verdict } from "./judge.ts";
import { asMany, baselineNames, baselinesOf, masksOf } from "./masks.ts";
import { sweepMasks, sweepSelections, sweepSeries } from "./sweep.ts";

/** What the options ask for of a policy. @throws usage: a selection or target that cannot be */
export async function evaluatePolicy(
  run: OpenedRun,
  options: EvalOptions,
): Promise<Pick<RunEvaluation, "rows" | "patchUse" | "choice" | "sweep"> & { details: PolicyDetails }> {
  const { setting, seed, checkpoint } = run;
  const { grid } = setting.model;
  const split = setting.data[options.split];
  const { selection, fitted, points } = await prepared(run, options);

  const look = await lookAt(split, run);
  const masks = masksOf(look, selection, seed);
  const choices = [masks, ...baselinesOf(grid, masks, seed), () => new Uint8Array(grid.patches).fill(1)];
  const verdicts = await judge(split, run, look, [...choices, ...sweepMasks(grid, look, points, seed)]);

  const evaluated = verdicts.slice(0, choices.length);
  const rows = rowsOf(evaluated, `policy (${checkpoint.config.stage})${said(selection)}`);
  const lowAlone = await lowAccuracy(run, split, options.sweep);
  if (lowAlone !== undefined) {
    rows.push({ name: "LR classifier, no patches", kind: "baseline", accuracy: lowAlone, patches: 0 });
  }
  const rule = selection.policy === "topk" ? "topk" : "threshold";
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

/** How patches are chosen, and at which points a sweep lies: decided before the split is looked at. */
async function prepared(run: OpenedRun, options: EvalOptions) {
  const { grid } = run.setting.model;
  const { path } = run.checkpoint;
  const asked = selectionOf(options, grid.patches, () => calibratedSelection(path));
  const target = targetOf(options);
  if (target !== undefined) assertWritable(choiceFile(path));
  let calibration: CalibrationSet | undefined;
  if (target !== undefined || options.sweep) calibration = await lookForCalibration(run);
  const fitted = calibration && target && (await calibrate(run, calibration, target, options.budget));
  const selection = fitted?.selection ?? asked;
  const points = calibration && options.sweep ? sweepSelections(selection, grid, calibration.look) : [];
  return { selection, fitted, points };
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
  const names = [policy, ...baselineNames.map((name) => name + asMany), "all patches"];
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
  const counts = Uint16Array.from(right, (_, i) => countPatches(masks(i)));
  const imagesByPatches = Array.from({ length: look.patches + 1 }, (_, n) => counts.filter((c) => c === n).length);
  return {
    classes: classes.results().map((result, label) => ({ name: split.classes[label], ...result })),
    health: { entropyBits: meanEntropy(look), policies, commonestPolicy, imagesByPatches },
    examples: findExamples(right, counts, seed),
  };
}
