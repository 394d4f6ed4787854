/** Images whose greedy mask is the sampled one are classified once: the rewards are those of classifying all twice. */
import { beforeAll, expect, it } from "vitest";
import { lowResolution, maskPatches } from "../../src/method/images.ts";
import { bounded, decideLeading, threshold } from "../../src/method/policy.ts";
import { reward } from "../../src/method/reward.ts";
import { classification } from "../../src/method/task.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { forward } from "../../src/nn/training.ts";
import { parseOptions, withModelDefaults } from "../../src/options/stage-options.ts";
import * as ops from "../../src/tensor/ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import type { Batch } from "../../src/training/learning.ts";
import { adam, pretrainPass } from "../../src/training/pretrain.ts";
import { Random } from "../../src/utils/random.ts";
import { learner, noiseBatch, tinyClasses, tinyModel } from "./cases.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const count = 300;
const { patches } = tinyModel.grid;

const cpu = { device: "cpu", precision: "fp32" } as const;

function noise(epoch: number): Batch {
  const random = new Random(5, "noise");
  return {
    ...noiseBatch(random, count),
    uniforms: fromArray(random.uniforms(new Float32Array(count * patches)), [count, patches]),
    epoch,
  };
}

/** A frozen classifier, and how many images each of its passes saw. */
const named = { model: tinyModel.name, variant: tinyModel.variant };

function counting(): { judge: FrozenNetwork; passes: number[] } {
  const { network, parameters } = learner(tinyModel.classifier(tinyClasses), "judge", cpu);
  const judge = new FrozenNetwork(network, parameters, "fp32");
  const passes: number[] = [];
  const { forward } = judge;
  judge.forward = (images: Tensor) => {
    passes.push(images.shape[0]);
    return forward.call(judge, images);
  };
  return { judge, passes };
}

it.each([
  // In its first epoch the curriculum leaves one patch to the policy, so that about half of the masks are the same.
  { epoch: 0, fill: "zero", fewer: true },
  { epoch: 1, fill: "lr", fewer: true },
  { epoch: 15, fill: "zero", fewer: false },
] as const)("epoch $epoch, fill $fill", ({ epoch, fill, fewer }) => {
  scope(() => {
    const options = withModelDefaults("pretrain", parseOptions("pretrain", { ...named, ckpt_hr_cl: "unread", fill }));
    const policy = learner(tinyModel.policy, "policy", cpu);
    const optimizer = new Optimizer(new Map([["policy", policy.parameters]]), adam(options));
    const batch = noise(epoch);
    const { judge, passes } = counting();

    const low = lowResolution(batch.images, tinyModel);
    const logits = forward(policy, low, "fp32", "batch");
    const greedy = decideLeading(threshold(bounded(ops.sigmoid(logits), options.alpha)), epoch + 1);
    const seen = maskPatches(batch.images, greedy, tinyModel.grid, fill === "lr" ? low : undefined);
    const answers = judge.forward(seen);
    const right = classification.right(answers, batch.labels);
    const outcome = { right, mask: greedy, logits: answers, targets: batch.labels };
    const expected = reward(outcome, { kind: options.reward, penalty: options.penalty });

    const setting = { model: tinyModel, precision: "fp32" } as const;
    const numbers = pretrainPass(policy, judge, batch, { setting, options, optimizer });
    expect(numbers.baselineReward!.toFloat32()).toEqual(expected.toFloat32());

    const [, sampledPass, greedyPass] = passes;
    const sampled = numbers.mask!.toFloat32();
    const chosen = greedy.toFloat32();
    const differing = Array.from({ length: count }, (_, i) => i).filter((i) =>
      chosen.subarray(i * patches, (i + 1) * patches).some((taken, p) => taken !== sampled[i * patches + p]),
    ).length;
    expect(sampledPass).toBe(count);
    expect(greedyPass).toBe(Math.min(Math.ceil(differing / 64) * 64, count));
    expect(greedyPass < count).toBe(fewer);
    optimizer.free();
    policy.parameters.free();
    judge.free();
  });
});
