/** What acquiring needs of a trained run: a decision from the low resolution, and a class from what was acquired. */

import type { MaybePromise } from "../inference/engine.ts";
import type { Asked } from "../inference/look-in-rounds.ts";
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
  /** In how many rounds it decides, at most; 1 where it decides once. */
  readonly rounds: number;
  /**
   * One round.
   * @param low [B, L, L, 3]
   * @param acquired what earlier rounds brought: images [B, S, S, 3] with anything elsewhere, and which patches are there, [B, P]
   * @returns which (further) patches are taken, [B, P] of 0 and 1, and the probabilities of taking them, [B, P]
   */
  decide(low: Uint8Array, acquired: { readonly images: Uint8Array; readonly mask: Uint8Array }): MaybePromise<Asked>;
  /**
   * @param images [B, S, S, 3]; anything in dropped patches
   * @param mask [B, P]
   * @param low [B, L, L, 3]
   * @returns probabilities [B, K]
   */
  classify(images: Uint8Array, mask: Uint8Array, low: Uint8Array): MaybePromise<Float32Array>;
}
