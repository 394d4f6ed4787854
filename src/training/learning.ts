/** What a stage hands to the loop that all stages share: its step, its networks, and how it is tested. */
import type { DrivenPrice } from "../method/driven-price.ts";
import type { RewardOptions } from "../method/reward.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import type { Optimizer } from "../nn/optimizer.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { StageProfile } from "./stage-profile.ts";

/** One batch on the device. */
export interface Batch {
  /** Normalized, float32 [B, C, H, W], or of pairs [B, 2C, H, W]: see `viewsOf` of method/images.ts. */
  readonly images: Tensor;
  /** int64 [B] */
  readonly labels: Tensor;
  /** float32 in [0, 1), [B, {@link Learning.uniformsPerImage}]: all the random numbers that a step takes. */
  readonly uniforms: Tensor;
  /** That of {@link Learning.epochSeen}. */
  readonly epoch: number;
  /** Position in the epoch of the first image, over all ranks; unknown where the step is captured. */
  readonly first?: number | undefined;
}

/** What a pass hands back, as tensors that nobody has waited for yet. */
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
  /** The share of patches that the policy takes, a scalar: what drives {@link Learning.price}. */
  share?: Tensor | undefined;
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
  /** The epoch whose images and random numbers an epoch goes through; its own when absent. */
  epochSeen?(epoch: number): number;
  /** The number of patches that are left to the policy in an epoch; all when absent. */
  decided?(epoch: number): number;
  /**
   * One pass forward and backward, which leaves its gradients to the optimizer. On a GPU it is captured and replayed: what it
   * reads besides `batch` must not change within an epoch, and nothing is read back in it.
   * @param profile where its parts are counted, if anywhere
   */
  pass(batch: Batch, profile?: StageProfile): StepNumbers;
  /** Frees what the stage made besides its networks and its optimizer. */
  free?(): void;
}
