/** What acquiring needs of a trained run: a decision from the low resolution, and a class from what was acquired. */

import type { RenderingOptions } from "../data/rendering.ts";
import type { MaybePromise } from "../inference/engine.ts";
import type { Asked } from "../inference/look-in-rounds.ts";
import type { Choice } from "../method/budget.ts";
import type { Grid } from "../method/grid.ts";
import type { Exit } from "../method/leave-early.ts";
import type { PixelArray, PixelType } from "../utils/pixel-array.ts";

/** Shapes: B batch, S image size, L low size, C bands, P patches, K classes. */
export interface PatchPolicy {
  readonly model: {
    /** S, in pixels. */
    readonly imageSize: number;
    /** L, in pixels. */
    readonly lowSize: number;
    readonly grid: Grid;
  };
  /** What images are, and what a missing value of each band is; pictures when absent. */
  readonly description?: {
    readonly bands: readonly string[];
    readonly pixelType: PixelType;
    readonly normalization: { readonly mean: readonly number[] };
    /** Of the low resolution, where it is made of another picture of the same ground and not of the image. */
    readonly low?: { readonly mean: readonly number[] } | undefined;
    /** Which bands of a file, and what their values mean, unless its user says otherwise. */
    readonly rendering?: RenderingOptions | undefined;
  };
  /** The low resolution [N, C] in the units of images, where it has others. */
  shownLow?(low: PixelArray): PixelArray;
  /** Names, [K]. */
  readonly classes: readonly string[];
  /** Identifies the networks' weights. */
  readonly checkpoint: string;
  /** How it chooses from its probabilities, where it says so. */
  readonly choice?: Choice | undefined;
  /** When windows leave early; never when absent. */
  readonly exit?: Exit | undefined;
  /** In how many rounds it decides, at most; 1 where it decides once. */
  readonly rounds: number;
  /**
   * One round.
   * @param low [B, L, L, C]
   * @param acquired what earlier rounds brought: images [B, S, S, C] with anything elsewhere, and which patches are there, [B, P]
   * @returns which (further) patches are taken, [B, P] of 0 and 1, and the probabilities of taking them, [B, P]
   */
  decide(low: PixelArray, acquired: { readonly images: PixelArray; readonly mask: Uint8Array }): MaybePromise<Asked>;
  /**
   * @param images [B, S, S, C]; anything in dropped patches
   * @param mask [B, P]
   * @param low [B, L, L, C]
   * @returns probabilities [B, K]
   */
  classify(images: PixelArray, mask: Uint8Array, low: PixelArray): MaybePromise<Float32Array>;
}
