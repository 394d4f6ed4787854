/**
 * What masks of one batch earn under a frozen classifier. An image whose mask is the same as one that was judged before is
 * not classified again.
 *
 * Shapes: B batch, P patches, K classes, R rows of a batch.
 */
import { filledUp } from "../inference/by-mask.ts";
import { type AcquiredSight, acquiredView } from "../method/images.ts";
import { type Outcome, type RewardOptions, reward } from "../method/reward.ts";
import { classification } from "../method/task.ts";
import type { FrozenNetwork } from "../nn/frozen.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
import { unprofiled } from "../utils/profile.ts";
import type { StageProfile } from "./stage-profile.ts";

/** What a classifier sees of a batch. */
export interface SeenImages {
  /** [B, 3, H, W] */
  readonly images: Tensor;
  /** int64 [B] */
  readonly labels: Tensor;
  /** What dropped patches are filled with: the low-resolution view; zeros when absent. */
  readonly low: Tensor | undefined;
  readonly sight: AcquiredSight;
}

export interface JudgedMask extends Outcome {
  /** [B] */
  readonly reward: Tensor;
}

/** Logits of all images under a mask, [B, K]. */
type Classify = (seen: SeenImages, mask: Tensor) => Tensor;

/**
 * What each of the masks earns: logits [B, K], and [B] each.
 * @param masks [B, P] each
 */
export function judgeMasks(
  masks: readonly Tensor[],
  classifier: FrozenNetwork,
  seen: SeenImages,
  rewarding: RewardOptions,
  profile: StageProfile = unprofiled,
): JudgedMask[] {
  const classify: Classify = (seen, mask) => {
    return scope(() => {
      const masked = profile.of("low resolution and masks", () =>
        acquiredView(seen.images, mask, seen.sight, seen.low),
      );
      return profile.of("frozen classifier", () => classifier.forward(masked));
    });
  };
  const judged: JudgedMask[] = [];
  for (const mask of masks) {
    const logits = logitsOf(mask, classify, seen, judged.at(-1));
    const right = classification.right(logits, seen.labels);
    const outcome = { mask, logits, right, targets: seen.labels };
    judged.push({ ...outcome, reward: reward(outcome, rewarding) });
  }
  return judged;
}

/**
 * Logits under a mask, [B, K]. On a GPU all images are classified: finding out whose masks are the same would mean
 * waiting for it.
 */
function logitsOf(mask: Tensor, classify: Classify, seen: SeenImages, before: JudgedMask | undefined): Tensor {
  if (before === undefined || mask.device !== "cpu") return classify(seen, mask);
  const rows = rowsThatDiffer(before.mask, mask);
  if (rows.length === 0) return before.logits;
  if (rows.length === mask.shape[0]) return classify(seen, mask);
  return scope(() => {
    const index = fromArray(rows, [rows.length]);
    const of = (all: Tensor) => ops.indexSelect(all, 0, index);
    const { images, low } = seen;
    const some = { ...seen, images: of(images), low: low && of(low) };
    return ops.indexCopy(before.logits, 0, index, classify(some, of(mask)));
  });
}

/** Indices of the images whose masks differ, and of others that fill them up; none where all are the same. */
function rowsThatDiffer(a: Tensor, b: Tensor): BigInt64Array {
  const [batch, patches] = a.shape;
  const same = scope(() => ops.sum(ops.cast(ops.equal(a, b), "float32"), [1])).toFloat32();
  const differing = Array.from(same.keys()).filter((i) => same[i] < patches);
  return BigInt64Array.from(filledUp(differing, batch), BigInt);
}
