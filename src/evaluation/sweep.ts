/**
 * Accuracy against the mean number of patches, along the thresholds of a policy or along its K most probable patches, with
 * the baselines that take the same number, of each image or on average. Where the thresholds lie is decided on other images,
 * so that the split that is evaluated does not influence it.
 *
 * A sweep costs the classifier one pass per point and series; the policy and the low-resolution stream look once.
 */
import type { OpenedRun } from "../inference/opened-run.ts";
import type { Choice, Threshold } from "../method/budget.ts";
import type { Grid } from "../method/grid.ts";
import type { MasksOf, Verdict } from "./evaluate-masks.ts";
import { type BaselineSource, baselineNames, baselinesOf, decidedBy, masksBy } from "./masks.ts";
import { type Rivals, rivalNames, sameMean } from "./rivals.ts";
import { countsOf } from "./staged.ts";

export interface SweepPoint {
  /** S on the split: mean number of patches per image. */
  readonly patches: number;
  readonly accuracy: number;
  /** Of the policy at this point; each baseline takes the same number of patches of each image. */
  readonly threshold?: number;
  readonly budget?: number;
  /** By label, [K]. */
  readonly classes: readonly { readonly patches: number; readonly accuracy: number }[];
}

export interface SweepSeries {
  readonly name: string;
  readonly kind: "policy" | "baseline";
  /** By rising number of patches of the rule. */
  readonly points: readonly SweepPoint[];
}

/** Where a point lies. */
export interface SweepChoice {
  readonly choice: Choice;
  /** The mean number of patches that it takes of the images that it was chosen on: what rivals get. */
  readonly patches: number;
}

/** Shares of all patches at which points lie: closer together where accuracy is steep. */
const shares = [0, 1, 2, 3, 4, 6, 8, 10, 12, 14, 16].map((part) => part / 16);

/**
 * Where the points lie, along the rule of a choice: its K, or its threshold, under its budget if it has one.
 * @param thresholds with these mean numbers of patches, see calibrate.ts
 */
export async function sweepChoices(
  choice: Choice,
  { patches }: Grid,
  thresholds: (means: readonly number[]) => Promise<readonly Threshold[]>,
): Promise<SweepChoice[]> {
  const { policy, budget } = choice;
  if (policy === "topk") {
    return countsOf(shares, patches).map((taken) => ({ choice: { policy, budget: taken }, patches: taken }));
  }
  const most = budget ?? patches;
  const means = shares.map((share) => share * most);
  const levels = await thresholds(means);
  return levels.map(({ threshold, patches }) => ({ choice: { policy: "threshold", threshold, budget }, patches }));
}

/** The masks of all series at all points, series by series within a point. */
export async function sweepMasks(
  run: OpenedRun,
  source: BaselineSource,
  rivals: Rivals,
  points: readonly SweepChoice[],
): Promise<MasksOf[]> {
  const masks = points.map(async ({ choice, patches }) => {
    const policy = masksBy(decidedBy(run, choice, source.seed));
    return [policy, ...baselinesOf(source, policy), ...(await rivals.at(patches))];
  });
  return (await Promise.all(masks)).flat();
}

/** What came of {@link sweepMasks}, as series. */
export function sweepSeries(choices: readonly SweepChoice[], verdicts: readonly Verdict[]): SweepSeries[] {
  const names = ["policy", ...baselineNames, ...rivalNames.map((name) => name + sameMean)];
  return names.map((name, n) => ({
    name,
    kind: n === 0 ? "policy" : "baseline",
    points: choices.map(({ choice }, p) => {
      const { metrics, classes } = verdicts[p * names.length + n];
      const { accuracy, sparsity = 0 } = metrics.metrics();
      const { policy: _, ...rule } = choice;
      return {
        patches: sparsity,
        accuracy,
        ...rule,
        classes: classes.results().map((result) => ({ patches: result.patches, accuracy: result.accuracy })),
      };
    }),
  }));
}
