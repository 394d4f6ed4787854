/** The order in which the best fixed masks of a run add patches, found on images that are not evaluated. */
import { Random } from "../utils/random.ts";
import { choosingSplit } from "./calibrate.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { greedyOrder, type Worth } from "./fixed-mask.ts";
import { type Images, scoreMasks } from "./score-masks.ts";

const searchedImages = 512;
/** All masks are tried on this share of the images, and this share of them, the best there, on the others too. */
const halving = { images: 1 / 5, masks: 1 / 4 } as const;

/** Found for the run's own classifier. @throws Stopped when a signal asks for it */
export function findFixedOrder(run: EvaluatedRun): Promise<number[]> {
  const { split } = choosingSplit(run);
  const all = new Random(run.seed, "fixed mask").shuffle(Uint32Array.from(split.labels.keys()));
  const images = { split, indices: all.slice(0, searchedImages) };
  return greedyOrder(run.run.model.grid.patches, labelWorth(run, images, "best fixed mask"));
}

/**
 * By the label's mean probability, which changes with every image, where accuracy only counts. Of many masks, those that do
 * badly on some of the images are not tried on the rest: they are worth nothing.
 */
export function labelWorth(run: EvaluatedRun, { split, indices }: Images, label: string): Worth {
  const meanOn = async (masks: readonly Uint8Array[], some: Uint32Array) => {
    const scores = await scoreMasks({ split, indices: some }, run, masks, label);
    return scores.map(({ label }) => label.reduce((sum, value) => sum + value, 0) / label.length);
  };
  return async (masks) => {
    if (masks.length === 1) return meanOn(masks, indices);
    const early = await meanOn(masks, indices.slice(0, Math.ceil(halving.images * indices.length)));
    const limit = early.toSorted((a, b) => b - a)[Math.ceil(halving.masks * masks.length) - 1];
    const kept = masks.filter((_, n) => early[n] >= limit);
    const late = new Map((await meanOn(kept, indices)).map((value, n) => [kept[n], value]));
    return masks.map((mask) => late.get(mask) ?? 0);
  };
}
