/**
 * Stage 2: only the policy learns. The high-resolution classifier is frozen and judges the masked images.
 *
 * Shapes: B batch, P patches, K classes.
 */

import { savedNetwork } from "../checkpoints/open-checkpoint.ts";
import { evaluate, greedyChoice, withFrozen } from "../evaluation/evaluate.ts";
import { checkpointOf, prepare, type Setting } from "../inference/setting.ts";
import { lowResolution, maskPatches } from "../method/images.ts";
import {
  bounded,
  decidedPatches,
  decideLeading,
  entropy,
  policyGradientLoss,
  sample,
  threshold,
} from "../method/policy.ts";
import { advantage, correct, reward } from "../method/reward.ts";
import { freshNetwork, type Learner, loadNetwork, type NetworkName } from "../models/networks.ts";
import { findModel } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { Optimizer, type Rate } from "../nn/optimizer.ts";
import { forward } from "../nn/training.ts";
import type { PretrainOptions } from "../options/stage-options.ts";
import { noGradients, withGradients } from "../tensor/autograd.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
import type { Reporter } from "../utils/reporter.ts";
import { runEpochs, type StageResult } from "./epochs.ts";
import type { Batch, StepNumbers } from "./learning.ts";

export async function pretrain(options: PretrainOptions, reporter: Reporter): Promise<StageResult> {
  const model = findModel(options);
  const judge = checkpointOf("--ckpt_hr_cl", options.ckpt_hr_cl, model);
  const start = options.load === undefined ? undefined : checkpointOf("--load", options.load, model);
  const setting = await prepare(options, reporter);
  const { data, precision } = setting;
  const classifier = loadNetwork(setting, "resnet_hr", savedNetwork(judge, "resnet_hr"));
  const high = new FrozenNetwork(classifier.network, classifier.parameters, precision);
  const policy =
    start === undefined
      ? freshNetwork(setting, options.seed, "agent")
      : loadNetwork(setting, "agent", savedNetwork(start, "agent"));
  const optimizer = new Optimizer(new Map([["agent", policy.parameters]]), adam(options));
  const rewarding = { kind: options.reward, penalty: options.penalty };
  return runEpochs(
    "pretrain",
    options,
    setting,
    {
      // The classifier is saved too, as it is: a checkpoint holds all that eval needs.
      networks: new Map<NetworkName, Learner>([
        ["agent", policy],
        ["resnet_hr", classifier],
      ]),
      optimizer,
      uniformsPerImage: model.grid.patches,
      step: (batch, lr) => pretrainStep(policy, high, batch, { setting, options, optimizer, lr }),
      test: (epoch) =>
        withFrozen({ policy }, setting, async (frozen) => {
          const decided = decidedPatches(epoch, model.grid.patches, options.curriculum);
          const choose = greedyChoice(frozen.policy, decided);
          return (
            await evaluate(data.test, setting, { high, choose, fill: options.fill, reward: rewarding })
          ).metrics();
        }),
      score: (metrics) => metrics.reward!,
    },
    reporter,
  ).finally(() => high.free());
}

export function adam({ wd, clip }: { wd: number; clip?: number | undefined }) {
  return { kind: "adam", weightDecay: wd, ...(clip && { clip }) } as const;
}

interface StepContext {
  setting: Pick<Setting, "model" | "precision">;
  options: Pick<PretrainOptions, "alpha" | "beta" | "reward" | "penalty" | "curriculum" | "fill">;
  optimizer: Optimizer;
  lr: Rate;
}

/** One update of the policy: look at the low resolution, choose, classify, compare with the greedy choice, learn. */
export function pretrainStep(
  policy: Learner,
  classifier: FrozenNetwork,
  { images, labels, uniforms, epoch }: Batch,
  { setting: { model, precision }, options, optimizer, lr }: StepContext,
): StepNumbers {
  const { grid } = model;
  const rewarding = { kind: options.reward, penalty: options.penalty };
  const decided = decidedPatches(epoch, grid.patches, options.curriculum);
  const low = lowResolution(images, model);
  const fill = options.fill === "lr" ? low : undefined;
  /** Right or not, [R], on all images or on `rows` of them. */
  const judge = (mask: Tensor, rows?: Tensor) =>
    scope(() => {
      const of = (all: Tensor) => (rows === undefined ? all : ops.indexSelect(all, 0, rows));
      const seen = maskPatches(of(images), of(mask), grid, fill && of(fill));
      return correct(classifier.forward(seen), of(labels));
    });
  return withGradients(() => {
    const probabilities = bounded(
      ops.sigmoid(forward(policy.network, policy.parameters, low, precision, "train")),
      options.alpha,
    ); // [B, P]
    const judged = noGradients(() => {
      const sampled = decideLeading(sample(probabilities, uniforms), decided);
      const greedy = decideLeading(threshold(probabilities), decided);
      const right = judge(sampled);
      const earned = reward(right, sampled, rewarding);
      const baseline = reward(judgeAgain(judge, { sampled, right, greedy }), greedy, rewarding);
      return { sampled, right, earned, baseline, gain: advantage(earned, baseline) };
    });
    const loss = withEntropyBonus(
      policyGradientLoss(probabilities, judged.sampled, judged.gain, { over: "mean", decided }),
      probabilities,
      options.beta,
    );
    optimizer.step(loss, lr);
    return {
      loss,
      correct: judged.right,
      reward: judged.earned,
      baselineReward: judged.baseline,
      mask: judged.sampled,
    };
  });
}

/**
 * Right or not with the greedy masks, [B]: only images on which these are not the sampled ones are classified again. On a
 * GPU all are, since to know which would be to wait for it.
 */
function judgeAgain(
  judge: (mask: Tensor, rows?: Tensor) => Tensor,
  { sampled, right, greedy }: Record<"sampled" | "right" | "greedy", Tensor>,
): Tensor {
  if (sampled.device !== "cpu") return judge(greedy);
  const rows = rowsThatDiffer(sampled, greedy);
  if (rows.length === 0) return right;
  if (rows.length === greedy.shape[0]) return judge(greedy);
  return scope(() => {
    const index = fromArray(rows, [rows.length]);
    return ops.indexCopy(right, 0, index, judge(greedy, index));
  });
}

/** oneDNN makes new code for every number of images that it has not seen: so there are only a few. */
const granule = 64;

/** Indices of the images whose masks differ; and of others, to a multiple of {@link granule} where there are so many. */
function rowsThatDiffer(a: Tensor, b: Tensor): BigInt64Array {
  const [, patches] = a.shape;
  const same = scope(() => ops.sum(ops.cast(ops.equal(a, b), "float32"), [1])).toFloat32();
  const indices = Array.from(same.keys());
  const differing = indices.filter((i) => same[i] < patches);
  const others = indices.filter((i) => same[i] === patches);
  const filler = others.slice(0, (granule - (differing.length % granule)) % granule);
  return BigInt64Array.from([...differing, ...filler], BigInt);
}

/** loss − β·mean entropy */
export function withEntropyBonus(loss: Tensor, probabilities: Tensor, beta: number): Tensor {
  return beta === 0 ? loss : ops.subtract(loss, ops.mean(entropy(probabilities)), beta);
}
