/**
 * What patches are worth, learned by regression: an image is classified with some random patches, then with some more, and the
 * policy learns to say beforehand what each of the further ones adds to the reward. Its logit of a patch is the patch's value
 * in {@link valueUnit}s, so that a patch is wanted (probability ≥ ½) where its value is above 0, and raising the threshold
 * asks for a value above some price: one training gives the whole curve. Not in the paper, whose policy samples.
 *
 * Shapes: B batch, P patches.
 */
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Tried } from "./estimator.ts";
import { mostInRound } from "./rounds.ts";

/** What `--estimator` names; the other ways to learn are estimators of the expected reward's gradient. */
export const values = {
  values: {
    words: "the value of each patch, regressed on what random further patches earn (best with --reward priced)",
  },
} as const;

/** The reward that one unit of a logit stands for. A sigmoid keeps what lies within some ten of them apart. */
const valueUnit = 0.02;

/** Random numbers that an image takes. */
export const valueDraws = (patches: number): number => patches + 2;

/**
 * Two masks of each image: what is there when the policy looks, and with the patches of one more round, [B, P] each. Each round
 * is equally likely; before the first nothing is there, and before a later one any number of patches that it can find. The
 * further ones are 1 up to the most that a round may ask for; which ones is chance.
 * @param uniforms [B, P + 2], in [0, 1): which round, how many more, and the patches' order
 */
export function nestedMasks(uniforms: Tensor, rounds: number): { before: Tensor; after: Tensor } {
  const [batch, draws] = uniforms.shape;
  const patches = draws - 2;
  const most = mostInRound(patches, rounds);
  return scope(() => {
    const [round, more, order] = ops.split(uniforms, [1, 1, patches], 1);
    const earlier = ops.lessThan(ops.view(order, [batch, 1, patches]), ops.view(order, [batch, patches, 1]));
    const rank = ops.cast(ops.sum(earlier, [2]), "float32"); // how many patches come before it
    // Of round r = 0, 1, …: 0 patches, or (r − 1)·most + 1 … r·most.
    const there = ops.shift(ops.scale(round, rounds * most), -most); // [B, 1]
    const before = ops.cast(ops.atLeast(ops.subtract(there, rank), 0), "float32");
    const count = ops.sum(before, [1], true);
    const last = ops.add(count, more, most);
    return { before, after: ops.cast(ops.atLeast(ops.subtract(last, rank), 0), "float32") };
  });
}

/**
 * Mean squared error of what the policy says that the further patches add to the reward; a scalar.
 * @param logits [B, P], of the policy that saw what was there before
 */
export function valueLoss(logits: Tensor, before: Tried, after: Tried): Tensor {
  return scope(() => {
    const said = ops.scale(ops.sum(ops.mul(logits, ops.subtract(after.mask, before.mask)), [1]), valueUnit);
    const error = ops.subtract(said, ops.subtract(after.reward, before.reward));
    return ops.mean(ops.mul(error, error));
  });
}
