/**
 * Compares a policy with the baselines of the method on one split: all patches, none (the low-resolution classifier), and
 * fixed and random masks with the same number of patches per image as the policy took; along its budgets, too.
 */

import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { isPackaged } from "../checkpoints/packaged.ts";
import { choiceFile, type Measured, writeChoice } from "../checkpoints/stored-choice.ts";
import { confidenceFile, writeConfidence } from "../checkpoints/stored-confidence.ts";
import type { Dataset } from "../data/dataset.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { assertWritable } from "../files/atomic.ts";
import { decidedOf, mustSeeSameLow } from "../inference/describe-run.ts";
import { asTested, type Choice, type Looked, meanEntropy } from "../method/budget.ts";
import { confusionsOf } from "../method/class-metrics.ts";
import { countPatches } from "../method/grid.ts";
import { rewardName } from "../method/reward.ts";
import { calibratedChoice, choiceOf, choiceText, mustSeeSomething } from "../options/choice-options.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import { bootstrapMeans } from "../utils/bootstrap.ts";
import { defined } from "../utils/defined.ts";
import type { Reporter } from "../utils/reporter.ts";
import { untilStopped } from "../utils/reporter.ts";
import { row } from "../utils/rows.ts";
import { type Calibrated, Calibration, type Target } from "./calibrate.ts";
import { calibrateConfidence } from "./calibrate-confidence.ts";
import { evaluateMasks, everyPatch, imageByImage, type MasksOf, type Verdict } from "./evaluate-masks.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import type { EvaluatedChoice, EvaluationRow, Exits, PolicyDetails, RunEvaluation } from "./evaluation.ts";
import { findExamples } from "./examples.ts";
import { findFixedMasks } from "./find-fixed-masks.ts";
import { baselineNames, baselinesOf, type Deciding, decidedBy, sameNumber } from "./masks.ts";
import { Rivals, rivalNames, sameMean } from "./rivals.ts";
import { sweepChoices, sweepMasks, sweepSeries } from "./sweep.ts";

/** What the options ask for of a policy. @throws usage: a choice or target that cannot be */
export async function evaluatePolicy(
  whole: EvaluatedRun,
  options: EvalOptions,
): Promise<
  Pick<RunEvaluation, "rows" | "patchUse" | "columns" | "choice" | "decided" | "exits" | "sweep"> & {
    details: PolicyDetails;
  }
> {
  const leaving = await withExit(whole, options);
  const { evaluated } = leaving;
  const { run, split, seed, checkpoint } = evaluated;
  const { grid } = run.model;
  const { choice, fitted, points } = await prepared(evaluated, options);

  const noted = new Noted(split.length, grid.patches);
  const [own] = await evaluateMasks(split, evaluated, [noted.noting(decidedBy(run, choice, seed))]);
  noted.share(evaluated.group);
  const source = { grid, seed, fixedMasks: await findFixedMasks(evaluated) };
  const rivals = new Rivals(evaluated, source.fixedMasks);
  const { sparsity = 0 } = own.metrics.metrics();
  const masks = [...baselinesOf(source, noted.masks), ...(await rivals.at(sparsity)), everyPatch];
  const swept = await sweepMasks(run, source, rivals, points);
  const others = await evaluateMasks(split, evaluated, [...masks, ...swept]);

  const rows = await untilStopped(
    evaluated.reporter,
    rowsOf(
      [own, ...others.slice(0, masks.length)],
      `policy (${checkpoint.config.stage})${suffixOf(choice)}${run.exit === undefined ? "" : `, exit ${run.exit.confidence}`}`,
      evaluated.rewarding && rewardName(evaluated.rewarding),
    ),
  );
  const lowAlone = await lowAccuracy(evaluated, options);
  if (lowAlone !== undefined) {
    rows.push({ name: "LR classifier, no patches", kind: "baseline", accuracy: lowAlone, patches: 0 });
  }
  const rule = choice.policy === "topk" ? "topk" : "threshold";
  const measured = { split: options.split, images: split.length, accuracy: rows[0].accuracy, patches: rows[0].patches };
  return {
    rows,
    patchUse: own.metrics.patchUse(),
    columns: grid.columns,
    choice: evaluatedChoice(evaluated, options, { choice, fitted, measured }),
    decided: decidedOf(checkpoint, grid),
    exits: leaving.said && { ...leaving.said, ...noted.exits(own.right) },
    details: detailsOf(split, noted, own, seed),
    sweep: options.sweep
      ? { rule, classes: split.classes, series: sweepSeries(points, others.slice(masks.length)) }
      : undefined,
  };
}

/** The run with images that leave early, where that is asked for: how sure its classifier may be is found before the split is looked at. */
async function withExit(evaluated: EvaluatedRun, options: EvalOptions) {
  const { exit } = options;
  if (exit === undefined) return { evaluated };
  const { run, checkpoint, group } = evaluated;
  mustSeeSomething({ fill: run.description.fill, hasTwoStreams: run.hasTwoStreams });
  const reason = unstored(options);
  if (reason === undefined) assertWritable(confidenceFile(checkpoint.path));
  const asked = choiceOf(options, run.model.grid.patches, () => calibratedChoice(checkpoint.path, options));
  const found = await calibrateConfidence(evaluated, asked, options.tta);
  if (reason === undefined && group.rank === 0) writeConfidence(checkpoint.path, found);
  const { temperature, calibrated } = found;
  const said = {
    ...{ confidence: exit, temperature, calibrated },
    ...(reason === undefined ? { file: confidenceFile(checkpoint.path) } : { unstored: reason }),
  };
  return { evaluated: { ...evaluated, run: run.leavingAt({ confidence: exit, temperature }) }, said };
}

/** How patches are chosen, and at which points a sweep lies: decided before the split is looked at. */
async function prepared(evaluated: EvaluatedRun, options: EvalOptions) {
  const { run, checkpoint } = evaluated;
  const { grid } = run.model;
  const asked = choiceOf(options, grid.patches, () => calibratedChoice(checkpoint.path, options));
  const target = targetOf(options);
  if (target !== undefined && unstored(options) === undefined) assertWritable(choiceFile(checkpoint.path));
  const calibration = new Calibration(evaluated, options.budget);
  const fitted = target && (await calibration.towards(target));
  if (target !== undefined && fitted !== undefined) noteMissed(target, fitted, options, evaluated.reporter.note);
  const choice = fitted?.choice ?? asked;
  const points = options.sweep ? await sweepChoices(choice, grid, (means) => calibration.thresholds(means)) : [];
  return { choice, fitted, points };
}

/** Patches a mean may be off its target before it is said. */
const nearTarget = 0.5;

function noteMissed(
  target: Target,
  { calibrated: { patches } }: Calibrated,
  { exit }: EvalOptions,
  note: Reporter["note"],
): void {
  if (!("patches" in target) || Math.abs(patches - target.patches) <= nearTarget) return;
  const why = exit === undefined ? "" : `, with images that leave at --exit ${exit}`;
  note(`--target_patches ${target.patches}: the nearest mean that a threshold gives is ${patches.toFixed(2)}${why}`);
}

/** Why a calibrated choice is not kept with the checkpoint. */
function unstored({ load, ckpt_hr_cl }: EvalOptions): string | undefined {
  if (isPackaged(load)) return "what comes with the program stays as it came";
  return ckpt_hr_cl === undefined ? undefined : "the classifier of --ckpt_hr_cl is not the checkpoint's";
}

function targetOf({ target_patches: patches, target_accuracy: accuracy }: EvalOptions): Target | undefined {
  if (patches !== undefined) return { patches };
  return accuracy === undefined ? undefined : { accuracy };
}

/** Suffix for a policy that is evaluated by another rule than in its tests. */
function suffixOf(choice: Choice): string {
  const isAsTested = JSON.stringify(choice) === JSON.stringify(asTested);
  return isAsTested ? "" : `, ${choiceText(choice)}`;
}

async function rowsOf(
  verdicts: readonly Verdict[],
  policy: string,
  rewardName: string | undefined,
): Promise<EvaluationRow[]> {
  const baselines = baselineNames.map((name) => name + sameNumber);
  const names = [policy, ...baselines, ...rivalNames.map((name) => name + sameMean), "all patches"];
  const [{ right: own }, ...others] = verdicts;
  const differences = others.map(({ right }) => Float32Array.from(own, (mine, i) => mine - right[i]));
  const gains = await bootstrapMeans(differences);
  return names.map((name, i) => {
    const row = { ...rowOf(name, i === 0 ? "policy" : "baseline", verdicts[i]), rewardName };
    return i === 0 ? row : { ...row, gain: gains[i - 1] };
  });
}

function rowOf(name: string, kind: EvaluationRow["kind"], { metrics }: Verdict): EvaluationRow {
  const { accuracy, sparsity = 0, patches_std, distinct_masks, reward } = metrics.metrics();
  return { name, kind, accuracy, patches: sparsity, patchesStd: patches_std, distinctMasks: distinct_masks, reward };
}

/** Of the low-resolution classifier alone: the one that was given, or, where baselines are wanted, the run's own. */
async function lowAccuracy(evaluated: EvaluatedRun, { ckpt_lr_cl, sweep }: EvalOptions) {
  const { run, split, openAlone, reporter, group } = evaluated;
  if (ckpt_lr_cl === undefined && !(sweep && run.hasTwoStreams)) return undefined;
  const other = ckpt_lr_cl === undefined ? undefined : openCheckpoint(ckpt_lr_cl);
  if (other !== undefined) mustSeeSameLow(other, split, `--ckpt_lr_cl ${ckpt_lr_cl}`);
  const low = openAlone("resnet_lr", other);
  try {
    const [{ metrics }] = await evaluateMasks(split, { run: low, rewarding: undefined, reporter, group }, [everyPatch]);
    return metrics.metrics().accuracy;
  } finally {
    await low.free();
  }
}

interface Chosen {
  readonly choice: Choice;
  readonly fitted: Calibrated | undefined;
  /** What came of it on the split that is evaluated. */
  readonly measured: Measured;
}

/** What is said of the choice, which is stored if nothing stands against it. */
function evaluatedChoice(
  { checkpoint, data, seed, group }: EvaluatedRun,
  options: EvalOptions,
  { choice, fitted, measured }: Chosen,
): EvaluatedChoice | undefined {
  const target = targetOf(options);
  if (fitted === undefined || target === undefined) return suffixOf(choice) === "" ? undefined : { rule: choice };
  const { calibrated } = fitted;
  const said = { rule: choice, target, calibrated };
  const reason = unstored(options);
  if (reason !== undefined) return { ...said, unstored: reason };
  const about = {
    target,
    ...defined({ exit: options.exit }),
    dataset: data.train.name,
    seed,
    calibrated,
    evaluated: measured,
  };
  const isWriter = group.rank === 0;
  const write = () => writeChoice(checkpoint.path, { ...fitted.choice, ...about });
  return { ...said, file: isWriter ? write() : choiceFile(checkpoint.path) };
}

/** What a policy decided about the images of a pass, and what it wanted when it was last asked. */
class Noted implements Looked {
  readonly probabilities: Float32Array;
  readonly patches: number;
  /** [N, P] */
  readonly #taken: Uint8Array;
  /** 1 for an image that left early, [N]. */
  readonly #left: Uint8Array;

  constructor(images: number, patches: number) {
    this.probabilities = new Float32Array(images * patches);
    this.patches = patches;
    this.#taken = new Uint8Array(images * patches);
    this.#left = new Uint8Array(images);
  }

  /** The masks of a policy, noted on the way. */
  noting(policy: Deciding): MasksOf {
    return async (batch) => {
      const { mask, probabilities, left } = await policy(batch);
      this.probabilities.set(probabilities, batch.first * this.patches);
      this.#taken.set(mask, batch.first * this.patches);
      this.#left.set(left, batch.first);
      return mask;
    };
  }

  /** Takes what the other ranks have noted of the images that this one has not seen. */
  share(group: ProcessGroup): void {
    const own = { probabilities: this.probabilities, taken: this.#taken, left: this.#left };
    const others = group.size === 1 ? [] : group.exchange(own).filter((_, rank) => rank !== group.rank);
    for (const { probabilities, taken, left } of others) {
      // What a rank has not seen is 0 there.
      for (const [at, value] of probabilities.entries()) this.probabilities[at] += value;
      for (const [at, value] of taken.entries()) this.#taken[at] += value;
      for (const [at, value] of left.entries()) this.#left[at] += value;
    }
  }

  /** How many images left early with 0, 1, … P patches, [P + 1], and which share of them is right. */
  exits(right: Uint8Array): Pick<Exits, "imagesByPatches" | "accuracy"> {
    const imagesByPatches = Array<number>(this.patches + 1).fill(0);
    let [images, correct] = [0, 0];
    for (const [i, left] of this.#left.entries()) {
      imagesByPatches[countPatches(row(this.#taken, i, this.patches))] += left;
      images += left;
      correct += left * right[i];
    }
    return { imagesByPatches, ...(images > 0 && { accuracy: correct / images }) };
  }

  /** Those masks, in a later pass over the same images. */
  get masks(): MasksOf {
    return imageByImage((i) => row(this.#taken, i, this.patches));
  }
}

function detailsOf(split: Dataset, looked: Looked, verdict: Verdict, seed: number): PolicyDetails {
  const { metrics, classes, right, predictions, counts } = verdict;
  const { distinct_masks: distinctMasks = 0, commonest_mask: commonestMask = 0 } = metrics.metrics();
  const imagesByPatches = Array.from({ length: looked.patches + 1 }, (_, n) => counts.filter((c) => c === n).length);
  return {
    classes: classes.results().map((result, label) => ({ name: split.classes[label], ...result })),
    confusions: confusionsOf(split.labels, predictions),
    health: { entropyBits: meanEntropy(looked), distinctMasks, commonestMask, imagesByPatches },
    examples: findExamples(right, counts, seed),
  };
}
