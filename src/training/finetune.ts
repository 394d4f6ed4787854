/**
 * Stage 3: the policy and the high-resolution classifier learn together; and stage 4, the same with the logits of the
 * frozen low-resolution classifier added.
 *
 * Shapes: B batch, P patches, K classes.
 */
import { estimatorOf, policyLoss } from "../method/estimator.ts";
import { lowResolution, maskPatches } from "../method/images.ts";
import { bounded } from "../method/policy.ts";
import { reward, rewardingOf } from "../method/reward.ts";
import { classification } from "../method/task.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { Optimizer, type Rate } from "../nn/optimizer.ts";
import { type BatchNormMode, forward } from "../nn/training.ts";
import type { FinetuneOptions, TwoStreamOptions } from "../options/stage-options.ts";
import { noGradients, withGradients } from "../tensor/autograd.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Batch, Learning, StepNumbers } from "./learning.ts";
import { adam } from "./pretrain.ts";
import { type Setting, startNetworks } from "./setting.ts";

/** Stage 3. */
export function finetune(options: FinetuneOptions, setting: Setting): Learning {
  const { agent, resnet_hr } = startNetworks(setting, options.seed, {
    agent: { flag: "--load", path: options.load },
    resnet_hr: { flag: "--ckpt_hr_cl", path: options.ckpt_hr_cl },
  });
  return finetuning({ policy: agent, classifier: resnet_hr }, options, setting);
}

/** Stage 4: from stage 3's policy and classifier, with the low-resolution classifier beside. */
export function finetune2stream(options: TwoStreamOptions, setting: Setting): Learning {
  const start = { flag: "--load", path: options.load };
  const { agent, resnet_hr, resnet_lr } = startNetworks(setting, options.seed, {
    agent: start,
    resnet_hr: options.ckpt_hr_cl === undefined ? start : { flag: "--ckpt_hr_cl", path: options.ckpt_hr_cl },
    resnet_lr: { flag: "--ckpt_lr_cl", path: options.ckpt_lr_cl },
  });
  return finetuning({ policy: agent, classifier: resnet_hr, lowClassifier: resnet_lr }, options, setting);
}

interface FinetunedNetworks {
  policy: Learner;
  classifier: Learner;
  /** Frozen; two streams only. */
  lowClassifier?: Learner;
}

function finetuning(
  { policy, classifier, lowClassifier }: FinetunedNetworks,
  options: FinetuneOptions | TwoStreamOptions,
  setting: Setting,
): Learning {
  const low = lowClassifier && new FrozenNetwork(lowClassifier.network, lowClassifier.parameters, setting.precision);
  const networks = new Map<NetworkName, Learner>([
    ["agent", policy],
    ["resnet_hr", classifier],
  ]);
  const learned = new Map([...networks].map(([name, { parameters }]) => [name, parameters] as const));
  if (lowClassifier !== undefined) networks.set("resnet_lr", lowClassifier);
  const optimizer = new Optimizer(learned, adam(options));
  return {
    networks,
    optimizer,
    uniformsPerImage: estimatorOf(options.estimator).drawsPerPatch * setting.model.grid.patches,
    rewarding: rewardingOf(options),
    step: (batch, lr) => finetuneStep({ policy, classifier, low }, batch, { setting, options, optimizer, lr }),
    free: () => low?.free(),
  };
}

export interface FinetuneContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<
    FinetuneOptions,
    "alpha" | "beta" | "reward" | "penalty" | "fill" | "classifier_bn" | "policy_loss" | "estimator"
  > &
    Partial<Pick<TwoStreamOptions, "two_stream_mix">>;
  optimizer: Optimizer;
  lr: Rate;
}

/** One update of policy and classifier, on a batch of B images: the loss, a scalar; the others [B], the mask [B, P]. */
export function finetuneStep(
  { policy, classifier, low: lowClassifier }: { policy: Learner; classifier: Learner; low?: FrozenNetwork | undefined },
  { images, labels: targets, uniforms }: Batch,
  { setting: { model, precision }, options, optimizer, lr }: FinetuneContext,
): StepNumbers {
  const { alpha, beta, fill, classifier_bn, two_stream_mix, policy_loss } = options;
  const estimator = estimatorOf(options.estimator);
  const rewarding = rewardingOf(options);
  const low = lowResolution(images, model);
  const lowLogits = lowClassifier?.forward(low); // [B, K]
  const classify = (mask: Tensor, mode: BatchNormMode) =>
    scope(() => {
      const seen = maskPatches(images, mask, model.grid, fill === "lr" ? low : undefined);
      const batchNorm = classifier_bn === "frozen" ? "eval" : mode;
      const high = forward(classifier, seen, precision, batchNorm);
      return combine(high, lowLogits, mask, two_stream_mix);
    });
  return withGradients(() => {
    const wanted = ops.sigmoid(forward(policy, low, precision, "train"));
    const probabilities = bounded(wanted, alpha); // [B, P]
    const [sampled, ...others] = noGradients(() => estimator.propose(probabilities, uniforms));
    const logits = classify(sampled, "train"); // [B, K], learned
    const tried = noGradients(() => {
      const answers = [{ mask: sampled, logits }, ...others.map((mask) => ({ mask, logits: classify(mask, "batch") }))];
      return answers.map(({ mask, logits }) => {
        const right = classification.right(logits, targets); // [B]
        return { mask, right, reward: reward({ mask, logits, targets, right }, rewarding) };
      });
    });
    const learned = policyLoss(probabilities, tried, { estimator, beta, over: "sum", images: policy_loss });
    const loss = ops.add(learned, classification.loss(logits, targets));
    optimizer.step(loss, lr);
    const [{ right: correct, reward: earned }] = tried;
    return { loss, correct, reward: earned, baselineReward: estimator.baseline(tried), mask: sampled };
  });
}

/** HR + LR; or, as the 2019 code mixed them in training, r·HR + (1 − r)·LR with r the share of patches used. */
function combine(high: Tensor, low: Tensor | undefined, mask: Tensor, mix: "sum" | "share" = "sum"): Tensor {
  if (low === undefined) return high;
  return mix === "share" ? ops.lerp(low, high, ops.mean(mask, [1], true)) : ops.add(high, low);
}
