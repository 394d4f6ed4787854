/**
 * Judges of the folds of the training images (cross-fitting): each image is classified by the one that did not learn from it.
 *
 * Shapes: B batch, K classes.
 */
import { filledUp } from "../inference/by-mask.ts";
import type { FrozenNetwork } from "../nn/frozen.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
import type { Judge } from "./judge-masks.ts";

export class FoldJudges implements Judge {
  readonly #judges: readonly FrozenNetwork[];

  /** @param judges one for each fold, in their order; freed with this */
  constructor(judges: readonly FrozenNetwork[]) {
    this.#judges = judges;
  }

  /** Images [B, 3, H, W] of these folds, int64 [B] → logits float32 [B, K] */
  forward(images: Tensor, folds: Tensor): Tensor {
    return (images.device === "cpu" ? byRows : byChoice)(this.#judges, images, folds);
  }

  free(): void {
    for (const judge of this.#judges) judge.free();
  }
}

/** Each judge classifies the images of its fold, filled up with others to one of few numbers. */
export function byRows(judges: readonly FrozenNetwork[], images: Tensor, folds: Tensor): Tensor {
  const foldOf = folds.toInt32();
  const count = foldOf.length;
  return scope(() => {
    const parts: Tensor[] = [];
    /** Where the logits of each image lie among those of all parts. */
    const places = new BigInt64Array(count);
    let before = 0;
    for (const [fold, judge] of judges.entries()) {
      const own = Array.from(foldOf.keys()).filter((image) => foldOf[image] === fold);
      if (own.length === 0) continue;
      const rows = filledUp(own, count);
      for (const [row, image] of rows.entries()) if (foldOf[image] === fold) places[image] = BigInt(before + row);
      before += rows.length;
      const index = () => fromArray(BigInt64Array.from(rows, BigInt), [rows.length]);
      parts.push(scope(() => judge.forward(rows.length === count ? images : ops.indexSelect(images, 0, index()))));
    }
    return ops.indexSelect(ops.concat(parts, 0), 0, fromArray(places, [count]));
  });
}

/** All judges classify all images, and each image takes its own judge's logits: nothing is read back, as a captured step needs. */
export function byChoice(judges: readonly FrozenNetwork[], images: Tensor, folds: Tensor): Tensor {
  return scope(() => {
    const column = ops.view(folds, [-1, 1]);
    const all = judges.map((judge) => judge.forward(images));
    return all.reduce((chosen, logits, fold) => ops.where(ops.atLeast(column, fold), logits, chosen));
  });
}
