/**
 * What is asked of an image: what an answer costs in training and when it counts as right. Classification is the paper's;
 * another task (counts, detection) is another object of this kind.
 *
 * Shapes: B batch, K classes.
 */
import * as networkOps from "../tensor/network-ops.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface Task {
  /**
   * The loss to learn by: a scalar, the mean over the images.
   * @param logits [B, K]
   * @param targets one an image, [B]
   * @param smoothing share of the target that is spread over all answers
   */
  loss(logits: Tensor, targets: Tensor, smoothing?: number): Tensor;
  /** 1 for an answer that counts as right, else 0: float32 [B]. */
  right(logits: Tensor, targets: Tensor): Tensor;
}

/** One of K classes: cross-entropy, and right where the largest logit is the label's. */
export const classification: Task = {
  loss: (logits, labels, smoothing = 0) => networkOps.crossEntropy(logits, labels, smoothing),
  right: (logits, labels) => scope(() => ops.cast(ops.equal(ops.argmax(logits, 1), labels), "float32")),
};
