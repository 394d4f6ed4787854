/**
 * The best mask that is the same for every image, found rather than guessed: patches are added greedily, then exchanged.
 * What a mask is worth is measured by the caller, on images that it is not judged on afterwards.
 */

import { maskOf } from "../method/grid.ts";

/** What each mask [P] is worth, in their order; more is better. */
export type Worth = (masks: readonly Uint8Array[]) => Promise<readonly number[]>;

/** Exchanges of one patch that are tried one after the other, at most. */
const mostExchanges = 2;

/**
 * Patches in the order in which each adds most to those before it: the first k are a mask of k patches, and lie within
 * the first k + 1. Takes P + (P − 1) + … + 1 masks.
 * @returns the order [P], and what the first, the first two, … all of them are worth [P]
 */
export async function greedyOrder(patches: number, worth: Worth): Promise<{ order: number[]; values: number[] }> {
  const order: number[] = [];
  const values: number[] = [];
  while (order.length < patches) {
    const left = Array.from({ length: patches }, (_, k) => k).filter((k) => !order.includes(k));
    const best = await bestOf(
      left.map((k) => maskOf([...order, k], patches)),
      worth,
    );
    order.push(left[best.at]);
    values.push(best.value);
  }
  return { order, values };
}

/** The mask with a taken patch exchanged for a dropped one, again and again, while that makes it better. */
export async function exchanged(mask: Uint8Array, worth: Worth): Promise<Uint8Array> {
  let [best, [value]] = [mask, await worth([mask])];
  for (let n = 0; n < mostExchanges; n++) {
    const others = neighboursOf(best);
    if (others.length === 0) return best;
    const found = await bestOf(others, worth);
    if (found.value <= value) return best;
    [best, value] = [others[found.at], found.value];
  }
  return best;
}

/** All masks that differ from this one by one exchange. */
function neighboursOf(mask: Uint8Array): Uint8Array[] {
  const withState = (state: number) => Array.from(mask.keys()).filter((k) => mask[k] === state);
  const [dropped, taken] = [withState(0), withState(1)];
  return taken.flatMap((out) => dropped.map((entering) => mask.with(out, 0).with(entering, 1)));
}

/** Of masks that are worth the same, the first. */
async function bestOf(masks: readonly Uint8Array[], worth: Worth): Promise<{ at: number; value: number }> {
  const values = await worth(masks);
  const value = Math.max(...values);
  return { at: values.indexOf(value), value };
}
