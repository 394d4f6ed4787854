/** What acquiring needs of a trained run: a decision from the low resolution, and a class from what was acquired. */

import type { MaybePromise } from "../inference/engine.ts";
import type { Grid } from "../method/grid.ts";

/** Shapes: B batch, S image size, L low size, P patches, K classes. Images are bytes. */
export interface PatchPolicy {
  readonly model: {
    /** S, in pixels. */
    readonly imageSize: number;
    /** L, in pixels. */
    readonly lowSize: number;
    readonly grid: Grid;
  };
  /** Names, [K]. */
  readonly classes: readonly string[];
  /** Identifies the networks' weights. */
  readonly checkpoint: string;
  /**
   * @param low [B, L, L, 3]
   * @returns which patches are taken, [B, P] of 0 and 1, and the probabilities of taking them, [B, P]
   */
  decide(low: Uint8Array): MaybePromise<{ mask: Uint8Array; patches: Float32Array }>;
  /**
   * @param images [B, S, S, 3]; anything in dropped patches
   * @param mask [B, P]
   * @param low [B, L, L, 3]
   * @returns probabilities [B, K]
   */
  classify(images: Uint8Array, mask: Uint8Array, low: Uint8Array): MaybePromise<Float32Array>;
}
