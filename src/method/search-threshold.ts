/**
 * Thresholds of a policy that decides in rounds. What it wants depends on what it has seen, and so on the threshold: how many
 * patches one takes can't be told from one look, as budget.ts does, but has to be tried. No tensors and nothing of Node.
 */
import { checkTarget, type Level, takesAll, takesNone, unreached } from "./budget.ts";

/** What each of some thresholds gives; they come in falling order, so that they take ever more patches. */
export type Measure = (thresholds: readonly number[]) => Promise<readonly Level[]>;

/** The logits of the thresholds that are tried first, and into how many steps these, and then one of them, are cut. */
const outermost = 10;
const coarseSteps = 32;
const fineSteps = 16;

/** What thresholds from none to all patches give. */
export function tryThresholds(measure: Measure): Promise<readonly Level[]> {
  return measure([takesNone, ...falling(outermost, -outermost, coarseSteps), takesAll]);
}

/**
 * Of thresholds that are tried, and of more between two of them, the one whose mean number of patches is nearest to a target,
 * or the first that reaches an accuracy.
 * @param most patches that an image may take
 * @throws usage: a number that can't be, an accuracy that no threshold reaches
 */
export async function searchThreshold(
  target: { readonly patches: number } | { readonly accuracy: number },
  measure: Measure,
  most: number,
): Promise<Level> {
  if ("patches" in target) checkTarget(target.patches, most);
  const coarse = await tryThresholds(measure);
  const reaches = (level: Level) =>
    "patches" in target ? level.patches >= target.patches : level.accuracy >= target.accuracy;
  const at = coarse.findIndex(reaches);
  if (at < 0 && "accuracy" in target) throw unreached(target.accuracy, coarse);
  if (at <= 0) return coarse.at(at)!;
  const [above, below] = [coarse[at - 1], coarse[at]];
  const fine = await measure(falling(logitOf(above), logitOf(below), fineSteps).slice(1, -1));
  if ("patches" in target) return nearestTo(target.patches, [above, ...fine, below]);
  return fine.find(reaches) ?? below;
}

/** The level whose mean number of patches is nearest; of two that are equally near, the one that takes fewer. */
export function nearestTo(patches: number, levels: readonly Level[]): Level {
  const off = (level: Level) => Math.abs(level.patches - patches);
  return levels.reduce((best, level) => (off(level) < off(best) ? level : best));
}

/** Thresholds whose logits fall in equal steps. */
function falling(from: number, to: number, steps: number): number[] {
  const logits = Array.from({ length: steps + 1 }, (_, n) => from + ((to - from) * n) / steps);
  return logits.map((logit) => Math.fround(1 / (1 + Math.exp(-logit))));
}

/** Beyond what is tried first lie only none and all. */
function logitOf({ threshold }: Level): number {
  if (threshold <= takesAll) return -2 * outermost;
  return threshold >= 1 ? 2 * outermost : Math.log(threshold / (1 - threshold));
}
