/** What a classifier says of images of which no patch is there: asked before the first patch, and again of those that take none. */
import type { HeldBatch, MaybePromise } from "./engine.ts";

/** The same batch, which computes that once. */
export function rememberNone(batch: HeldBatch): HeldBatch {
  let ofNone: MaybePromise<Float32Array> | undefined;
  return {
    probabilities: (acquired) => batch.probabilities(acquired),
    logits(mask) {
      if (mask.includes(1)) return batch.logits(mask);
      ofNone ??= batch.logits(mask);
      return ofNone;
    },
    free: () => batch.free(),
  };
}
