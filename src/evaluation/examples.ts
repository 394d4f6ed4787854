/** Which images show best what a policy does: those with the fewest and the most patches, and some right and wrong ones. */
import { Random } from "../utils/random.ts";

/** Positions of images in the split; no image is in two groups. */
export interface Examples {
  /** Classified correctly with the fewest patches. */
  readonly fewest: readonly number[];
  /** Those with the most patches. */
  readonly most: readonly number[];
  /** Drawn from what is classified correctly. */
  readonly right: readonly number[];
  /** Drawn from what is not. */
  readonly wrong: readonly number[];
}

/**
 * @param right [N], 1 for an image that is classified correctly
 * @param counts [N], patches taken
 * @param each images per group, or fewer where there are no more
 */
export function findExamples(right: Uint8Array, counts: Uint16Array, seed: number, each = 4): Examples {
  // In random order, so that images with equal numbers of patches come in random order.
  let left = Array.from(new Random(seed, "examples").shuffle(Uint32Array.from(right.keys())));
  const take = (wanted: (i: number) => boolean, order: (a: number, b: number) => number = () => 0): number[] => {
    const taken = left.filter(wanted).sort(order).slice(0, each);
    left = left.filter((i) => !taken.includes(i));
    return taken;
  };
  const isRight = (i: number) => right[i] === 1;
  return {
    fewest: take(isRight, (a, b) => counts[a] - counts[b]),
    most: take(
      () => true,
      (a, b) => counts[b] - counts[a],
    ),
    right: take(isRight),
    wrong: take((i) => !isRight(i)),
  };
}
