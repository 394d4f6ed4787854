/** Which images show best what a policy does: some that it got right and wrong, its cheapest and its dearest. */
import { Random } from "../utils/random.ts";

/** Positions of images in the split; no image is in two groups. */
export interface Examples {
  /** Classified rightly with the fewest patches. */
  readonly cheapest: readonly number[];
  /** Those with the most patches. */
  readonly dearest: readonly number[];
  /** Drawn from what is classified rightly. */
  readonly right: readonly number[];
  /** Drawn from what is not. */
  readonly wrong: readonly number[];
}

/**
 * @param right [N], 1 for an image that is classified rightly
 * @param counts [N], patches taken
 * @param each images a group, or fewer where there are no more
 */
export function findExamples(right: Uint8Array, counts: Uint16Array, seed: number, each = 4): Examples {
  // In random order, so that of images with as many patches any may come first.
  let left = Array.from(new Random(seed, "examples").shuffle(Uint32Array.from(right.keys())));
  const take = (wanted: (i: number) => boolean, order: (a: number, b: number) => number = () => 0): number[] => {
    const taken = left.filter(wanted).sort(order).slice(0, each);
    left = left.filter((i) => !taken.includes(i));
    return taken;
  };
  const isRight = (i: number) => right[i] === 1;
  return {
    cheapest: take(isRight, (a, b) => counts[a] - counts[b]),
    dearest: take(
      () => true,
      (a, b) => counts[b] - counts[a],
    ),
    right: take(isRight),
    wrong: take((i) => !isRight(i)),
  };
}
