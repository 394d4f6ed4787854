/** The best fixed masks for a run's classifier, found on images that are not evaluated. */
import { centrePatches, countPatches, fixedColumns, fixedRows, type Grid, maskOf } from "../method/grid.ts";
import { Random } from "../utils/random.ts";
import { choosingSplit } from "./calibrate.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { greedyOrder, type Worth } from "./fixed-mask.ts";
import { type Images, scoreMasks } from "./score-masks.ts";

const searchedImages = 512;
/** All masks are tried on this share of the images, and this share of them, the best there, on the others too. */
const halving = { images: 1 / 5, masks: 1 / 4 } as const;

/**
 * For each number of patches from none to all, the best mask of so many: of those that a greedy search adds one by one, and of
 * those that anyone would guess, since a search among noisy values may begin with the wrong patch and never come back.
 * @returns P + 1 masks [P]
 * @throws Stopped when a signal asks for it
 */
export async function findFixedMasks(run: EvaluatedRun): Promise<Uint8Array[]> {
  const { split } = choosingSplit(run);
  const { grid } = run.run.model;
  const all = new Random(run.seed, "fixed mask").shuffle(Uint32Array.from(split.labels.keys()));
  const images = { split, indices: all.slice(0, searchedImages) };
  const worth = labelWorth(run, images, "looking for the best fixed mask");
  const { order, values } = await greedyOrder(grid.patches, worth);
  const best = [maskOf([], grid.patches)];
  for (const [n, value] of values.entries()) {
    const found = maskOf(order.slice(0, n + 1), grid.patches);
    best.push(n + 1 === grid.patches ? found : await better({ mask: found, value }, guessesOf(grid, n + 1), worth));
  }
  return best;
}

const guessesOf = (grid: Grid, count: number) => [centrePatches, fixedColumns, fixedRows].map((of) => of(grid, count));

/** The best of some masks, if it is better than what was found. */
async function better(found: { mask: Uint8Array; value: number }, others: readonly Uint8Array[], worth: Worth) {
  const values = await worth(others);
  const most = Math.max(...values);
  return most > found.value ? others[values.indexOf(most)] : found.mask;
}

/** Of masks of the same number of patches: how far a search that goes from one number to the next is. */
const sizeOf = ([mask]: readonly Uint8Array[]) => `${countPatches(mask)} of ${mask.length} patches`;

/** The mean probability of the images' labels under each mask. */
async function labelMeans(
  run: EvaluatedRun,
  images: Images,
  { masks, label }: { masks: readonly Uint8Array[]; label: string },
): Promise<number[]> {
  const scores = await scoreMasks(images, run, masks, label);
  return scores.map(({ label }) => label.reduce((sum, value) => sum + value, 0) / label.length);
}

/**
 * By the label's mean probability, which changes with every image, where accuracy only counts. Of many masks, those that do
 * badly on some of the images are not tried on the rest: they are worth nothing.
 */
export function labelWorth(run: EvaluatedRun, { split, indices }: Images, label: string): Worth {
  const meanOn = (masks: readonly Uint8Array[], some: Uint32Array) =>
    labelMeans(run, { split, indices: some }, { masks, label: `${label}, ${sizeOf(masks)}` });
  return async (masks) => {
    if (masks.length === 1) return meanOn(masks, indices);
    const early = await meanOn(masks, indices.slice(0, Math.ceil(halving.images * indices.length)));
    const limit = early.toSorted((a, b) => b - a)[Math.ceil(halving.masks * masks.length) - 1];
    const kept = masks.filter((_, n) => early[n] >= limit);
    const late = new Map((await meanOn(kept, indices)).map((value, n) => [kept[n], value]));
    return masks.map((mask) => late.get(mask) ?? 0);
  };
}
