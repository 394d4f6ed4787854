/** One small case of each stage: 16 patches of 2 × 2 pixels and networks of one block a segment; a step takes milliseconds. */
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { estimatorOf } from "../../src/method/estimator.ts";
import { makeGrid } from "../../src/method/grid.ts";
import { randomMaskDraws } from "../../src/method/random-masks.ts";
import { cifarResNet } from "../../src/models/cifar-resnet.ts";
import type { Learner } from "../../src/models/networks.ts";
import type { Model } from "../../src/models/registry.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import type { Precision } from "../../src/nn/precision.ts";
import { parseOptions, type StageName, schemas, withModelDefaults } from "../../src/options/stage-options.ts";
import type { Device } from "../../src/tensor/device.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { classifierPass } from "../../src/training/classifier-training.ts";
import { finetunePass } from "../../src/training/finetune.ts";
import type { Batch, Learning, StepNumbers } from "../../src/training/learning.ts";
import { adam, pretrainPass } from "../../src/training/pretrain.ts";
import type { RunnerOptions } from "../../src/training/step-runner.ts";
import { Random } from "../../src/utils/random.ts";

export const tinyModel: Model = {
  name: "tiny",
  variant: "2019",
  arch: undefined,
  description: "for tests",
  imageSize: 8,
  lowSize: 2,
  lowInput: 8,
  grid: makeGrid(8, 2),
  dataset: "cifar10",
  transform: "cifar",
  pretrained: undefined,
  channels: 3,
  classifier: (classes) => cifarResNet({ blocks: 1, outputs: classes }),
  seesMask: false,
  lowClassifier: (classes) => cifarResNet({ blocks: 1, outputs: classes }),
  rounds: 1,
  policyHead: "mean",
  policy: cifarResNet({ blocks: 1, outputs: 16, prefix: "features.", head: "logit" }),
  policyInput: { size: 8, channels: 3 },
};
export const tinyClasses = 3;

export interface Place {
  device: Device;
  precision: Precision;
}

export interface StageCase {
  learning: RunnerOptions["learning"];
  /** A pass over a batch, and the update. */
  step(batch: Batch, lr: number): StepNumbers;
  /** The networks that learn. */
  learners: readonly Learner[];
  optimizer: Optimizer;
  free(): void;
}

/** The step functions get their networks directly; the schemas want them named. */
const unread = { load: "unread", ckpt_hr_cl: "unread", ckpt_lr_cl: "unread" };

const named = { model: tinyModel.name, variant: tinyModel.variant };

/** A stage's step on fresh networks, the same for the same stage; `given` are its flags. */
export function stageCase(stage: StageName, given: Record<string, unknown>, place: Place): StageCase {
  if (stage === "classifier_training") return classifierCase(given, place);
  return stage === "pretrain" ? pretrainCase(given, place) : finetuneCase(stage, given, place);
}

export function learner(network: Network, name: string, { device }: Place): Learner {
  const parameters = new Parameters(network, tinyModel.imageSize, device);
  parameters.initialize(new Random(1, name));
  return { network, parameters };
}

function frozen(name: string, place: Place): FrozenNetwork {
  const { network, parameters } = learner(tinyModel.classifier(tinyClasses), name, place);
  const result = new FrozenNetwork(network, parameters, place.precision);
  parameters.free();
  return result;
}

/** A case from its parts; freeing it frees them. */
function made(
  { pass, uniformsPerImage }: Pick<StageCase["learning"], "pass" | "uniformsPerImage">,
  learners: readonly Learner[],
  optimizer: Optimizer,
  frozen?: FrozenNetwork,
): StageCase {
  const names = ["agent", "resnet_hr"] as const;
  const networks = new Map(learners.map((one, n) => [names[n], one] as const));
  const step: StageCase["step"] = (batch, lr) => {
    const numbers = pass(batch);
    optimizer.update(lr);
    return numbers;
  };
  const free = () => {
    optimizer.free();
    for (const { parameters } of learners) parameters.free();
    frozen?.free();
  };
  return { learning: { pass, uniformsPerImage, networks, optimizer }, step, learners, optimizer, free };
}

function classifierCase(given: Record<string, unknown>, place: Place): StageCase {
  const options = schemas.classifier_training.parse(given);
  const setting = { model: tinyModel, ...place };
  const classifier = learner(tinyModel.classifier(tinyClasses), "classifier", place);
  const optimizer = new Optimizer(new Map([["classifier", classifier.parameters]]), {
    kind: "sgd",
    momentum: 0.9,
    weightDecay: 1e-4,
  });
  const pass: Learning["pass"] = (batch) => classifierPass(classifier, batch, { setting, options, optimizer });
  return made(
    { pass, uniformsPerImage: randomMaskDraws(options.random_masks, tinyModel.grid.patches) },
    [classifier],
    optimizer,
  );
}

function pretrainCase(given: Record<string, unknown>, place: Place): StageCase {
  const options = withModelDefaults(
    "pretrain",
    parseOptions("pretrain", { ...named, load: "unread", ckpt_hr_cl: "unread", ...given }),
  );
  const setting = { model: tinyModel, ...place };
  const policy = learner(tinyModel.policy, "policy", place);
  const judge = frozen("judge", place);
  const optimizer = new Optimizer(new Map([["policy", policy.parameters]]), adam(options));
  const pass: Learning["pass"] = (batch) => pretrainPass(policy, judge, batch, { setting, options, optimizer });
  const { drawsPerPatch } = estimatorOf(options.estimator);
  return made({ pass, uniformsPerImage: drawsPerPatch * tinyModel.grid.patches }, [policy], optimizer, judge);
}

function finetuneCase(stage: "finetune" | "finetune2stream", given: Record<string, unknown>, place: Place): StageCase {
  const { ckpt_lr_cl, ...oneStream } = unread;
  const all = { ...named, ...(stage === "finetune" ? oneStream : unread) };
  const options = withModelDefaults(stage, parseOptions(stage, { ...all, ...given }));
  const setting = { model: tinyModel, ...place };
  const policy = learner(tinyModel.policy, "policy", place);
  const classifier = learner(tinyModel.classifier(tinyClasses), "classifier", place);
  const low = stage === "finetune2stream" ? frozen("low", place) : undefined;
  const learned = new Map(Object.entries({ policy: policy.parameters, classifier: classifier.parameters }));
  const optimizer = new Optimizer(learned, adam(options));
  const pass: Learning["pass"] = (batch) =>
    finetunePass({ policy, classifier, low }, batch, { setting, options, optimizer });
  const random = randomMaskDraws(options.random_masks, tinyModel.grid.patches);
  return made({ pass, uniformsPerImage: tinyModel.grid.patches + random }, [policy, classifier], optimizer, low);
}

/** A batch of `count` images of noise [B, 3, 8, 8] and labels for the model above. */
export function noiseBatch(random: Random, count: number): Pick<Batch, "images" | "labels"> {
  const { imageSize } = tinyModel;
  const images = random.normals(new Float32Array(count * 3 * imageSize ** 2));
  const labels = BigInt64Array.from({ length: count }, () => BigInt(random.integer(tinyClasses)));
  return { images: fromArray(images, [count, 3, imageSize, imageSize]), labels: fromArray(labels, [count]) };
}

/** `length` images of noise for the model above. */
export function noiseDataset(length: number, isPaired = false): MemoryDataset {
  const random = new Random(3, "noise");
  const channels = isPaired ? 6 : 3;
  return new MemoryDataset({
    name: "noise",
    classes: Array.from({ length: tinyClasses }, (_, label) => String(label)),
    imageSize: tinyModel.imageSize,
    labels: Int32Array.from({ length }, () => random.integer(tinyClasses)),
    images: Uint8Array.from({ length: length * tinyModel.imageSize ** 2 * channels }, () => random.integer(256)),
    normalization: { mean: [0.5, 0.4, 0.3], std: [0.25, 0.2, 0.3] },
    ...(isPaired && { low: { mean: [0.1, 0.9, 0.6], std: [0.5, 0.1, 0.4] } }),
  });
}
