/**
 * The policy's distribution over masks: P independent Bernoulli variables, one per patch.
 * Source: paper, section 4.
 *
 * Shapes: B batch, P patches. Probabilities and masks are float32 [B, P]; a mask holds 0 and 1.
 */
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { full, type Tensor } from "../tensor/tensor.ts";

/** α·p + (1 − α)·(1 − p), [B, P] → [B, P]: keeps probabilities within 1 − α … α, so that every patch is still tried. */
export function bounded(probabilities: Tensor, alpha: number): Tensor {
  return scope(() => ops.shift(ops.scale(probabilities, 2 * alpha - 1), 1 - alpha));
}

/** Masks [B, P] drawn from the distribution: 1 where the uniform number [B, P] lies below the probability [B, P]. */
export function sample(probabilities: Tensor, uniforms: Tensor): Tensor {
  ops.expectShape("sample: uniforms", uniforms, probabilities.shape);
  return scope(() => ops.cast(ops.lessThan(uniforms, probabilities), "float32"));
}

/** The greedy masks, [B, P] → [B, P]: 1 where the probability is at least `at`, one half. */
export function threshold(probabilities: Tensor, at = 0.5): Tensor {
  return scope(() => ops.cast(ops.atLeast(probabilities, at), "float32"));
}

/** Number of patches that the curriculum leaves to the policy in an epoch: one more each epoch, row by row. */
export function decidedPatches(epoch: number, patches: number, curriculum: boolean): number {
  return curriculum ? Math.min(epoch + 1, patches) : patches;
}

/** Masks with only the first `decided` patches left to the policy, [B, P] → [B, P]: the others are taken. */
export function decideLeading(mask: Tensor, decided: number): Tensor {
  const [batch, patches] = mask.shape;
  if (decided >= patches) return mask;
  return scope(() => {
    const taken = full([batch, patches - decided], 1, mask.dtype, mask.device);
    return ops.concat([ops.slice(mask, 1, 0, decided), taken], 1);
  });
}

/** PyTorch's clamp of Bernoulli probabilities: float32's machine epsilon. */
const smallest = 2 ** -23;

/** log p(a_k) = a_k·log p_k + (1 − a_k)·log(1 − p_k), of probabilities and masks [B, P] → [B, P]. */
export function logProbability(probabilities: Tensor, mask: Tensor): Tensor {
  return scope(() => {
    const constant = (value: number) => full([], value, "float32", probabilities.device);
    const p = ops.minimum(ops.maximum(probabilities, constant(smallest)), constant(1 - smallest));
    const q = ops.shift(ops.neg(p), 1);
    // The mask holds 0 and 1, so the probability of what was chosen is picked rather than weighed.
    return ops.log(ops.where(ops.atLeast(mask, 0.5), p, q));
  });
}

/** Entropy of each patch's distribution, [B, P] → [B, P]; in nats. */
export function patchEntropy(probabilities: Tensor): Tensor {
  const { shape, device } = probabilities;
  return scope(() => {
    const all = (value: number) => full(shape, value, "float32", device);
    const q = ops.shift(ops.neg(probabilities), 1);
    const taken = ops.mul(probabilities, logProbability(probabilities, all(1)));
    const dropped = ops.mul(q, logProbability(probabilities, all(0)));
    return ops.neg(ops.add(taken, dropped));
  });
}

/** How a number for each patch of each image becomes one number. */
export interface Reduction {
  /** An image's patches: their mean (pretraining) or their sum (finetuning). */
  readonly over: "mean" | "sum";
  /** Number of patches that count, from the first on, since the curriculum has taken the others; all when absent. */
  readonly decided?: number | undefined;
}

/** The patches that count, of [B, P]. */
function counted(perPatch: Tensor, { decided }: Reduction): Tensor {
  return ops.slice(perPatch, 1, 0, decided ?? perPatch.shape[1]);
}

/** `factor` times the sum of [B, counted] as a mean over the images, and over all P patches where the reduction says so. */
function reduced(perPatch: Tensor, patches: number, { over }: Reduction, factor: number): Tensor {
  const [batch] = perPatch.shape;
  return ops.scale(ops.sum(perPatch), factor / (over === "mean" ? batch * patches : batch));
}

/**
 * REINFORCE: −log p(a)·A, a scalar whose gradient is the policy's.
 * @param probabilities [B, P]
 * @param mask [B, P]
 * @param advantage [B], without gradient
 */
export function policyGradientLoss(
  probabilities: Tensor,
  mask: Tensor,
  advantage: Tensor,
  reduction: Reduction,
): Tensor {
  const [batch, patches] = probabilities.shape;
  ops.expectShape("policyGradientLoss: advantage", advantage, [batch]);
  return scope(() => {
    const chosen = counted(logProbability(probabilities, mask), reduction);
    return reduced(ops.mul(chosen, ops.view(advantage, [batch, 1])), patches, reduction, -1);
  });
}

/** The mean entropy that a bonus rewards, put together as the loss that it stands beside: [B, P] → a scalar. */
export function meanPolicyEntropy(probabilities: Tensor, reduction: Reduction): Tensor {
  const [, patches] = probabilities.shape;
  return scope(() => reduced(counted(patchEntropy(probabilities), reduction), patches, reduction, 1));
}
