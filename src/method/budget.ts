/**
 * Which patches to take once the policy has said how much it wants each: by a threshold, the K most probable, or at random;
 * and the threshold that gives a mean number of patches or an accuracy. Trained policies take the patches with a
 * probability of at least one half (paper, section 4); the other rules move along the same probabilities without
 * training again. No tensors and nothing of Node: a browser page shares it.
 *
 * Shapes: N images, P patches. Probabilities are 0 … 1, and a mask is a Uint8Array [P]: 1 for a patch that is taken.
 */
import { fault } from "../errors.ts";
import { countPatches } from "./grid.ts";

/** How an image's patches are chosen from its probabilities. */
export type Choice =
  | ThresholdChoice
  /** The `budget` most probable, whatever their probabilities. */
  | { readonly policy: "topk"; readonly budget: number }
  /** Each with its probability; of those drawn at most `budget`, the most probable. */
  | { readonly policy: "sample"; readonly budget?: number | undefined };

/** Those with at least the probability `threshold`; of them at most `budget`, the most probable. */
export interface ThresholdChoice {
  readonly policy: "threshold";
  readonly threshold: number;
  readonly budget?: number | undefined;
}

/** As the policies were trained and tested. */
export const asTested = { policy: "threshold", threshold: 0.5 } as const;

/** A threshold that takes every patch of any image, and one that takes none. */
export const takesAll = 0;
export const takesNone = 2;

/** One of several rounds: what is there before it, and how much it may ask for. */
export interface Round {
  /** [P], 1 for a patch that is there already. */
  readonly acquired: Uint8Array;
  readonly most: number;
}

/**
 * The mask of one image; in a round, of the patches that it adds. Of patches with equal probability the one with the lower
 * number comes first.
 * @param probabilities [P]
 * @param uniforms [P] random numbers of [0, 1), which "sample" takes a patch by where they lie below its probability
 */
export function choosePatches(
  probabilities: ArrayLike<number>,
  choice: Choice,
  uniforms: ArrayLike<number> = [],
  round?: Round,
): Uint8Array {
  const wanted = (k: number): boolean => {
    if (round?.acquired[k] === 1) return false;
    if (choice.policy === "threshold") return probabilities[k] >= choice.threshold;
    return choice.policy === "topk" || uniforms[k] < probabilities[k];
  };
  const mask = new Uint8Array(probabilities.length);
  const taken = Array.from(mask.keys()).filter(wanted);
  taken.sort((a, b) => probabilities[b] - probabilities[a]); // equal ones stay in their order
  for (const k of taken.slice(0, mostOf(choice, round))) mask[k] = 1;
  return mask;
}

/** How many patches may be taken; any number where nothing limits it. */
function mostOf({ budget }: Choice, round: Round | undefined): number | undefined {
  if (round === undefined) return budget;
  return Math.min(round.most, (budget ?? round.acquired.length) - countPatches(round.acquired));
}

/** What the policy wants of many images. */
export interface Looked {
  /** [N × P] */
  readonly probabilities: Float32Array;
  readonly patches: number;
}

/** The probabilities of image `i`, [P]. */
export function probabilitiesOf({ probabilities, patches }: Looked, i: number): Float32Array {
  return probabilities.subarray(i * patches, (i + 1) * patches);
}

/** A threshold, and the mean number of patches that it gives on the images that it was chosen on. */
export interface Threshold {
  readonly threshold: number;
  readonly patches: number;
}

/** What a threshold gave when it was tried. */
export interface Level extends Threshold {
  readonly accuracy: number;
}

/**
 * The threshold whose mean number of patches is nearest to `target`; of two that are equally near, the one that takes
 * fewer. It lies midway between the last probability that is taken and the first that is not, rounded to float32, so
 * that probabilities of other images, or from other arithmetic, fall on the same side. All patches (or all that the
 * budget allows) are {@link takesAll}, none are {@link takesNone}: they hold for any image.
 * @throws usage: a target that is not within 0 … P, or above the budget
 */
export function thresholdForPatches(looked: Looked, target: number, budget = looked.patches): Threshold {
  const images = looked.probabilities.length / looked.patches;
  const most = Math.min(budget, looked.patches);
  checkTarget(target, most);
  const falling = withinBudget(looked, most);
  if (target === most) return { threshold: takesAll, patches: falling.length / images };
  let best: Threshold = { threshold: takesNone, patches: 0 };
  for (let count = 1; count <= falling.length; count++) {
    // Patches with equal probability are taken together.
    if (falling[count] === falling[count - 1]) continue;
    const mean = count / images;
    if (Math.abs(mean - target) < Math.abs(best.patches - target)) {
      best = { threshold: between(falling[count - 1], falling[count] ?? takesAll), patches: mean };
    }
  }
  return best;
}

/** @throws usage: a mean number of patches that is not within 0 … `most` */
export function checkTarget(target: number, most: number): void {
  if (target >= 0 && target <= most) return;
  throw fault("usage", { where: "--target_patches", rule: `must be within 0 … ${most}`, got: target });
}

/** The probabilities that some threshold takes: each image's `most` largest, all images' together, falling. */
function withinBudget(looked: Looked, most: number): Float32Array {
  const images = looked.probabilities.length / looked.patches;
  const largest = new Float32Array(images * most);
  for (let i = 0; i < images; i++) {
    largest.set(probabilitiesOf(looked, i).slice().sort().reverse().subarray(0, most), i * most);
  }
  return largest
    .filter((probability) => probability >= takesAll)
    .sort()
    .reverse();
}

/** A float32 above `dropped` and at most `taken`, as near the middle as there is. */
function between(taken: number, dropped: number): number {
  const middle = Math.fround((taken + dropped) / 2);
  return middle > dropped ? middle : taken;
}

/** Levels of the search for an accuracy: the number of steps from none to all patches, and of those within one of them. */
const coarseSteps = 16;
const fineSteps = 8;

/**
 * The largest threshold found that classifies at least the share `target` of the images correctly. Accuracy may fall as
 * patches are added, so it is measured on a grid of mean numbers of patches rather than bisected: the first level that
 * reaches the target counts, and is then refined in the same way. What is returned was measured to reach the target.
 * @param accuraciesAt measures the accuracy at each of some thresholds
 * @throws usage: a target that no level reaches, with the best that was
 */
export async function thresholdForAccuracy(
  looked: Looked,
  target: number,
  accuraciesAt: (thresholds: readonly number[]) => Promise<readonly number[]>,
  budget = looked.patches,
): Promise<Level> {
  const most = Math.min(budget, looked.patches);
  const measure = async (from: number, to: number, steps: number) => {
    const means = Array.from({ length: steps + 1 }, (_, step) => from + ((to - from) * step) / steps);
    const levels = means.map((mean) => thresholdForPatches(looked, mean, budget));
    const accuracies = await accuraciesAt(levels.map(({ threshold }) => threshold));
    return levels.map((level, i) => ({ ...level, accuracy: accuracies[i] }));
  };
  const coarse = await measure(0, most, coarseSteps);
  const reached = coarse.findIndex(({ accuracy }) => accuracy >= target);
  if (reached < 0) throw unreached(target, coarse);
  if (reached === 0) return coarse[0];
  const step = most / coarseSteps;
  const fine = await measure((reached - 1) * step, reached * step, fineSteps);
  return fine.find(({ accuracy }) => accuracy >= target) ?? coarse[reached];
}

/** The error that no level reaches an accuracy. */
export function unreached(target: number, levels: readonly Level[]) {
  const best = levels.reduce((one, other) => (other.accuracy > one.accuracy ? other : one));
  return fault("usage", {
    where: "--target_accuracy",
    rule: "is not reached with any number of patches, on the images that it was looked for on",
    got: target,
    next: `give at most ${best.accuracy.toFixed(4)}, the best, which takes ${best.patches.toFixed(2)} patches per image`,
  });
}

/** Mean entropy of an image's mask, in bits: 0 where every patch is certain, P where each is a toss. */
export function meanEntropy({ probabilities, patches }: Looked): number {
  const bits = (p: number) => (p <= 0 || p >= 1 ? 0 : -p * Math.log2(p) - (1 - p) * Math.log2(1 - p));
  return (probabilities.reduce((sum, p) => sum + bits(p), 0) * patches) / probabilities.length;
}
