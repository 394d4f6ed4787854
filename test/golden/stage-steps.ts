/**
 * One step of each stage, three times, and the evaluation, against PyTorch: same weights, batch and random numbers. The
 * same on every device.
 */
import { describe, expect, it } from "vitest";
import { lowResolution, maskPatches } from "../../src/method/images.ts";
import { MetricAccumulator } from "../../src/method/metrics.ts";
import { decidedPatches, threshold } from "../../src/method/policy.ts";
import { reward } from "../../src/method/reward.ts";
import { classification } from "../../src/method/task.ts";
import type { Learner } from "../../src/models/networks.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import type { Rate } from "../../src/nn/optimizer.ts";
import type { Device } from "../../src/tensor/device.ts";
import * as ops from "../../src/tensor/ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { classifierStage, finetuneStage, type LearningStage, pretrainStage } from "./learning-stages.ts";
import { loadGolden, type PolicyStageFile } from "./load.ts";
import {
  changesSince,
  farthest,
  goldenBatch,
  goldenClassifier,
  goldenImages,
  goldenPolicy,
  maskRows,
  model,
  snapshot,
} from "./networks.ts";

/** Values of a step; those after an update carry the update's rounding. */
const firstTolerance = 3;
/**
 * Gradients, in units of a tensor's norm; a ReLU at zero moves them by percents (see networks.test.ts). What Adam makes of
 * a gradient is its sign at first, so updates are compared by test/nn/optimizer.test.ts, for gradients that are known.
 */
const gradientTolerance = 0.1;

const rounded = (values: ArrayLike<number>) => Array.from(values, (value) => Number(value.toFixed(4)));

/** Runs a policy stage's golden steps and compares what each hands back, and the first gradients. */
function compareSteps(
  { steps, labels, options: { lr, decided } }: PolicyStageFile,
  { learners, optimizer, pass }: LearningStage,
  device: Device,
) {
  steps.forEach((expected, number) => {
    scope(() => {
      const found = pass({ ...goldenBatch(labels, number, device), epoch: decided - 1 });
      optimizer.update(rateOn(device, lr));
      const { reward: earned, baselineReward, mask } = found;
      expect(maskRows(mask!)).toEqual(expected.sampled);
      expect(Array.from(found.correct.toFloat32())).toEqual(expected.right);
      expect(rounded(earned!.toFloat32())).toEqual(rounded(expected.reward));
      expect(rounded(baselineReward!.toFloat32())).toEqual(rounded(expected.rewardGreedy));
      expect(found.loss.item()).toBeCloseTo(expected.loss, number === 0 ? firstTolerance : 1);
    });
    if (number > 0) return;
    for (const [name, { parameters }] of learners) {
      const worst = farthest(parameters.gradients(), steps[0].gradients[name]);
      expect(worst.distance, `${name}: ${worst.name}`).toBeLessThan(gradientTolerance);
    }
  });
}

/** A GPU's kernels take the learning rate from its memory. */
function rateOn(device: Device, lr: number): Rate {
  return device === "cpu" ? lr : fromArray(Float32Array.of(lr), [], device);
}

/** The tests, on a device. */
export function goldenStages(device: Device): void {
  describe("classifier_training", () => {
    const golden = loadGolden("classifier-training");

    it("three steps on high resolution", () => {
      const { learners, optimizer, pass } = classifierStage(golden, "HR", device);
      const classifier = learners.get("classifier")!;
      const before = snapshot(classifier);
      golden.steps.forEach((step, number) => {
        const { loss } = scope(() => pass(goldenBatch(golden.labels, 0, device)));
        optimizer.update(rateOn(device, golden.options.lr));
        expect(loss.item()).toBeCloseTo(step.loss, number === 0 ? 4 : 1);
        if ("changes" in step) {
          const worst = farthest(changesSince(before, classifier), step.changes.classifier);
          expect(worst.distance, worst.name).toBeLessThan(number === 0 ? 0.05 : 0.5);
        }
      });
    });

    it("the low-resolution stream", () => {
      const { pass } = classifierStage(golden, "LR", device);
      const { loss } = scope(() => pass(goldenBatch(golden.labels, 0, device)));
      expect(loss.item()).toBeCloseTo(golden.lowResolution.loss, 4);
    });
  });

  describe.each(["pretrain", "pretrain-curriculum"] as const)("%s", (name) => {
    it("three steps", () => {
      const golden = loadGolden(name);
      const { decided } = golden.options;
      // In epoch e the curriculum leaves e + 1 patches to the policy.
      expect(decidedPatches(decided - 1, 16, true)).toBe(decided);
      compareSteps(golden, pretrainStage(golden, device), device);
    });
  });

  describe.each(["finetune", "finetune2stream", "finetune2stream-2019"] as const)("%s", (name) => {
    it("three steps", () => {
      const golden = loadGolden(name);
      const stage = finetuneStage(golden, name === "finetune" ? 1 : 2, device);
      compareSteps(golden, stage, device);
      // The running statistics moved once a step, by the sampled masks.
      const { batchesTracked } = stage.learners.get("classifier")!.parameters;
      expect(batchesTracked).toBe(golden.options.classifier_bn === "train" ? 3 : 0);
    });
  });

  describe("evaluation", () => {
    const golden = loadGolden("evaluate");
    const frozen = ({ network, parameters }: Learner) => new FrozenNetwork(network, parameters, "fp32");

    it.each([
      ["one stream", golden.oneStream],
      ["two streams", golden.twoStreams],
    ] as const)("%s", (streams, expected) => {
      const policy = frozen(goldenPolicy(golden.bases.policy, device));
      const high = frozen(goldenClassifier(golden.bases.classifier, device));
      const low = streams === "two streams" ? frozen(goldenClassifier(golden.bases.lowClassifier, device)) : undefined;
      scope(() => {
        const { labels } = goldenBatch(golden.labels, 0, device);
        const images = goldenImages(8, device);
        const view = lowResolution(images, model);
        const logits = policy.forward(view);
        const flat = expected.policyLogits.flat();
        for (const [i, value] of logits.toFloat32().entries()) expect(value).toBeCloseTo(flat[i], 3);
        const mask = threshold(ops.sigmoid(logits));
        expect(maskRows(mask)).toEqual(expected.actions);
        const alone = high.forward(maskPatches(images, mask, model.grid));
        const classes = low === undefined ? alone : ops.add(alone, low.forward(view));
        const wanted = expected.logits.flat();
        for (const [i, value] of classes.toFloat32().entries()) expect(value).toBeCloseTo(wanted[i], 3);
        const right = classification.right(classes, labels);
        const rewarding = { kind: "quadratic", penalty: golden.options.penalty } as const;
        const earned = reward({ right, mask, logits: classes, targets: labels }, rewarding);
        const accumulated = new MetricAccumulator();
        accumulated.add({ correct: right.toFloat32(), reward: earned.toFloat32(), mask: mask.toFloat32() });
        const { accuracy, reward: mean, sparsity, patches_std, distinct_masks } = accumulated.metrics();
        expect(accuracy).toBeCloseTo(expected.accuracy, 6);
        expect(mean).toBeCloseTo(expected.rewardMean, 5);
        expect(sparsity).toBeCloseTo(expected.patchesMean, 6);
        expect(patches_std).toBeCloseTo(expected.patchesStd, 6);
        expect(distinct_masks).toBe(expected.distinctPolicies);
      });
    });
  });
}
