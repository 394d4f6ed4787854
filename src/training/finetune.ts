/**
 * Stage 3: the policy and the high-resolution classifier learn together; and stage 4, the same with the logits of the
 * frozen low-resolution classifier added.
 *
 * Shapes: B batch, P patches, K classes.
 */
import type { DrivenPrice } from "../method/driven-price.ts";
import { estimatorOf, policyLoss } from "../method/estimator.ts";
import { acquiredView, viewsOf } from "../method/images.ts";
import { bounded } from "../method/policy.ts";
import { randomMaskDraws, randomMasks } from "../method/random-masks.ts";
import { reward, rewardingOf } from "../method/reward.ts";
import { classification } from "../method/task.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import type { Model } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { Optimizer } from "../nn/optimizer.ts";
import { type BatchNormMode, forward } from "../nn/training.ts";
import type { FinetuneOptions, TwoStreamOptions } from "../options/stage-options.ts";
import { noGradients, withGradients } from "../tensor/autograd.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { defined } from "../utils/defined.ts";
import { unprofiled } from "../utils/profile.ts";
import { checkTargetPatches, drivenPriceOf } from "./choose-price.ts";
import type { Batch, Learning, StepNumbers } from "./learning.ts";
import { adam } from "./pretrain.ts";
import { type Setting, startNetworks } from "./setting.ts";
import type { StageProfile } from "./stage-profile.ts";

/** Stage 3. */
export function finetune(options: FinetuneOptions, setting: Setting): Learning {
  checkTargetPatches(options, setting.model.grid.patches);
  const { agent, resnet_hr } = startNetworks(setting, options.seed, {
    agent: { flag: "--load", path: options.load },
    resnet_hr: { flag: "--ckpt_hr_cl", path: options.ckpt_hr_cl },
  });
  return finetuning({ policy: agent, classifier: resnet_hr }, options, setting);
}

/** Stage 4: from stage 3's policy and classifier, with the low-resolution classifier beside. */
export function finetune2stream(options: TwoStreamOptions, setting: Setting): Learning {
  checkTargetPatches(options, setting.model.grid.patches);
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
  const price = drivenPriceOf(options, setting.model.grid.patches, policy);
  return {
    networks,
    optimizer,
    uniformsPerImage:
      estimatorDraws(options, setting.model) + randomMaskDraws(options.random_masks, setting.model.grid.patches),
    rewarding: rewardingOf(options),
    price,
    pass: (batch, profile) =>
      finetunePass({ policy, classifier, low }, batch, { setting, options, price, optimizer, profile }),
    free() {
      low?.free();
      price?.free();
    },
  };
}

export interface FinetuneContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<
    FinetuneOptions,
    "alpha" | "beta" | "reward" | "penalty" | "fill" | "classifier_bn" | "policy_loss" | "estimator" | "random_masks"
  > &
    Partial<Pick<TwoStreamOptions, "two_stream_mix" | "price">>;
  /** In the place of the options' price. */
  price?: DrivenPrice | undefined;
  profile?: StageProfile | undefined;
  optimizer: Optimizer;
}

/** What the classifier sees of a batch of B images besides a mask. */
interface View {
  /** [B, 3, H, W] */
  readonly images: Tensor;
  /** [B] */
  readonly targets: Tensor;
  readonly low: Tensor;
  /** Logits of the low-resolution classifier, [B, K]; two streams only. */
  readonly lowLogits: Tensor | undefined;
}

/** One pass of policy and classifier over a batch of B images: the loss, a scalar; the others [B], the mask [B, P]. */
export function finetunePass(
  { policy, classifier, low: lowClassifier }: { policy: Learner; classifier: Learner; low?: FrozenNetwork | undefined },
  { images: pixels, labels: targets, uniforms }: Batch,
  { setting: { model, precision }, options, price, optimizer, profile = unprofiled }: FinetuneContext,
): StepNumbers {
  const { alpha, beta, fill, classifier_bn, two_stream_mix, policy_loss, random_masks } = options;
  const estimator = estimatorOf(options.estimator);
  const rewarding = rewardingOf(options, price);
  const [count] = targets.shape;
  const { images, low } = profile.of("low resolution and masks", () => viewsOf(pixels, model));
  const lowLogits = lowClassifier && profile.of("frozen classifier", () => lowClassifier.forward(low));
  const view: View = { images, targets, low, lowLogits };
  const draws = estimatorDraws(options, model);
  const again = Math.ceil(random_masks * count);
  const classify = ({ images, low, lowLogits }: View, mask: Tensor, mode: BatchNormMode) =>
    scope(() => {
      const masked = () => acquiredView(images, mask, model, fill === "lr" ? low : undefined);
      const seen = profile.of("low resolution and masks", masked);
      const batchNorm = classifier_bn === "frozen" ? "eval" : mode;
      const high = profile.of("classifier", () => forward(classifier, seen, precision, batchNorm));
      return combine(high, lowLogits, mask, two_stream_mix);
    });
  return withGradients(() => {
    const wanted = ops.sigmoid(profile.of("policy", () => forward(policy, low, precision, "train")));
    const probabilities = bounded(wanted, alpha); // [B, P]
    const [sampled, ...others] = noGradients(() => estimator.propose(probabilities, ops.slice(uniforms, 1, 0, draws)));
    // The first images of the batch once more, under random masks: a batch's order is random, too.
    const shown = again === 0 ? view : repeated(view, again);
    const masks = again === 0 ? sampled : noGradients(() => withRandomMasks(sampled, uniforms, draws, again));
    const learned = classify(shown, masks, "train"); // [B + again, K]
    const tried = noGradients(() => {
      const logits = ops.slice(learned, 0, 0, count);
      const answers = [
        { mask: sampled, logits },
        ...others.map((mask) => ({ mask, logits: classify(view, mask, "batch") })),
      ];
      return answers.map(({ mask, logits }) => {
        const right = classification.right(logits, targets); // [B]
        return { mask, right, reward: reward({ mask, logits, targets, right }, rewarding) };
      });
    });
    const ofPolicy = policyLoss(probabilities, tried, { estimator, beta, over: "sum", images: policy_loss });
    const loss = ops.add(ofPolicy, classification.loss(learned, shown.targets));
    profile.of("backward", () => optimizer.backward(loss));
    const [{ right: correct, reward: earned }] = tried;
    const share = noGradients(() => price?.shareOf(probabilities));
    return {
      loss,
      correct,
      reward: earned,
      baselineReward: estimator.baseline(tried),
      mask: sampled,
      ...defined({ share }),
    };
  });
}

function estimatorDraws({ estimator }: Pick<FinetuneOptions, "estimator">, { grid }: Model): number {
  return estimatorOf(estimator).drawsPerPatch * grid.patches;
}

/** The view with its first `count` images at the end once more. */
function repeated({ images, targets, low, lowLogits }: View, count: number): View {
  const twice = (all: Tensor) => ops.concat([all, ops.slice(all, 0, 0, count)], 0);
  return { images: twice(images), targets: twice(targets), low: twice(low), lowLogits: lowLogits && twice(lowLogits) };
}

/** Masks [B, P], and random ones for the images that are shown again: [B + again, P]. */
function withRandomMasks(masks: Tensor, uniforms: Tensor, draws: number, again: number): Tensor {
  const [, all] = uniforms.shape;
  const own = ops.slice(ops.slice(uniforms, 1, draws, all), 0, 0, again);
  return ops.concat([masks, randomMasks(own, 1)], 0);
}

/** HR + LR; or, as the 2019 code mixed them in training, r·HR + (1 − r)·LR with r the share of patches used. */
function combine(high: Tensor, low: Tensor | undefined, mask: Tensor, mix: "sum" | "share" = "sum"): Tensor {
  if (low === undefined) return high;
  return mix === "share" ? ops.lerp(low, high, ops.mean(mask, [1], true)) : ops.add(high, low);
}
