/**
 * Steps whose numbers one can work out: networks of one linear layer, shown images of zeros, so that its bias is the logits,
 * and plain gradient descent with a rate of 1, so that the bias moves by the gradient.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { float32Tensor } from "../../src/formats/safetensors.ts";
import type { Learner } from "../../src/models/networks.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { type ClassifierOptions, parseOptions, withModelDefaults } from "../../src/options/stage-options.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, full, zeros } from "../../src/tensor/tensor.ts";
import { classifierStep, classifierTraining } from "../../src/training/classifier-training.ts";
import { finetuneStep } from "../../src/training/finetune.ts";
import type { Batch } from "../../src/training/learning.ts";
import { pretrainStep } from "../../src/training/pretrain.ts";
import type { Setting } from "../../src/training/setting.ts";
import { tinyModel } from "./cases.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const setting = { model: tinyModel, precision: "fp32" } as const;
const { imageSize, grid } = tinyModel;

/** One linear layer on the mean colour, with weights of 0. */
function linear(bias: readonly number[]): Learner {
  const network: Network = (layers, x) => layers.linear(layers.globalAveragePool(x), "fc", bias.length);
  const parameters = new Parameters(network, imageSize, "cpu");
  const weight = float32Tensor([bias.length, 3], new Float32Array(3 * bias.length));
  parameters.load(
    new Map([
      ["fc.weight", weight],
      ["fc.bias", float32Tensor([bias.length], Float32Array.from(bias))],
    ]),
    "by hand",
  );
  return { network, parameters };
}

function biasOf({ parameters }: Learner): number[] {
  const { data } = parameters.stateDict().get("fc.bias")!;
  return [...new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4)];
}

const plain = (...learners: Learner[]) =>
  new Optimizer(new Map(learners.map(({ parameters }, i) => [String(i), parameters])), { kind: "sgd" });

/** Images of zeros with these labels; each uniform number is one half. */
function batch(...labels: number[]): Batch {
  return {
    images: zeros([labels.length, 3, imageSize, imageSize]),
    labels: fromArray(BigInt64Array.from(labels, BigInt), [labels.length]),
    uniforms: full([labels.length, grid.patches], 0.5, "float32", "cpu"),
    epoch: 0,
  };
}

const close = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 6));

describe("the classifier's cross-entropy", () => {
  const bias = [Math.LN2, 0, 0]; // probabilities ½, ¼, ¼

  it.each([
    // −ln ½; the gradient is p − target = (½ − 1, ¼, ¼).
    [0, Math.LN2, [0.5, -0.25, -0.25]],
    // The target is 0.7·(1, 0, 0) + 0.3·(⅓, ⅓, ⅓) = (0.8, 0.1, 0.1): 0.8·ln 2 + 0.2·ln 4 = 1.2·ln 2; p − target.
    [0.3, 1.2 * Math.LN2, [0.3, -0.15, -0.15]],
    // The target is the same for all classes: ⅓·(ln 2 + 2·ln 4) = 5/3·ln 2.
    [1, (5 / 3) * Math.LN2, [-1 / 6, 1 / 12, 1 / 12]],
  ])("spreads %d of the target over all classes", (smoothing, loss, moved) => {
    const classifier = linear(bias);
    const optimizer = plain(classifier);
    const options = parseOptions("classifier_training", { label_smoothing: smoothing });
    const found = scope(() =>
      classifierStep(classifier, batch(0, 0), { setting, options, optimizer, lr: 1 }).loss.item(),
    );
    expect(found).toBeCloseTo(loss, 6);
    expect(biasOf(classifier)).toEqual(close(bias.map((before, k) => before + moved[k])));
    optimizer.free();
    classifier.parameters.free();
  });
});

describe("random masks", () => {
  // White, but black in the pixel of each block of 4 × 4 that the low resolution is made of: a dropped patch is black.
  const bytes = Float32Array.from({ length: 3 * imageSize ** 2 }, (_, at) => {
    const [x, y] = [at % imageSize, Math.floor(at / imageSize) % imageSize];
    return x % 4 === 0 && y % 4 === 0 ? 0 : 1;
  });
  /** Logits (m, m, 0) of an image whose mean is m. */
  const meanColour = () => {
    const learner = linear([0, 0, 0]);
    const { "fc.weight": _, ...rest } = Object.fromEntries(learner.parameters.stateDict());
    const weight = float32Tensor([3, 3], Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0));
    learner.parameters.load(new Map(Object.entries({ ...rest, "fc.weight": weight })), "by hand");
    return learner;
  };
  /** Cross-entropy of class 0: −ln(eᵐ / (2eᵐ + 1)) for a mean of `white` of 64 pixels. */
  const lossAt = (white: number) => Math.log(2 * Math.exp(white / 64) + 1) - white / 64;
  const withUniforms = (...rows: readonly (readonly number[])[]): Batch => ({
    ...batch(...rows.map(() => 0)),
    images: fromArray(Float32Array.from(rows.flatMap(() => [...bytes])), [rows.length, 3, imageSize, imageSize]),
    uniforms: fromArray(Float32Array.from(rows.flat()), [rows.length, rows[0].length]),
  });
  /** Patch k is taken by a chance of more than this. */
  const each = Array.from({ length: grid.patches }, (_, k) => k / grid.patches);

  it("show the classifier the low resolution in what they drop, of the share of the images that get one", () => {
    const classifier = meanColour();
    const optimizer = plain(classifier);
    const options = parseOptions("classifier_training", { random_masks: 0.5 });
    // The first gets a mask with the upper half of its patches, 8 of 16: 32 pixels, two of which are black. The second is whole.
    const shown = withUniforms([0.4, 0.5, ...each], [0.6, 0.5, ...each]);
    const loss = scope(() => classifierStep(classifier, shown, { setting, options, optimizer, lr: 1 }).loss.item());
    expect(loss).toBeCloseTo((lossAt(30) + lossAt(60)) / 2, 6);
    for (const used of [classifier.parameters, optimizer]) used.free();
  });

  it("show it a share of the batch a second time while it is finetuned", () => {
    const [policy, classifier] = [linear(Array(grid.patches).fill(1)), meanColour()];
    const optimizer = plain(policy, classifier);
    const given = { ckpt_hr_cl: "unread", load: "unread", random_masks: 0.5, fill: "lr", alpha: 1 };
    const options = withModelDefaults(
      "finetune",
      parseOptions("finetune", { model: "R32_C10", variant: "2019", ...given }),
    );
    // The policy takes every patch, of which it is sure enough for each number: its advantage is 0.
    const sampled = Array<number>(grid.patches).fill(0.5);
    const shown = withUniforms([...sampled, 0.9, 0.5, ...each], [...sampled, 0, 0, ...each]);
    const context = { setting, options, optimizer, lr: 1 };
    const { loss, correct, mask } = scope(() => {
      const numbers = finetuneStep({ policy, classifier }, shown, context);
      return {
        loss: numbers.loss.item(),
        correct: [...numbers.correct.toFloat32()],
        mask: [...numbers.mask!.toFloat32()],
      };
    });
    expect(loss).toBeCloseTo((2 * lossAt(60) + lossAt(30)) / 3, 6);
    // Those of the two images, as the policy chose.
    expect(correct).toHaveLength(2);
    expect(mask).toEqual(Array(2 * grid.patches).fill(1));
    for (const used of [policy.parameters, classifier.parameters, optimizer]) used.free();
  });

  it("are refused for the low resolution, which has no patches", async () => {
    const options = { ...parseOptions("classifier_training", { stream_id: "LR", random_masks: 0.5 }) };
    await expect(classifierTraining(options as ClassifierOptions, {} as Setting)).rejects.toThrow(
      "--random_masks: needs --stream_id HR, got 0.5; leave it out: the low resolution has no patches to drop",
    );
  });
});

describe("the entropy bonus", () => {
  // Probabilities ¾ and ¼. With uniform numbers of ½ what is sampled is the greedy mask, so that the advantage is 0, and
  // only the bonus moves the policy.
  const logit = Math.log(3);
  const logits = Array.from({ length: grid.patches }, (_, k) => (k < grid.patches / 2 ? logit : -logit));
  const flags = { alpha: 1, reward: "quadratic", ckpt_hr_cl: "unread" };

  const stages = {
    pretrain(beta: number, more: Record<string, unknown> = {}): number[] {
      const given = { ...flags, model: "R32_C10", variant: "2019", beta, curriculum: false, ...more };
      const options = withModelDefaults("pretrain", parseOptions("pretrain", given));
      const policy = linear(logits);
      const judge = linear([1, 0, 0]);
      const frozen = new FrozenNetwork(judge.network, judge.parameters, "fp32");
      const optimizer = plain(policy);
      scope(() => pretrainStep(policy, frozen, batch(0, 1), { setting, options, optimizer, lr: 1 }));
      const after = biasOf(policy);
      for (const used of [policy.parameters, judge.parameters, frozen, optimizer]) used.free();
      return after;
    },
    finetune(beta: number, more: Record<string, unknown> = {}): number[] {
      const given = { ...flags, model: "R32_C10", variant: "2019", beta, load: "unread", ...more };
      const options = withModelDefaults("finetune", parseOptions("finetune", given));
      const policy = linear(logits);
      const classifier = linear([1, 0, 0]);
      const optimizer = plain(policy, classifier);
      scope(() => finetuneStep({ policy, classifier }, batch(0, 1), { setting, options, optimizer, lr: 1 }));
      const after = biasOf(policy);
      for (const used of [policy.parameters, classifier.parameters, optimizer]) used.free();
      return after;
    },
  };

  // dH/dz = −z·p·(1 − p) with p·(1 − p) = 3/16: what a bonus with the whole weight of one patch of each image moves.
  const whole = (k: number) => -logits[k] * (3 / 16);

  it.each([
    ["pretrain: the mean over the patches", "pretrain", {}, (k: number) => whole(k) / grid.patches],
    // In its first epoch, the curriculum leaves the first patch to the policy, and counts it as one of all.
    [
      "pretrain with its curriculum: decided patches only",
      "pretrain",
      { curriculum: true },
      (k: number) => (k === 0 ? whole(k) / grid.patches : 0),
    ],
    ["finetune: the sum over the patches", "finetune", {}, whole],
    [
      "finetune with policy_loss sum: over the two images of the batch, too",
      "finetune",
      { policy_loss: "sum" },
      (k: number) => 2 * whole(k),
    ],
  ] as const)("moves each probability towards one half in %s", (_, stage, flags, moved) => {
    expect(stages[stage](0, flags)).toEqual(close(logits));
    const beta = 0.5;
    expect(stages[stage](beta, flags)).toEqual(close(logits.map((logit, k) => logit + beta * moved(k))));
  });
});
