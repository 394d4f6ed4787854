/** The stages on the formula's networks: what learns in each, and its pass. */
import type { Learner } from "../../src/models/networks.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import type { Device } from "../../src/tensor/device.ts";
import { classifierPass } from "../../src/training/classifier-training.ts";
import { finetunePass } from "../../src/training/finetune.ts";
import type { Batch, StepNumbers } from "../../src/training/learning.ts";
import { pretrainPass } from "../../src/training/pretrain.ts";
import type { ClassifierTrainingFile, PolicyStageFile } from "./load.ts";
import { goldenClassifier, goldenPolicy, setting } from "./networks.ts";

export interface LearningStage {
  /** By the names that the golden files have for them. */
  readonly learners: ReadonlyMap<"policy" | "classifier", Learner>;
  readonly optimizer: Optimizer;
  pass(batch: Batch): StepNumbers;
}

type ClassifierInputs = Pick<ClassifierTrainingFile, "bases" | "options">;
type PolicyInputs = Pick<PolicyStageFile, "bases" | "options">;

const common = { beta: 0, reward: "quadratic", fill: "zero", estimator: "self_critical", random_masks: 0 } as const;

export function classifierStage(
  { bases, options: { momentum, weight_decay: weightDecay } }: ClassifierInputs,
  stream_id: "HR" | "LR" = "HR",
  device: Device = "cpu",
): LearningStage {
  const classifier = goldenClassifier(bases.classifier, device);
  const optimizer = new Optimizer(new Map([["c", classifier.parameters]]), { kind: "sgd", momentum, weightDecay });
  const context = { setting, options: { stream_id, label_smoothing: 0, random_masks: 0 }, optimizer };
  return {
    learners: new Map([["classifier", classifier]]),
    optimizer,
    pass: (batch) => classifierPass(classifier, batch, context),
  };
}

export function pretrainStage({ bases, options }: PolicyInputs, device: Device = "cpu"): LearningStage {
  const policy = goldenPolicy(bases.policy, device);
  const judge = frozenClassifier(bases.classifier, device);
  const optimizer = new Optimizer(new Map([["agent", policy.parameters]]), { kind: "adam" });
  const { alpha, penalty, decided } = options;
  const context = { setting, options: { ...common, alpha, penalty, curriculum: decided < 16 }, optimizer };
  return {
    learners: new Map([["policy", policy]]),
    optimizer,
    pass: (batch) => pretrainPass(policy, judge, batch, context),
  };
}

/** Policy and classifier; with the low-resolution classifier's logits added where there are two streams. */
export function finetuneStage(
  { bases, options: { lr: _lr, decided: _decided, ...rules } }: PolicyInputs,
  streams: 1 | 2,
  device: Device = "cpu",
): LearningStage {
  const policy = goldenPolicy(bases.policy, device);
  const classifier = goldenClassifier(bases.classifier, device);
  const low = streams === 1 ? undefined : frozenClassifier(bases.lowClassifier, device);
  const learned = new Map([
    ["agent", policy.parameters],
    ["resnet_hr", classifier.parameters],
  ]);
  const optimizer = new Optimizer(learned, { kind: "adam" });
  const context = { setting, options: { ...common, ...rules }, optimizer };
  return {
    learners: new Map([
      ["policy", policy],
      ["classifier", classifier],
    ]),
    optimizer,
    pass: (batch) => finetunePass({ policy, classifier, low }, batch, context),
  };
}

function frozenClassifier(base: number, device: Device): FrozenNetwork {
  const { network, parameters } = goldenClassifier(base, device);
  return new FrozenNetwork(network, parameters, "fp32");
}
