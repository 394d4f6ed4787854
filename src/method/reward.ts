/**
 * What a choice of patches earns.
 * Source: paper, section 4; "linear" is the authors' public code of 2019.
 *
 * Shapes: B batch, P patches, K classes.
 */
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { full, type Tensor } from "../tensor/tensor.ts";

export interface RewardOptions {
  /** quadratic: 1 − (|a|/P)² when right, else `penalty`; linear: (1 − |a|/P) + ½·[right], which has no penalty. */
  kind: "quadratic" | "linear";
  /** Reward of a wrong classification: a number below zero. */
  penalty: number;
}

/** 1 where the largest logit is the label's, else 0: float32 [B] of logits [B, K] and labels int64 [B]. */
export function correct(logits: Tensor, labels: Tensor): Tensor {
  return scope(() => ops.cast(ops.equal(ops.argmax(logits, 1), labels), "float32"));
}

/** R(a), [B], of `right` [B] and masks [B, P]. */
export function reward(right: Tensor, mask: Tensor, { kind, penalty }: RewardOptions): Tensor {
  return scope(() => {
    const share = ops.mean(mask, [1]);
    if (kind === "linear") return ops.add(ops.shift(ops.neg(share), 1), right, 0.5);
    const earned = ops.shift(ops.neg(ops.mul(share, share)), 1);
    return ops.where(ops.atLeast(right, 0.5), earned, full([], penalty, "float32", right.device));
  });
}

/** A = R(a) − R(â): how much better the sampled mask did than the greedy one (self-critical baseline). */
export function advantage(sampled: Tensor, greedy: Tensor): Tensor {
  return ops.subtract(sampled, greedy);
}
