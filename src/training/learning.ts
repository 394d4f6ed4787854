/** What a stage hands to the loop that all stages share: its step, its networks, and how it is tested. */
import type { Metrics } from "../method/metrics.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import type { Optimizer, Rate } from "../nn/optimizer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** One batch on the device. */
export interface Batch {
  /** Normalized, float32 [B, 3, H, W]. */
  readonly images: Tensor;
  /** int64 [B] */
  readonly labels: Tensor;
  /** float32 in [0, 1), [B, {@link Learning.uniformsPerImage}]: all that a step draws by lot. */
  readonly uniforms: Tensor;
  readonly epoch: number;
}

/** What a step hands back, as tensors that nobody has waited for yet. */
export interface StepNumbers {
  /** Scalar. */
  loss: Tensor;
  /** float32 [B] */
  correct: Tensor;
  reward?: Tensor;
  baselineReward?: Tensor;
  /** float32 [B, P] */
  mask?: Tensor;
}

/** What a stage hands to `runEpochs`. */
export interface Learning {
  /** Networks that checkpoints hold. */
  readonly networks: ReadonlyMap<NetworkName, Learner>;
  readonly optimizer: Optimizer;
  readonly uniformsPerImage: number;
  /**
   * One update; `lr` is the schedule's at this step. On a GPU it is captured and replayed: what it reads besides `batch`
   * and `lr` must not change within an epoch, and nothing is read back in it.
   */
  step(batch: Batch, lr: Rate): StepNumbers;
  /** The test set's metrics after `epoch`. */
  test(epoch: number): Promise<Metrics>;
  /** Which checkpoint is best: larger is better. */
  score(metrics: Metrics): number;
}
