/**
 * Stage 2 by values (`--estimator values`): the frozen classifier reads each image with some random patches and with some
 * more, and the policy, which sees the first, learns what the others add.
 *
 * Shapes: B batch, P patches.
 */
import { doubtOf, roundView, viewsOf } from "../method/images.ts";
import type { RewardOptions } from "../method/reward.ts";
import { nestedMasks, valueLoss } from "../method/values.ts";
import type { Learner } from "../models/networks.ts";
import type { FrozenNetwork } from "../nn/frozen.ts";
import type { Optimizer } from "../nn/optimizer.ts";
import { forward } from "../nn/training.ts";
import type { JudgedFile } from "../run/judged-file.ts";
import { noGradients, withGradients } from "../tensor/autograd.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
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
  /** Where the classifier's answers are kept, and read in its place; it is asked in every pass when absent. */
  readonly judged?: JudgedFile | undefined;
  readonly profile?: StageProfile | undefined;
}

/** One pass of the policy over a batch of B images: the loss, a scalar; the others [B], the mask [B, P]. */
export function valuePass(
  policy: Learner,
  classifier: FrozenNetwork,
  batch: Batch,
  { setting: { model, precision }, fill, rewarding, optimizer, judged, profile = unprofiled }: PassContext,
): StepNumbers {
  const { grid, rounds } = model;
  return withGradients(() => {
    const { view, masks, answers } = noGradients(() => {
      const { images, low } = profile.of("low resolution and masks", () => viewsOf(batch.images, model));
      const masks = nestedMasks(batch.uniforms, rounds);
      const seen = { images, labels: batch.labels, low: fill === "lr" ? low : undefined, sight: model };
      const judge = (): Answers => {
        const [before, after] = judgeMasks([masks.before, masks.after], classifier, seen, rewarding, profile);
        const doubt = doubtOf(before.logits);
        return { rewardBefore: before.reward, rewardAfter: after.reward, right: after.right, doubt };
      };
      const answers = judged === undefined ? judge() : remembered(judged, batch, judge);
      const known = () => roundView({ images, low, grid }, masks.before, answers.doubt);
      const view = rounds > 1 ? profile.of("low resolution and masks", known) : low;
      return { view, masks, answers };
    });
    const { rewardBefore, rewardAfter, right: correct } = answers;
    const values = profile.of("policy", () => forward(policy, view, precision, "train"));
    const before = { mask: masks.before, reward: rewardBefore };
    const loss = valueLoss(values, before, { mask: masks.after, reward: rewardAfter });
    profile.of("backward", () => optimizer.backward(loss));
    return { loss, correct, reward: rewardAfter, baselineReward: rewardBefore, mask: masks.after };
  });
}

/**
 * What the classifier says of a batch under two masks, in the order of a file: the reward under each, whether it is right under the
 * second, and how unsure it is under the first, which a policy in rounds sees.
 */
export const answerNames = ["rewardBefore", "rewardAfter", "right", "doubt"] as const;

/** [B] each. */
type Answers = Readonly<Record<(typeof answerNames)[number], Tensor>>;

/** The answers that are on file; where there are none, the classifier's, which are then written there. */
function remembered(file: JudgedFile, { epoch, first, labels }: Batch, judge: () => Answers): Answers {
  const [count] = labels.shape;
  const part = { epoch, first: first!, count }; // no step is captured where there is a file
  const known = file.read(part);
  if (known !== undefined) {
    const all = fromArray(known, [count, answerNames.length]);
    return Object.fromEntries(answerNames.map((name, n) => [name, ops.select(all, 1, n)])) as Answers;
  }
  const answers = judge();
  const columns = answerNames.map((name) => ops.view(answers[name], [count, 1]));
  file.write(part, scope(() => ops.concat(columns, 1)).toFloat32());
  return answers;
}
