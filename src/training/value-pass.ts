/**
 * Stage 2 by values (`--estimator values`): the frozen classifier reads each image with some random patches and with some
 * more, and the policy, which sees the first, learns what the others add.
 *
 * Shapes: B batch, P patches.
 */
import { roundView, viewsOf } from "../method/images.ts";
import type { RewardOptions } from "../method/reward.ts";
import { nestedMasks, valueLoss } from "../method/values.ts";
import type { Learner } from "../models/networks.ts";
import type { FrozenNetwork } from "../nn/frozen.ts";
import type { Optimizer } from "../nn/optimizer.ts";
import { forward } from "../nn/training.ts";
import { noGradients, withGradients } from "../tensor/autograd.ts";
import { unprofiled } from "../utils/profile.ts";
import { judgeMasks } from "./judge-masks.ts";
import type { Batch, StepNumbers } from "./learning.ts";
import type { Setting } from "./setting.ts";
import type { StageProfile } from "./stage-profile.ts";

interface PassContext {
  readonly setting: Pick<Setting, "model" | "precision">;
  readonly fill: "zero" | "lr";
  readonly rewarding: RewardOptions;
  readonly optimizer: Optimizer;
  readonly profile?: StageProfile | undefined;
}

/** One pass of the policy over a batch of B images: the loss, a scalar; the others [B], the mask [B, P]. */
export function valuePass(
  policy: Learner,
  classifier: FrozenNetwork,
  { images: pixels, labels, uniforms }: Batch,
  { setting: { model, precision }, fill, rewarding, optimizer, profile = unprofiled }: PassContext,
): StepNumbers {
  const { grid, rounds } = model;
  return withGradients(() => {
    const { view, before, after } = noGradients(() => {
      const { images, low } = profile.of("low resolution and masks", () => viewsOf(pixels, model));
      const masks = nestedMasks(uniforms, rounds);
      const seen = { images, labels, low: fill === "lr" ? low : undefined, grid };
      const [before, after] = judgeMasks([masks.before, masks.after], classifier, seen, rewarding, profile);
      const known = () => roundView({ images, low, grid }, before.mask, before.logits);
      const view = rounds > 1 ? profile.of("low resolution and masks", known) : low;
      return { view, before, after };
    });
    const values = profile.of("policy", () => forward(policy, view, precision, "train"));
    const loss = valueLoss(values, before, after);
    profile.of("backward", () => optimizer.backward(loss));
    return { loss, correct: after.right, reward: after.reward, baselineReward: before.reward, mask: after.mask };
  });
}
