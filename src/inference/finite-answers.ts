/**
 * What networks answer must be numbers: opening a run asks each network once (nn/load-weights.ts), but sums can overflow on one
 * image alone. Its class would then be the first, with a probability of NaN.
 */
import { isNotFinite, refuseValues } from "../formats/refuse-values.ts";
import type { HeldBatch, MaybePromise } from "./engine.ts";

/** The same batch, whose answers throw "notFinite" where they hold NaN or infinity. @param where names the run in errors */
export function finiteAnswers(batch: HeldBatch, where: string): HeldBatch {
  return {
    probabilities: (acquired) => finite(batch.probabilities(acquired), "probability", where),
    logits: (mask) => finite(batch.logits(mask), "logit", where),
    free: () => batch.free(),
  };
}

function finite(answer: MaybePromise<Float32Array>, what: string, where: string): MaybePromise<Float32Array> {
  if (answer instanceof Promise) return answer.then((values) => finite(values, what, where));
  refuseValues(answer, isNotFinite, {
    where,
    rule: "must answer with finite numbers",
    what,
    next: "its weights are too large for one of these images: use an earlier or another checkpoint",
  });
  return answer;
}
