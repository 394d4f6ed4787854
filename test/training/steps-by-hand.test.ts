/**
 * Steps whose numbers one can work out: networks of one linear layer, shown images of zeros, so that its bias is the logits,
 * and plain gradient descent with a rate of 1, so that the bias moves by the gradient.
 */
import { beforeAll, describe, expect, it } from "vitest";
import { float32Tensor } from "../../src/formats/safetensors.ts";
import { maskPatches } from "../../src/method/images.ts";
import { classification } from "../../src/method/task.ts";
import { valueDraws } from "../../src/method/values.ts";
import type { Learner } from "../../src/models/networks.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { forward } from "../../src/nn/training.ts";
import { parseOptions, withModelDefaults } from "../../src/options/stage-options.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, full, zeros } from "../../src/tensor/tensor.ts";
import { classifierPass } from "../../src/training/classifier-training.ts";
import { finetunePass } from "../../src/training/finetune.ts";
import type { Batch, StepNumbers } from "../../src/training/learning.ts";
import { pretrainPass } from "../../src/training/pretrain.ts";
import { valuePass } from "../../src/training/value-pass.ts";
import { Random } from "../../src/utils/random.ts";
import { noiseBatch, stageCase, tinyModel } from "./cases.ts";

/** Updates the networks at a rate of 1 by what a pass has left. */
function updated(numbers: StepNumbers, optimizer: Optimizer): StepNumbers {
  optimizer.update(1);
  return numbers;
}

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const setting = { model: tinyModel, precision: "fp32" } as const;
const { imageSize, grid } = tinyModel;

/** One linear layer on the mean colour; its first output also grows by `red` times the mean red, and other weights are 0. */
function linear(bias: readonly number[], red = 0): Learner {
  const network: Network = (layers, x) => layers.linear(layers.globalAveragePool(x), "fc", bias.length);
  const parameters = new Parameters(network, imageSize, "cpu");
  const weight = float32Tensor([bias.length, 3], new Float32Array(3 * bias.length).fill(red, 0, 1));
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
      updated(classifierPass(classifier, batch(0, 0), { setting, options, optimizer }), optimizer).loss.item(),
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
    const loss = scope(() =>
      updated(classifierPass(classifier, shown, { setting, options, optimizer }), optimizer).loss.item(),
    );
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
    const context = { setting, options, optimizer };
    const { loss, correct, mask } = scope(() => {
      const numbers = updated(finetunePass({ policy, classifier }, shown, context), optimizer);
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
      scope(() => updated(pretrainPass(policy, frozen, batch(0, 1), { setting, options, optimizer }), optimizer));
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
      scope(() =>
        updated(finetunePass({ policy, classifier }, batch(0, 1), { setting, options, optimizer }), optimizer),
      );
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

/** An image whose low resolution is all red, and which is black everywhere else: 4 red pixels of 64. */
function redCorners(label: number): Batch {
  const image = new Float32Array(3 * imageSize ** 2);
  for (const row of [0, 4]) for (const column of [0, 4]) image[row * imageSize + column] = 1;
  return { ...batch(label), images: fromArray(image, [1, 3, imageSize, imageSize]) };
}

describe("a classifier of the stream", () => {
  it.each([
    // The first logit is ln 4 times the mean red: of the low resolution 1, and e to its logits 4, 1, 1.
    ["LR", Math.log(6 / 4)],
    // Of the high one 1/16, and 4 to the 1/16.
    ["HR", Math.log((4 ** (1 / 16) + 2) / 4 ** (1 / 16))],
  ])("%s sees its own resolution", (stream_id, loss) => {
    const classifier = linear([0, 0, 0], Math.log(4));
    const optimizer = plain(classifier);
    const options = parseOptions("classifier_training", { stream_id });
    scope(() => {
      const numbers = updated(classifierPass(classifier, redCorners(0), { setting, options, optimizer }), optimizer);
      expect(numbers.loss.item()).toBeCloseTo(loss, 6);
      expect([...numbers.correct.toFloat32()]).toEqual([1]);
    });
    optimizer.free();
    classifier.parameters.free();
  });
});

/** A policy that wants the first four patches with a probability of 3/4 and the others with 1/4: e to its logits 3 and 1/3. */
const wanting = Array.from({ length: grid.patches }, (_, k) => (k < 4 ? Math.log(3) : -Math.log(3)));
const firstFour = wanting.map((logit) => Number(logit > 0));
const none = wanting.map(() => 0);
/** With these uniform numbers no patch is sampled; with those of {@link batch}, one half, the first four are. */
const sampleNone = () => full([1, grid.patches], 0.9, "float32", "cpu");

/** A step's numbers, read back. */
function read({ loss, correct, reward, baselineReward, mask }: StepNumbers) {
  const [right, earned, compared] = [correct, reward!, baselineReward!].map((tensor) => tensor.toFloat32()[0]);
  return { loss: loss.item(), right, earned, compared, mask: [...mask!.toFloat32()] };
}

describe("a finetuning step", () => {
  interface Given {
    flags?: Record<string, unknown>;
    /** Of the high resolution's classifier, and, with two streams, of the low one's. */
    high?: readonly number[];
    low?: readonly number[];
    red?: number;
    batch?: Batch;
  }

  function finetuned({ flags, high = [0, 0, 0], low, red, batch: given = batch(0) }: Given) {
    const stage = low === undefined ? "finetune" : "finetune2stream";
    const named = { model: "R32_C10", variant: "2019", alpha: 1, load: "unread", penalty: -0.25 };
    const paths = low === undefined ? { ckpt_hr_cl: "unread" } : { ckpt_lr_cl: "unread" };
    const options = withModelDefaults(stage, parseOptions(stage, { ...named, ...paths, ...flags }));
    const [policy, classifier] = [linear(wanting), linear(high, red)];
    const second = low && linear(low);
    const frozen = second && new FrozenNetwork(second.network, second.parameters, "fp32");
    const optimizer = plain(policy, classifier);
    const numbers = scope(() => {
      const context = { setting, options, optimizer };
      return read(updated(finetunePass({ policy, classifier, low: frozen }, given, context), optimizer));
    });
    const after = { policy: biasOf(policy), classifier: biasOf(classifier) };
    for (const used of [policy.parameters, classifier.parameters, second?.parameters, frozen, optimizer]) used?.free();
    return { ...numbers, ...after };
  }

  const [high, low] = [
    [Math.log(16), 0, 0],
    [0, Math.log(2), 0],
  ];

  it("learns the classifier on the sampled mask, and tells what came of it", () => {
    const { loss, classifier, policy, ...told } = finetuned({ high });
    // e to the logits: 16, 1, 1. What is sampled is the greedy mask, so that the policy has nothing to learn.
    expect(loss).toBeCloseTo(Math.log(18 / 16), 6);
    expect(classifier).toEqual(close([high[0] + 2 / 18, -1 / 18, -1 / 18]));
    expect(policy).toEqual(close(wanting));
    // 1 − (4/16)².
    expect(told).toEqual({ right: 1, earned: 15 / 16, compared: 15 / 16, mask: firstFour });
  });

  it("earns the penalty where it is wrong, or by the rule that is asked for", () => {
    expect(finetuned({ high, batch: batch(1) })).toMatchObject({ right: 0, earned: -0.25, compared: -0.25 });
    // (1 − 4/16) + ½.
    expect(finetuned({ high, flags: { reward: "linear" } })).toMatchObject({ earned: 1.25 });
  });

  it.each([
    // e to the sums of the logits: 16, 2, 1.
    ["sum", Math.log(19 / 16)],
    // A quarter of the patches: ¼ · ln 16 = ln 2, and ¾ · ln 2.
    ["share", Math.log((2 + 2 ** 0.75 + 1) / 2)],
  ])("with two streams mixes their logits by %s", (two_stream_mix, loss) => {
    const found = finetuned({ high, low, flags: { two_stream_mix } });
    expect(found.loss).toBeCloseTo(loss, 6);
    expect(found.right).toBe(1);
  });

  it("with two streams mixes each image's logits by its own share", () => {
    const drawn = [0.5, 0.9].flatMap((value) => Array<number>(grid.patches).fill(value));
    const uniforms = fromArray(Float32Array.from(drawn), [2, grid.patches]);
    const given = { ...batch(0, 1), uniforms };
    const { loss } = finetuned({ high, low, flags: { two_stream_mix: "share" }, batch: given });
    // Of the second image no patch is sampled, and e to its logits is 1, 2, 1: right, where the greedy mask is wrong.
    const classified = (Math.log((2 + 2 ** 0.75 + 1) / 2) + Math.log(4 / 2)) / 2;
    const advantage = 1 + 0.25;
    expect(loss).toBeCloseTo(classified - (advantage * (4 * Math.log(1 / 4) + 12 * Math.log(3 / 4))) / 2, 6);
  });

  it("with two streams is right where they are together", () => {
    // ln 16 against twice as much.
    expect(finetuned({ high, low: [0, 2 * Math.log(16), 0], batch: batch(1) })).toMatchObject({ right: 1 });
  });

  it("learns the policy by what it earned more than the greedy mask: the sum over the patches", () => {
    const given = { ...batch(0), uniforms: sampleNone() };
    const { loss, policy, ...told } = finetuned({ high, batch: given });
    expect(told).toMatchObject({ earned: 1, compared: 15 / 16, mask: none });
    // A = 1/16; log p of no patch: 4 · ln ¼ + 12 · ln ¾.
    const advantage = 1 / 16;
    expect(loss).toBeCloseTo(Math.log(18 / 16) - advantage * (4 * Math.log(1 / 4) + 12 * Math.log(3 / 4)), 6);
    // d log(1 − p)/dz = −p.
    const moved = wanting.map((logit) => logit - advantage * (logit > 0 ? 3 / 4 : 1 / 4));
    expect(policy).toEqual(close(moved));
  });

  it("bounds the probabilities that it samples by", () => {
    const given = { ...batch(0), uniforms: full([1, grid.patches], 0.7, "float32", "cpu") };
    // 0.8 · ¾ + 0.2 · ¼ = 0.65.
    expect(finetuned({ batch: given }).mask).toEqual(firstFour);
    expect(finetuned({ batch: given, flags: { alpha: 0.8 } }).mask).toEqual(none);
  });

  it.each([
    // Dropped patches show the low resolution, all red: the first logit is ln 4, and e to all 4, 1, 1.
    ["lr", Math.log(6 / 4)],
    ["zero", Math.log(3)],
  ])("fills dropped patches by %s", (fill, loss) => {
    const given = { ...redCorners(0), uniforms: sampleNone() };
    const found = finetuned({ batch: given, red: Math.log(4), flags: { fill, reward: "linear" } });
    // Right under both masks: the linear rule gives 1½ to none, 1¼ to four patches; A = ¼.
    const policy = -(1 / 4) * (4 * Math.log(1 / 4) + 12 * Math.log(3 / 4));
    expect(found).toMatchObject({ earned: 1.5, compared: 1.25 });
    expect(found.loss).toBeCloseTo(loss + policy, 6);
  });
});

describe("batch norm in finetuning", () => {
  const place = { device: "cpu", precision: "fp32" } as const;

  it.each([
    ["train", "batch", 1],
    ["frozen", "eval", 0],
  ] as const)(
    "%s normalizes as in %s, in both passes, and moves the running statistics %i times",
    (given, mode, moves) => {
      // With uniform numbers of one half, and no bound, what is sampled is the greedy mask.
      const own = stageCase("finetune", { classifier_bn: given, alpha: 1, penalty: 0 }, place);
      const other = stageCase("finetune", {}, place);
      const [, same] = other.learners;
      const images = noiseBatch(new Random(5, "noise"), 4);
      const uniforms = full([4, grid.patches], 0.5, "float32", "cpu");
      scope(() => {
        const numbers = own.step({ ...images, uniforms, epoch: 0 }, 1);
        const seen = maskPatches(images.images, numbers.mask!, grid);
        const expected = classification.loss(forward(same, seen, "fp32", mode), images.labels);
        expect(numbers.loss.item()).toBeCloseTo(expected.item(), 6);
        expect(numbers.baselineReward!.toFloat32()).toEqual(numbers.reward!.toFloat32());
      });
      const [policy, classifier] = own.learners;
      expect([policy, classifier].map(({ parameters }) => parameters.batchesTracked)).toEqual([1, moves]);
      for (const { free } of [own, other]) free();
    },
  );
});

describe("batch norm", () => {
  it.each(["classifier_training", "pretrain"] as const)("of the network that %s learns moves once a step", (stage) => {
    const own = stageCase(stage, {}, { device: "cpu", precision: "fp32" });
    const uniforms = full([4, grid.patches], 0.5, "float32", "cpu");
    for (const epoch of [0, 1]) {
      scope(() => own.step({ ...noiseBatch(new Random(5, "noise"), 4), uniforms, epoch }, 1e-3));
    }
    expect(own.learners.map(({ parameters }) => parameters.batchesTracked)).toEqual([2]);
    own.free();
  });
});

describe("a pretraining step", () => {
  function pretrained(flags: Record<string, unknown>, given: Batch, red = 0) {
    const all = { alpha: 1, ckpt_hr_cl: "unread", curriculum: false, penalty: -0.25, ...flags };
    const options = withModelDefaults(
      "pretrain",
      parseOptions("pretrain", { model: "R32_C10", variant: "2019", ...all }),
    );
    const [policy, judge] = [linear(wanting), linear([0, 1, 0], red)];
    const frozen = new FrozenNetwork(judge.network, judge.parameters, "fp32");
    const optimizer = plain(policy);
    const numbers = scope(() =>
      read(updated(pretrainPass(policy, frozen, given, { setting, options, optimizer }), optimizer)),
    );
    const after = biasOf(policy);
    for (const used of [policy.parameters, judge.parameters, frozen, optimizer]) used.free();
    return { ...numbers, policy: after };
  }

  it("learns the policy by what it earned more than the greedy mask: the mean over the patches", () => {
    const { loss, policy, ...told } = pretrained({}, { ...batch(1), uniforms: sampleNone() });
    expect(told).toEqual({ right: 1, earned: 1, compared: 15 / 16, mask: none });
    const advantage = 1 / 16;
    expect(loss).toBeCloseTo((-advantage * (4 * Math.log(1 / 4) + 12 * Math.log(3 / 4))) / 16, 6);
    const moved = wanting.map((logit) => logit - (advantage * (logit > 0 ? 3 / 4 : 1 / 4)) / 16);
    expect(policy).toEqual(close(moved));
  });

  it("takes what the curriculum has not reached, and learns of what it has", () => {
    const given = { ...batch(1), uniforms: sampleNone(), epoch: 1 };
    const { loss, policy, ...told } = pretrained({ curriculum: true }, given);
    // Of the first two patches none is sampled, and both are greedy: 14 patches against 16.
    const [earned, compared] = [1 - (14 / 16) ** 2, 0];
    expect(told).toEqual({ right: 1, earned, compared, mask: wanting.map((_, k) => Number(k >= 2)) });
    expect(loss).toBeCloseTo((-(earned - compared) * 2 * Math.log(1 / 4)) / 16, 6);
    expect(policy).toEqual(
      close(wanting.map((logit, k) => logit - (k < 2 ? ((earned - compared) * (3 / 4)) / 16 : 0))),
    );
  });

  it("earns the penalty where the judge is wrong, or by the rule that is asked for", () => {
    expect(pretrained({}, batch(0))).toMatchObject({ right: 0, earned: -0.25, compared: -0.25 });
    expect(pretrained({ reward: "linear" }, batch(1))).toMatchObject({ earned: 1.25 });
  });

  it("bounds the probabilities that it samples by", () => {
    const given = { ...batch(1), uniforms: full([1, grid.patches], 0.7, "float32", "cpu") };
    expect(pretrained({}, given).mask).toEqual(firstFour);
    expect(pretrained({ alpha: 0.8 }, given).mask).toEqual(none);
  });

  it.each([
    // Twice the mean red, all of which is there, beats the second class's logit of 1.
    ["lr", 1],
    ["zero", 0],
  ])("fills dropped patches by %s", (fill, right) => {
    expect(pretrained({ fill }, { ...redCorners(0), uniforms: sampleNone() }, 2)).toMatchObject({ right });
  });
});

describe("a step by values", () => {
  it("earns the probability that the classifier gives to the label, before and after", () => {
    // Probabilities ½, ¼, ¼, whatever patches there are.
    const [policy, classifier] = [linear(Array(grid.patches).fill(0)), linear([Math.LN2, 0, 0])];
    const judge = new FrozenNetwork(classifier.network, classifier.parameters, "fp32");
    const optimizer = plain(policy);
    const given: Batch = {
      ...batch(0, 0, 2, 2),
      uniforms: full([4, valueDraws(grid.patches)], 0.5, "float32", "cpu"),
    };
    const rewarding = { kind: "priced", penalty: 0, price: 0 } as const;
    const context = { setting, fill: "zero", rewarding, optimizer } as const;
    const found = scope(() => {
      const { correct, reward, baselineReward } = updated(valuePass(policy, judge, given, context), optimizer);
      return [correct, reward!, baselineReward!].map((tensor) => [...tensor.toFloat32()]);
    });
    const chances = close([1 / 2, 1 / 2, 1 / 4, 1 / 4]);
    expect(found).toEqual([[1, 1, 0, 0], chances, chances]);
    for (const used of [policy.parameters, classifier.parameters, judge, optimizer]) used.free();
  });
});
