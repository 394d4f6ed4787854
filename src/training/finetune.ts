/**
 * Stage 3: the policy and the high-resolution classifier learn together; and stage 4, the same with the logits of the
 * frozen low-resolution classifier added.
 *
 * Shapes: B batch, P patches, K classes.
 */

import { savedNetwork } from "../checkpoints/open-checkpoint.ts";
import { addStreams, evaluate, greedyChoice, withFrozen } from "../evaluation/evaluate.ts";
import { checkpointOf, prepare, type Setting } from "../inference/setting.ts";
import { lowResolution, maskPatches } from "../method/images.ts";
import { bounded, policyGradientLoss, sample, threshold } from "../method/policy.ts";
import { advantage, correct, reward } from "../method/reward.ts";
import { type Learner, loadNetwork, type NetworkName } from "../models/networks.ts";
import { findModel } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { Optimizer, type Rate } from "../nn/optimizer.ts";
import { type BatchNormMode, forward } from "../nn/training.ts";
import type { FinetuneOptions, TwoStreamOptions } from "../options/stage-options.ts";
import { noGradients, withGradients } from "../tensor/autograd.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Reporter } from "../utils/reporter.ts";
import { runEpochs, type StageResult } from "./epochs.ts";
import type { Batch, StepNumbers } from "./learning.ts";
import { adam, withEntropyBonus } from "./pretrain.ts";

/** Stage 3. */
export async function finetune(options: FinetuneOptions, reporter: Reporter): Promise<StageResult> {
  const model = findModel(options);
  const start = checkpointOf("--load", options.load, model);
  const judge = checkpointOf("--ckpt_hr_cl", options.ckpt_hr_cl, model);
  const setting = await prepare(options, reporter);
  return finetuneNetworks("finetune", options, setting, reporter, {
    policy: loadNetwork(setting, "agent", savedNetwork(start, "agent")),
    classifier: loadNetwork(setting, "resnet_hr", savedNetwork(judge, "resnet_hr")),
  });
}

/** Stage 4: from stage 3's policy and classifier, with the low-resolution classifier beside. */
export async function finetune2stream(options: TwoStreamOptions, reporter: Reporter): Promise<StageResult> {
  const model = findModel(options);
  const start = checkpointOf("--load", options.load, model);
  const judge = options.ckpt_hr_cl === undefined ? start : checkpointOf("--ckpt_hr_cl", options.ckpt_hr_cl, model);
  const low = checkpointOf("--ckpt_lr_cl", options.ckpt_lr_cl, model);
  const setting = await prepare(options, reporter);
  return finetuneNetworks("finetune2stream", options, setting, reporter, {
    policy: loadNetwork(setting, "agent", savedNetwork(start, "agent")),
    classifier: loadNetwork(setting, "resnet_hr", savedNetwork(judge, "resnet_hr")),
    lowClassifier: loadNetwork(setting, "resnet_lr", savedNetwork(low, "resnet_lr")),
  });
}

interface FinetunedNetworks {
  policy: Learner;
  classifier: Learner;
  /** Frozen; two streams only. */
  lowClassifier?: Learner;
}

async function finetuneNetworks(
  stage: "finetune" | "finetune2stream",
  options: FinetuneOptions | TwoStreamOptions,
  setting: Setting,
  reporter: Reporter,
  { policy, classifier, lowClassifier }: FinetunedNetworks,
): Promise<StageResult> {
  const { model, data, precision } = setting;
  const low = lowClassifier && new FrozenNetwork(lowClassifier.network, lowClassifier.parameters, precision);
  const learned = new Map([
    ["agent", policy.parameters],
    ["resnet_hr", classifier.parameters],
  ]);
  const optimizer = new Optimizer(learned, adam(options));
  const rewarding = { kind: options.reward, penalty: options.penalty };
  const networks = new Map<NetworkName, Learner>([
    ["agent", policy],
    ["resnet_hr", classifier],
  ]);
  if (lowClassifier !== undefined) networks.set("resnet_lr", lowClassifier);
  return runEpochs(
    stage,
    options,
    setting,
    {
      networks,
      optimizer,
      uniformsPerImage: model.grid.patches,
      step: (batch, lr) => finetuneStep({ policy, classifier, low }, batch, { setting, options, optimizer, lr }),
      test: () =>
        withFrozen({ policy, classifier }, setting, async (frozen) => {
          const choose = greedyChoice(frozen.policy, model.grid.patches);
          const evaluation = {
            high: frozen.classifier,
            choose,
            fill: options.fill,
            reward: rewarding,
            ...(low && { low }),
          };
          return (await evaluate(data.test, setting, evaluation)).metrics();
        }),
      score: (metrics) => metrics.reward!,
    },
    reporter,
  ).finally(() => low?.free());
}

export interface FinetuneContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<FinetuneOptions, "alpha" | "beta" | "reward" | "penalty" | "fill" | "classifier_bn" | "policy_loss"> &
    Partial<Pick<TwoStreamOptions, "two_stream_mix">>;
  optimizer: Optimizer;
  lr: Rate;
}

/** One update of policy and classifier. */
export function finetuneStep(
  { policy, classifier, low: lowClassifier }: { policy: Learner; classifier: Learner; low?: FrozenNetwork | undefined },
  { images, labels, uniforms }: Batch,
  { setting: { model, precision }, options, optimizer, lr }: FinetuneContext,
): StepNumbers {
  const { grid } = model;
  const rewarding = { kind: options.reward, penalty: options.penalty };
  const low = lowResolution(images, model);
  const lowLogits = lowClassifier?.forward(low); // [B, K]
  const classify = (mask: Tensor, mode: BatchNormMode) =>
    scope(() => {
      const seen = maskPatches(images, mask, grid, options.fill === "lr" ? low : undefined);
      const high = forward(
        classifier.network,
        classifier.parameters,
        seen,
        precision,
        options.classifier_bn === "frozen" ? "eval" : mode,
      );
      return combine(high, lowLogits, mask, options.two_stream_mix);
    });
  return withGradients(() => {
    const probabilities = bounded(
      ops.sigmoid(forward(policy.network, policy.parameters, low, precision, "train")),
      options.alpha,
    ); // [B, P]
    const { sampled, greedy } = noGradients(() => ({
      sampled: sample(probabilities, uniforms),
      greedy: threshold(probabilities),
    }));
    const logits = classify(sampled, "train"); // [B, K], learned
    const { right, earned, baseline, gain } = noGradients(() => {
      const right = correct(logits, labels); // [B]
      const rightGreedy = correct(classify(greedy, "batch"), labels);
      const earned = reward(right, sampled, rewarding);
      const baseline = reward(rightGreedy, greedy, rewarding);
      return { right, earned, baseline, gain: advantage(earned, baseline) };
    });
    const overImages = options.policy_loss === "sum" ? labels.shape[0] : 1;
    const policyLoss = ops.scale(policyGradientLoss(probabilities, sampled, gain, { over: "sum" }), overImages);
    const loss = ops.add(withEntropyBonus(policyLoss, probabilities, options.beta), ops.crossEntropy(logits, labels));
    optimizer.step(loss, lr);
    return { loss, correct: right, reward: earned, baselineReward: baseline, mask: sampled };
  });
}

/** HR + LR; or, as the 2019 code mixed them in training, r·HR + (1 − r)·LR with r the share of patches used. */
function combine(high: Tensor, low: Tensor | undefined, mask: Tensor, mix: "sum" | "share" = "sum"): Tensor {
  return low !== undefined && mix === "share" ? ops.lerp(low, high, ops.mean(mask, [1], true)) : addStreams(high, low);
}
