/** Networks and optimizers against PyTorch: logits, losses, all gradients, running statistics, updates. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import { writeTorchFile } from "../../src/formats/torch-writer.ts";
import { lowResolution } from "../../src/method/images.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { multiStep, oneCycle, stepDecay } from "../../src/nn/schedules.ts";
import { type BatchNormMode, forward } from "../../src/nn/training.ts";
import { backward, withGradients } from "../../src/tensor/autograd.ts";
import * as networkOps from "../../src/tensor/network-ops.ts";
import * as ops from "../../src/tensor/ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { classifierPass } from "../../src/training/classifier-training.ts";
import { formulaWeights, hashUniform, salts } from "./formula.ts";
import { loadGolden } from "./load.ts";
import {
  changesSince,
  farthest,
  goldenBatch,
  goldenClassifier,
  goldenImages,
  goldenPolicy,
  model,
  setting,
  snapshot,
} from "./networks.ts";

const golden = loadGolden("forward");
/** float32 sums in another order; logits are of size 1 to 10. */
const logitTolerance = 2e-4;
/** Gradients, in units of a tensor's norm (summary.ts). */
const gradientTolerance = 1e-4;
/**
 * In training mode one input of the ReLU behind blocks.2.0.bn1 is 1.2e-6 in PyTorch, and another order of summation turns
 * its sign: all gradients before it move by up to some percent (2.3e-2 here), those behind it do not.
 */
const flippedTolerance = 5e-2;
const behindTheFlip = /^(blocks\.2\.[1-4]|fc)\./;

const close = (found: ArrayLike<number>, rows: readonly number[][], tolerance: number) => {
  const flat = rows.flat();
  expect(found.length).toBe(flat.length);
  const worst = flat.reduce((most, value, i) => Math.max(most, Math.abs(value - found[i])), 0);
  expect(worst).toBeLessThan(tolerance);
};

describe("the classifier", () => {
  it.each([
    ["eval", golden.classifierEval],
    ["train", golden.classifierTrain],
  ] as const)("in %s mode", (mode, expected) => {
    const { network, parameters } = goldenClassifier(golden.bases.classifier);
    parameters.requireGradient();
    scope(() => {
      const { images, labels } = goldenBatch(golden.labels);
      const { logits, loss, smoothed } = withGradients(() => {
        const logits = forward({ network, parameters }, images, "fp32", mode as BatchNormMode);
        return {
          logits,
          loss: networkOps.crossEntropy(logits, labels),
          smoothed: networkOps.crossEntropy(logits, labels, 0.1),
        };
      });
      close(logits.toFloat32(), expected.logits, logitTolerance);
      expect(loss.item()).toBeCloseTo(expected.loss, 4);
      expect(smoothed.item()).toBeCloseTo(expected.smoothedLoss, 4);
      backward(loss, [parameters.flat]);
      const worst = farthest(parameters.gradients(), expected.gradients);
      expect(worst.distance, worst.name).toBeLessThan(mode === "train" ? flippedTolerance : gradientTolerance);
      const behind = Object.entries(expected.gradients).filter(([name]) => behindTheFlip.test(name));
      const worstBehind = farthest(parameters.gradients(), Object.fromEntries(behind));
      expect(worstBehind.distance, worstBehind.name).toBeLessThan(1e-3);
    });
    if (mode === "train") {
      const worst = farthest(snapshot({ network, parameters }), golden.classifierTrain.statistics);
      expect(worst.distance, worst.name).toBeLessThan(1e-4);
      expect(parameters.batchesTracked).toBe(1);
    }
  });

  it("normalizes by the batch and leaves the running statistics alone in batch mode", () => {
    const { network, parameters } = goldenClassifier(golden.bases.classifier);
    const before = parameters.statistics.toFloat32();
    scope(() =>
      close(
        forward({ network, parameters }, goldenImages(), "fp32", "batch").toFloat32(),
        golden.classifierTrain.logits,
        logitTolerance,
      ),
    );
    expect(parameters.statistics.toFloat32()).toEqual(before);
    expect(parameters.batchesTracked).toBe(0);
  });

  it("folded and fused gives the same logits", () => {
    const { network, parameters } = goldenClassifier(golden.bases.classifier);
    const frozen = new FrozenNetwork(network, parameters, "fp32");
    scope(() => close(frozen.forward(goldenImages()).toFloat32(), golden.classifierEval.logits, logitTolerance));
    frozen.free();
  });

  it("from a PyTorch file of the authors' code gives the same logits", () => {
    const { parameters } = goldenClassifier(golden.bases.classifier);
    const folder = mkdtempSync(join(tmpdir(), "patchdrop-golden-"));
    const file = join(folder, "ckpt_E_2_A_0.643");
    // As torch.nn.DataParallel names them.
    const wrapped = [...parameters.stateDict()].map(([name, tensor]) => [`module.${name}`, tensor] as const);
    writeFileSync(file, writeTorchFile(new Map([["resnet_hr", new Map(wrapped)]])));
    const read = new Parameters(model.classifier(10), model.imageSize, "cpu");
    read.load(openCheckpoint(file).networks.get("resnet_hr")!, file);
    rmSync(folder, { recursive: true });
    scope(() => {
      const logits = forward({ network: model.classifier(10), parameters: read }, goldenImages(), "fp32", "eval");
      close(logits.toFloat32(), golden.classifierEval.logits, 1e-4);
    });
  });

  it("in bf16 stays within its precision", () => {
    const { network, parameters } = goldenClassifier(golden.bases.classifier);
    const size = Math.max(...golden.classifierEval.logits.flat().map(Math.abs));
    scope(() =>
      close(
        forward({ network, parameters }, goldenImages(), "bf16", "eval").toFloat32(),
        golden.classifierEval.logits,
        0.06 * size,
      ),
    );
  });

  it("of CIFAR-100", () => {
    const network = model.classifier(100);
    const parameters = new Parameters(network, 32, "cpu");
    const state: StateDict = new Map();
    const { shapes } = loadGolden("states").networks.classifier;
    Object.entries(shapes).forEach(([name, shape], index) => {
      const own = name.startsWith("fc.") ? [100, ...shape.slice(1)] : shape;
      state.set(name, float32Tensor(own, formulaWeights(name, own, index, golden.bases.classifier)));
    });
    parameters.load(state, "formula");
    scope(() =>
      close(
        forward({ network, parameters }, goldenImages(2), "fp32", "eval").toFloat32(),
        golden.classifier100Eval.logits,
        logitTolerance,
      ),
    );
  });
});

describe("the policy", () => {
  it.each([
    ["eval", golden.policyEval],
    ["train", golden.policyTrain],
  ] as const)("in %s mode", (mode, expected) => {
    const { network, parameters } = goldenPolicy(golden.bases.policy);
    parameters.requireGradient();
    scope(() => {
      const low = lowResolution(goldenImages(), model);
      const logits = withGradients(() => forward({ network, parameters }, low, "fp32", mode as BatchNormMode));
      close(logits.toFloat32(), expected.logits, logitTolerance);
      const weights = fromArray(
        Float32Array.from({ length: 128 }, (_, i) => hashUniform(i, salts.checksum) - 0.5),
        [8, 16],
      );
      backward(
        withGradients(() => ops.sum(ops.mul(logits, weights))),
        [parameters.flat],
      );
      const worst = farthest(parameters.gradients(), expected.gradients);
      expect(worst.distance, worst.name).toBeLessThan(1e-3);
    });
  });

  it("has the reference's parameters but for the value head that nothing uses", () => {
    const { parameters } = goldenPolicy(golden.bases.policy);
    const valueHead = 64 * 16 + 16;
    expect(parameters.count + valueHead).toBe(loadGolden("states").networks.policy.parameters);
    expect(goldenClassifier(1).parameters.count).toBe(464_154);
  });
});

describe("optimizers", () => {
  const expected = loadGolden("optimizers");

  it.each([
    ["SGD", "sgd", expected.sgd],
    ["Adam", "adam", expected.adam],
  ] as const)("%s updates as PyTorch's", (_, kind, { options, steps }) => {
    const learner = goldenClassifier(expected.bases.classifier);
    const before = snapshot(learner);
    const optimizer = new Optimizer(new Map([["c", learner.parameters]]), {
      kind,
      momentum: options.momentum ?? 0,
      weightDecay: options.weight_decay ?? 0,
    });
    for (const { loss, changes } of steps) {
      const numbers = classifierPass(learner, goldenBatch(expected.labels), {
        setting,
        options: { stream_id: "HR", label_smoothing: 0, random_masks: 0 },
        optimizer,
      });
      optimizer.update(options.lr);
      expect(numbers.loss.item()).toBeCloseTo(loss, 3);
      const worst = farthest(changesSince(before, learner), changes);
      // Adam's first steps are the gradient's sign, which the flip turns where a gradient is near zero; optimizer.test.ts
      // has the rule itself, exactly.
      expect(worst.distance, worst.name).toBeLessThan(kind === "adam" ? 0.25 : flippedTolerance);
    }
    optimizer.free();
  });

  it("clips the gradients' norm as clip_grad_norm_", () => {
    const plain = goldenClassifier(expected.bases.classifier);
    const before = snapshot(plain);
    const optimizer = new Optimizer(new Map([["c", plain.parameters]]), { kind: "sgd", clip: expected.clip.maxNorm });
    classifierPass(plain, goldenBatch(expected.labels), {
      setting,
      options: { stream_id: "HR", label_smoothing: 0, random_masks: 0 },
      optimizer,
    });
    optimizer.update(1);
    // At a learning rate of 1 and without momentum the change is the clipped gradient, negated.
    const gradients = new Map([...changesSince(before, plain)].map(([name, change]) => [name, change.map((x) => -x)]));
    const worst = farthest(gradients, expected.clip.gradients);
    expect(worst.distance, worst.name).toBeLessThan(flippedTolerance);
    expect(expected.clip.normBefore).toBeGreaterThan(expected.clip.maxNorm);
  });
});

describe("schedules", () => {
  const { multiStep: multi, step, oneCycle: cycle } = loadGolden("schedules");
  it("MultiStepLR", () => {
    const schedule = multiStep(0.1, [150, 250]);
    for (const [epoch, rate] of multi.rates) expect(schedule({ epoch, step: 0 })).toBeCloseTo(rate, 10);
  });
  it("StepLR", () => {
    const schedule = stepDecay(1e-3, 10);
    for (const [epoch, rate] of step.rates) expect(schedule({ epoch, step: 0 })).toBeCloseTo(rate, 10);
  });
  it("OneCycleLR", () => {
    const schedule = oneCycle(0.2, 100);
    for (const [at, rate] of cycle.rates) expect(schedule({ epoch: 0, step: at })).toBeCloseTo(rate, 9);
  });
});
