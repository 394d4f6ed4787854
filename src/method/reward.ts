/**
 * What a mask earns.
 * Source: paper, section 4; "linear" is the authors' public code of 2019.
 *
 * Shapes: B batch, P patches, K classes.
 */
import * as networkOps from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { full, type Tensor } from "../tensor/tensor.ts";
import type { DrivenPrice } from "./driven-price.ts";

/** What came of a mask: all that a reward may depend on. */
export interface Outcome {
  /** 1 for an image that is classified correctly, [B]. */
  readonly right: Tensor;
  /** The patches that were taken, [B, P] of 0 and 1. */
  readonly mask: Tensor;
  /** [B, K] */
  readonly logits: Tensor;
  /** [B] */
  readonly targets: Tensor;
}

/** What rewards depend on besides the outcome. */
interface RewardNumbers {
  /** Reward of a wrong answer: a number of at most zero. */
  readonly penalty: number;
  /** What a patch costs, in units of the label's probability, a number or []; nothing when absent. */
  readonly price?: number | Tensor | undefined;
}

interface Rule {
  /** What it is, for the help. */
  readonly words: string;
  /** Which of the numbers it depends on, as words. */
  depends?(numbers: RewardNumbers): string;
  /** Each image's reward, [B]. */
  earned(outcome: Outcome, numbers: RewardNumbers): Tensor;
}

/** What `--reward` names. A new reward is one entry. */
export const rewards = {
  /** 1 − (|a|/P)² when right, else the penalty. */
  quadratic: {
    words: "the paper's",
    depends: ({ penalty }) => `penalty ${penalty}`,
    earned({ right, mask }, { penalty }) {
      const share = ops.mean(mask, [1]);
      const earned = ops.shift(ops.neg(ops.mul(share, share)), 1);
      return ops.where(ops.atLeast(right, 0.5), earned, full([], penalty, "float32", right.device));
    },
  },
  /** (1 − |a|/P) + ½·[right], which has no penalty. */
  linear: {
    words: "that of the 2019 code",
    earned: ({ right, mask }) => ops.add(ops.shift(ops.neg(ops.mean(mask, [1])), 1), right, 0.5),
  },
  /** The label's probability − price·|a|: what a mask tells the classifier, less what it costs. */
  priced: {
    words: "the label's probability minus --price a patch",
    depends: ({ price = 0 }) => `price ${price}`,
    earned({ logits, targets, mask }, { price = 0 }) {
      const labels = ops.view(targets, [-1, 1]);
      const probability = ops.view(ops.gather(networkOps.softmax(logits, 1), 1, labels), [-1]);
      const count = ops.sum(mask, [1]);
      if (typeof price === "number") return ops.subtract(probability, count, price);
      return ops.subtract(probability, ops.mul(count, price));
    },
  },
} satisfies Record<string, Rule>;

export type RewardKind = keyof typeof rewards;

export interface RewardOptions extends RewardNumbers {
  readonly kind: RewardKind;
}

/** As the options of a stage name them; a price that is driven stands in for theirs. */
export function rewardingOf(
  { reward: kind, penalty, price }: RewardNumbers & { reward: RewardKind },
  driven?: DrivenPrice,
): RewardOptions {
  return { kind, penalty, price: driven?.price ?? price };
}

/** The same text for the same reward: "quadratic, penalty -5". */
export function rewardName({ kind, ...numbers }: RewardOptions): string {
  const rule: Rule = rewards[kind];
  return [kind, ...(rule.depends === undefined ? [] : [rule.depends(numbers)])].join(", ");
}

/** R(a) of what came of masks, [B]. */
export function reward(outcome: Outcome, { kind, ...numbers }: RewardOptions): Tensor {
  const rule: Rule = rewards[kind];
  return scope(() => rule.earned(outcome, numbers));
}

/** A = R(a) − R(â): how much better the sampled mask did than the greedy one (self-critical baseline), [B] and [B] → [B]. */
export function advantage(sampled: Tensor, greedy: Tensor): Tensor {
  return ops.subtract(sampled, greedy);
}
