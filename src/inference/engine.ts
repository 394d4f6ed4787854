/**
 * What computes an opened run's networks: libtorch (libtorch-engine.ts) or ONNX Runtime (onnx-engine.ts). Pixels and masks
 * go in, numbers come out; how a batch lies in between is up to the engine.
 *
 * Shapes: B batch, S image size, L low-resolution size, C bands, P patches, K classes.
 */
import type { PixelArray } from "../utils/pixel-array.ts";

/** A value, or the promise of one: libtorch answers at once, ONNX Runtime does not. */
export type MaybePromise<T> = T | Promise<T>;

/** What is known of a batch of images. */
export interface Views {
  /** [B, S, S, C]; anything may stand in patches that are not acquired. */
  readonly images?: PixelArray;
  /** [B, L, L, C]; made of the images when absent, which of a run that has learned from pairs it can't be. */
  readonly low?: PixelArray;
}

export interface Engine {
  /** Takes a batch, of which the images or the low resolution must be known. What it holds is the caller's to free. */
  hold(views: Views): HeldBatch;
  free(): MaybePromise<void>;
}

/** What a policy that decides in rounds sees besides the images. */
export interface Acquired {
  /** What is there already, [B, P]. */
  readonly mask: Uint8Array;
  /** What the classifiers make of it, [B, K]. */
  readonly logits: Float32Array;
}

/** A batch as the engine computes with it: looked at once, classified under any number of masks. */
export interface HeldBatch {
  /**
   * The policy's probabilities to take a patch [B, P].
   * @param acquired of a policy that decides in rounds; of another it is not looked at
   * @throws internal: a run without a policy
   */
  probabilities(acquired?: Acquired): MaybePromise<Float32Array>;
  /**
   * Logits of the classes [B, K], those of two streams added.
   * @param mask [B, P]: 1 for a patch that is acquired
   */
  logits(mask: Uint8Array): MaybePromise<Float32Array>;
  free(): void;
}
