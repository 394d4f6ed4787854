/** What a stage hands to the loop that all stages share: its step, its networks, and how it is tested. */
import type { DrivenPrice } from "../method/driven-price.ts";
import type { RewardOptions } from "../method/reward.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import type { Optimizer, Rate } from "../nn/optimizer.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** One batch on the device. */
export interface Batch {
  /** Normalized, float32 [B, 3, H, W]. */
  readonly images: Tensor;
  /** int64 [B] */
  readonly labels: Tensor;
  /** float32 in [0, 1), [B, {@link Learning.uniformsPerImage}]: all the random numbers that a step takes. */
  readonly uniforms: Tensor;
  readonly epoch: number;
}

/** What a step hands back, as tensors that nobody has waited for yet. */
export interface StepNumbers {
  /** Scalar. */
  loss: Tensor;
  /** float32 [B] */
  correct: Tensor;
  reward?: Tensor | undefined;
  /** What the reward is compared with, float32 [B]. */
  baselineReward?: Tensor | undefined;
  /** float32 [B, P] */
  mask?: Tensor | undefined;
}

/** A stage, ready to learn. */
export interface Learning {
  /** Networks that checkpoints hold: those that learn, and those that a resumed run and its users need besides. */
  readonly networks: ReadonlyMap<NetworkName, Learner>;
  readonly optimizer: Optimizer;
  readonly uniformsPerImage: number;
  /** What a test's masks earn; none of a classifier alone, whose best checkpoint is the most accurate. */
  readonly rewarding: RewardOptions | undefined;
  /** A price that each step drives towards a number of patches; saved with the run's progress. */
  readonly price?: DrivenPrice | undefined;
  /** The number of patches that are left to the policy in an epoch; all when absent. */
  decided?(epoch: number): number;
  /**
   * One update; `lr` is the schedule's at this step. On a GPU it is captured and replayed: what it reads besides `batch`
   * and `lr` must not change within an epoch, and nothing is read back in it.
   */
  step(batch: Batch, lr: Rate): StepNumbers;
  /** Frees what the stage made besides its networks and its optimizer. */
  free?(): void;
}
