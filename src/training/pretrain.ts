/**
 * Stage 2: only the policy learns, from sampled masks or by values (value-pass.ts). The high-resolution classifier is frozen
 * and judges the masked images.
 *
 * Shapes: B batch, P patches, K classes.
 */
import { fault } from "../errors.ts";
import type { DrivenPrice } from "../method/driven-price.ts";
import { estimatorOf, policyLoss } from "../method/estimator.ts";
import { viewsOf } from "../method/images.ts";
import { bounded, decidedPatches, decideLeading } from "../method/policy.ts";
import { rewardingOf } from "../method/reward.ts";
import { valueDraws } from "../method/values.ts";
import type { Learner } from "../models/networks.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { Optimizer } from "../nn/optimizer.ts";
import { forward } from "../nn/training.ts";
import type { PretrainOptions } from "../options/stage-options.ts";
import { JudgedFile } from "../run/judged-file.ts";
import { noGradients, withGradients } from "../tensor/autograd.ts";
import * as ops from "../tensor/ops.ts";
import { defined } from "../utils/defined.ts";
import { unprofiled } from "../utils/profile.ts";
import { checkTargetPatches, drivenPriceOf } from "./choose-price.ts";
import { judgeMasks } from "./judge-masks.ts";
import type { Batch, Learning, StepNumbers } from "./learning.ts";
import { parametersHash } from "./many-ranks.ts";
import { type Setting, startNetworks } from "./setting.ts";
import type { StageProfile } from "./stage-profile.ts";
import { answerNames, valuePass } from "./value-pass.ts";

export function pretrain(options: PretrainOptions, setting: Setting): Learning {
  const { patches } = setting.model.grid;
  checkRounds(options.rounds, patches);
  checkTargetPatches(options, patches);
  const { agent: policy, resnet_hr: classifier } = startNetworks(setting, options.seed, {
    agent: options.load === undefined ? "fresh" : { flag: "--load", path: options.load },
    resnet_hr: { flag: "--ckpt_hr_cl", path: options.ckpt_hr_cl },
  });
  const judge = new FrozenNetwork(classifier.network, classifier.parameters, setting.precision);
  const price = drivenPriceOf(options, patches, policy);
  const optimizer = new Optimizer(new Map([["agent", policy.parameters]]), adam(options));
  const rewarding = rewardingOf(options);
  const { estimator, judge_epochs: judgedEpochs } = options;
  const judged = judgedFile(options, setting, classifier);
  const learned: Pick<Learning, "uniformsPerImage" | "decided" | "epochSeen" | "pass"> =
    estimator === "values"
      ? {
          uniformsPerImage: valueDraws(patches),
          ...(judgedEpochs !== undefined && { epochSeen: (epoch) => epoch % judgedEpochs }),
          pass: (batch, profile) =>
            valuePass(policy, judge, batch, { setting, fill: options.fill, rewarding, optimizer, judged, profile }),
        }
      : {
          uniformsPerImage: estimatorOf(estimator).drawsPerPatch * patches,
          decided: (epoch) => decidedPatches(epoch, patches, options.curriculum),
          pass: (batch, profile) => pretrainPass(policy, judge, batch, { setting, options, price, optimizer, profile }),
        };
  return {
    // The classifier is saved too, as it is: a checkpoint holds all that a resumed run and its users need.
    networks: new Map([
      ["agent", policy],
      ["resnet_hr", classifier],
    ]),
    optimizer,
    ...learned,
    rewarding,
    price,
    free() {
      judge.free();
      judged?.close();
      price?.free();
    },
  };
}

/** @throws usage: ranks that would each have a part of it, or a step that is captured and cannot be told what to read */
function judgedFile(
  options: PretrainOptions,
  { data, group, cuda, device, description, precision }: Setting,
  { parameters }: Learner,
): JudgedFile | undefined {
  const { judge_epochs, cv_dir, seed, batch_size, turns, fill, rounds } = options;
  if (judge_epochs === undefined) return undefined;
  if (group.size > 1 || cuda !== undefined) {
    const got = group.size > 1 ? `${group.size} ranks` : device;
    const next = "leave it out: the classifier then judges in every epoch";
    throw fault("usage", { where: "--judge_epochs", rule: "needs one rank, on a CPU", got, next });
  }
  const { length: images, fingerprint } = data.train;
  const judging = {
    fingerprint,
    seed,
    batch_size,
    turns,
    fill,
    rounds,
    precision,
    weights: parametersHash(parameters),
  };
  const identity = JSON.stringify({ ...judging, rewarding: rewardingOf(options), seen: description.normalization });
  return new JudgedFile(cv_dir, { images, numbers: answerNames.length, identity });
}

/** @throws usage: more rounds than patches */
export function checkRounds(rounds: number, patches: number): void {
  if (rounds <= patches) return;
  throw fault("usage", { where: "--rounds", rule: `must be at most the ${patches} patches`, got: rounds });
}

export function adam({ wd: weightDecay, clip }: { wd: number; clip?: number | undefined }) {
  return { kind: "adam", weightDecay, clip } as const;
}

interface PassContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<PretrainOptions, "alpha" | "beta" | "reward" | "penalty" | "curriculum" | "fill" | "estimator"> &
    Partial<Pick<PretrainOptions, "price">>;
  /** In the place of the options' price. */
  price?: DrivenPrice | undefined;
  optimizer: Optimizer;
  profile?: StageProfile | undefined;
}

/**
 * One pass of the policy: look at the low resolution, choose, classify, compare the rewards, learn. On a batch of B
 * images: the loss, a scalar; the others [B], the mask [B, P].
 */
export function pretrainPass(
  policy: Learner,
  judge: FrozenNetwork,
  { images: pixels, labels, uniforms, epoch }: Batch,
  { setting: { model, precision }, options, price, optimizer, profile = unprofiled }: PassContext,
): StepNumbers {
  const { grid } = model;
  const { alpha, beta, fill } = options;
  const estimator = estimatorOf(options.estimator);
  const rewarding = rewardingOf(options, price);
  const decided = decidedPatches(epoch, grid.patches, options.curriculum);
  const { images, low } = profile.of("low resolution and masks", () => viewsOf(pixels, model));
  return withGradients(() => {
    const wanted = ops.sigmoid(profile.of("policy", () => forward(policy, low, precision, "train")));
    const probabilities = bounded(wanted, alpha); // [B, P]
    const tried = noGradients(() => {
      const masks = estimator.propose(probabilities, uniforms).map((mask) => decideLeading(mask, decided));
      const seen = { images, labels, low: fill === "lr" ? low : undefined, sight: model };
      return judgeMasks(masks, judge, seen, rewarding, profile);
    });
    const loss = policyLoss(probabilities, tried, { estimator, beta, over: "mean", decided });
    profile.of("backward", () => optimizer.backward(loss));
    const [sampled] = tried;
    return {
      loss,
      correct: sampled.right,
      reward: sampled.reward,
      baselineReward: estimator.baseline(tried),
      mask: sampled.mask,
      ...defined({ share: noGradients(() => price?.shareOf(probabilities)) }),
    };
  });
}
