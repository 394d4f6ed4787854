/**
 * How the policy learns from what masks earn: which masks are tried, and the loss that their rewards make.
 * Source: paper, section 4 (the self-critical baseline is Rennie et al., CVPR 2017).
 *
 * Shapes: B batch, P patches.
 */
import { fault } from "../errors.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { meanPolicyEntropy, policyGradientLoss, type Reduction, sample, threshold } from "./policy.ts";
import { advantage } from "./reward.ts";

/** A mask that was tried. */
export interface Tried {
  /** [B, P] */
  readonly mask: Tensor;
  /** What it earned, [B]. */
  readonly reward: Tensor;
}

export interface Estimator {
  /** What it is, for the help. */
  readonly words: string;
  /** Random numbers per patch. */
  readonly drawsPerPatch: number;
  /**
   * The masks to try, [B, P] each. The first is the one that a classifier learns on where it learns beside the policy.
   * @param probabilities [B, P]
   * @param uniforms [B, drawsPerPatch · P], in [0, 1)
   */
  propose(probabilities: Tensor, uniforms: Tensor): readonly Tensor[];
  /** A scalar whose gradient is the policy's; `tried` are the proposed masks, in their order. */
  loss(probabilities: Tensor, tried: readonly Tried[], reduction: Reduction): Tensor;
  /** What the first mask's reward is compared with, [B]; logged as `baseline_reward`. */
  baseline(tried: readonly Tried[]): Tensor;
}

/** Masks of an image that {@link estimators.leave_one_out} tries. */
const sampledMasks = 4;

/** [B] */
function meanReward(tried: readonly Tried[]): Tensor {
  const [first, ...others] = tried.map(({ reward }) => reward);
  return scope(() =>
    ops.scale(
      others.reduce((sum, reward) => ops.add(sum, reward), first),
      1 / tried.length,
    ),
  );
}

/** What `--estimator` names. A new estimator is one entry. */
export const estimators = {
  /** The paper's. */
  self_critical: {
    words: "a sampled mask against the greedy one",
    drawsPerPatch: 1,
    propose: (probabilities, uniforms) => [sample(probabilities, uniforms), threshold(probabilities)],
    loss: (probabilities, [sampled, greedy], reduction) =>
      policyGradientLoss(probabilities, sampled.mask, advantage(sampled.reward, greedy.reward), reduction),
    baseline: ([, greedy]) => greedy.reward,
  },
  /** Kool, van Hoof, Welling, "Buy 4 REINFORCE Samples, Get a Baseline for Free!", 2019. */
  leave_one_out: {
    words: `${sampledMasks} sampled masks, each against the mean of the others`,
    drawsPerPatch: sampledMasks,
    propose(probabilities, uniforms) {
      const [, patches] = probabilities.shape;
      const draws = (n: number) => ops.slice(uniforms, 1, n * patches, (n + 1) * patches);
      return Array.from({ length: sampledMasks }, (_, n) => sample(probabilities, draws(n)));
    },
    loss(probabilities, tried, reduction) {
      const losses = tried.map(({ mask, reward }) => {
        const rest = meanReward(tried.filter((other) => other.mask !== mask));
        return policyGradientLoss(probabilities, mask, advantage(reward, rest), reduction);
      });
      return ops.scale(
        losses.reduce((sum, loss) => ops.add(sum, loss)),
        1 / tried.length,
      );
    },
    baseline: ([, ...others]) => meanReward(others),
  },
} satisfies Record<string, Estimator>;

export type EstimatorName = keyof typeof estimators;

/** @throws internal: a way to learn that is none of these, see values.ts */
export function estimatorOf(name: EstimatorName | "values"): Estimator {
  if (name === "values")
    throw fault("internal", { where: "estimator", rule: "must be one that samples masks", got: name });
  return estimators[name];
}

export interface PolicyLossOptions extends Reduction {
  readonly estimator: Estimator;
  /** β: weight of the entropy bonus. */
  readonly beta: number;
  /** Over the images of a batch: their mean, or (2019) their sum. */
  readonly images?: "mean" | "sum";
}

/**
 * The estimator's loss − β · mean entropy, both put together in the same way; a scalar.
 * @param probabilities [B, P]
 * @param tried the masks that the estimator proposed, in their order
 */
export function policyLoss(
  probabilities: Tensor,
  tried: readonly Tried[],
  { estimator, beta, images = "mean", ...reduction }: PolicyLossOptions,
): Tensor {
  const [batch] = probabilities.shape;
  return scope(() => {
    const gradient = estimator.loss(probabilities, tried, reduction);
    const bonus = () => meanPolicyEntropy(probabilities, reduction);
    const loss = beta === 0 ? gradient : ops.subtract(gradient, bonus(), beta);
    return ops.scale(loss, images === "sum" ? batch : 1);
  });
}
