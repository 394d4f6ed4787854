/** The golden values of `scripts/golden/make.py`, typed. B = 8 images, P = 16 patches, K = 10 classes where not said. */
import { readFileSync } from "node:fs";
import type { Summary } from "./summary.ts";

export type { Summary } from "./summary.ts";

/** Where the values come from. */
export interface Origin {
  expression: string;
  torch: string;
  script: string;
}

/** Weights and labels. The networks' bases: `formulaWeights(name, shape, index, bases.classifier)`. */
interface Inputs extends Origin {
  bases: Record<"classifier" | "policy" | "lowClassifier", number>;
  labels: number[];
}

/** By PyTorch's parameter (or buffer) name. */
export type Summaries = Record<string, Summary>;
/** A complete tensor of two dimensions, row by row. */
export type Matrix = number[][];
/** One text an image, patch 0 first: "0110…". */
export type Masks = string[];

/** What the formula makes. Digests are SHA-256, hex, of bytes or little-endian float32. */
export interface StatesFile extends Origin {
  /** The first 8 of `hashUniform(i, salt)`, by salt. */
  uniform: Record<string, number[]>;
  /** Of `formulaImages(8)`: the first 32 bytes, and a digest of all. */
  images: { first: number[]; sha256: string };
  networks: Record<"classifier" | "policy", GoldenNetwork>;
}

export interface GoldenNetwork {
  base: number;
  /** Number of learned parameters, running statistics not counted. */
  parameters: number;
  /** Of all tensors, flattened, one after the other. */
  sha256: string;
  /** By name in PyTorch's order, buffers too: the n-th entry, from 0, has the index n. */
  shapes: Record<string, number[]>;
}

interface Classified {
  logits: Matrix;
  /** Cross-entropy, mean over the batch; `smoothedLoss` with label smoothing 0.1. */
  loss: number;
  smoothedLoss: number;
  smoothedFcWeightGradient: Summary;
  /** Of `loss`, for every parameter. */
  gradients: Summaries;
}

interface PolicyLooked {
  logits: Matrix;
  /** Of Σ logits_i · (hashUniform(i, 40) − 0.5). */
  gradients: Summaries;
}

/** Networks from the formula's weights. Classifier: HR images; policy: LR images, resized back. */
export interface ForwardFile extends Inputs {
  /** The normalized images [B, 3, 32, 32]. */
  images: Summary;
  classifierEval: Classified;
  /** `statistics`: running means and variances after the pass. */
  classifierTrain: Classified & { statistics: Summaries };
  policyEval: PolicyLooked;
  policyTrain: PolicyLooked & { statistics: Summaries };
  /** The classifier of 100 classes on the first 2 images. */
  classifier100Eval: { logits: Matrix };
}

/** `changes`: parameter now − parameter before the first step, by parameter. */
interface OptimizerSteps {
  options: Record<string, number>;
  steps: { loss: number; changes: Summaries }[];
}

export interface OptimizersFile extends Inputs {
  sgd: OptimizerSteps;
  adam: OptimizerSteps;
  /** Gradients after clipping, without first elements; `normBefore` is over all parameters. */
  clip: { maxNorm: number; normBefore: number; gradients: Summaries };
}

interface Schedule {
  options: Record<string, number | number[]>;
  /** [n, learning rate of epoch or step n], n from 0. */
  rates: [n: number, rate: number][];
}

export interface SchedulesFile extends Origin {
  multiStep: Schedule;
  step: Schedule;
  oneCycle: Schedule;
}

interface LossAndGradient {
  loss: number;
  /** With respect to the policy's logits, [4, P]. */
  gradient: Matrix;
}

/** 4 images: all matrices [4, P], all lists [4]. */
export interface MethodFile extends Origin {
  options: { alpha: number; penalty: number; decided: number };
  logits: Matrix;
  uniforms: Matrix;
  right: number[];
  rightGreedy: number[];
  probabilities: Matrix;
  sampled: Masks;
  greedy: Masks;
  logProbability: Matrix;
  logProbabilitySum: number[];
  reward: number[];
  rewardGreedy: number[];
  rewardLinear: number[];
  rewardLinearGreedy: number[];
  advantage: number[];
  policyLossMean: LossAndGradient;
  policyLossSum: LossAndGradient;
  /** With the first `decided` patches decided, and the same `advantage`. `lossMask`: 1 for the terms that count. */
  curriculum: LossAndGradient & { sampled: Masks; greedy: Masks; lossMask: Masks };
  /** Of each patch, in nats. */
  entropy: Matrix;
  /** The mean over images of the sum over patches. */
  entropySum: LossAndGradient;
  /** Of `sampled`; the standard deviation divides by 4 − 1. */
  patchesMean: number;
  patchesStd: number;
  distinctPolicies: number;
  /** [4, 3, 32, 32] each: normalized images; LR 8 × 8, resized back; with zeros where `sampled` is 0. */
  images: Summary;
  lowResolution: Summary;
  masked: Summary;
}

/** State after a step, by network and name. `changes`: parameter now − parameter before the first step. */
interface After {
  changes: Record<string, Summaries>;
  statistics: Record<string, Summaries>;
}

/** Steps 1 and 3 (index 0 and 2) say what they left behind. */
export interface ClassifierTrainingFile extends Inputs {
  options: { lr: number; momentum: number; weight_decay: number };
  steps: [After & { loss: number; logits: Matrix }, { loss: number }, After & { loss: number }];
  /** The first step with `--stream_id LR`. */
  lowResolution: { logits: Matrix; loss: number };
}

export interface PolicyStep {
  policyLoss: number;
  /** Cross-entropy on the sampled masks; finetune and finetune2stream. */
  classLoss?: number;
  loss: number;
  sampled: Masks;
  greedy: Masks;
  right: number[];
  rightGreedy: number[];
  reward: number[];
  rewardGreedy: number[];
  advantage: number[];
}

interface FirstPolicyStep extends PolicyStep, After {
  policyLogits: Matrix;
  /** Bounded. */
  probabilities: Matrix;
  sampledLogits: Matrix;
  greedyLogits: Matrix;
  /** Of `loss`, by network ("policy", "classifier") and parameter. */
  gradients: Record<string, Summaries>;
}

export interface PolicyStageFile extends Inputs {
  options: {
    lr: number;
    penalty: number;
    alpha: number;
    decided: number;
    policy_loss: "mean" | "sum";
    classifier_bn: "train" | "frozen";
    two_stream_mix: "sum" | "share";
  };
  /** Step n has the uniforms of salt 30 + n. */
  steps: [FirstPolicyStep, PolicyStep, PolicyStep & After];
}

/** As /proc/cpuinfo calls it, and those of its instruction sets that `cpuFeatures` names. */
export interface Processor {
  vendor: string;
  family: string;
  model: string;
  features: string[];
}

/** A stage on two ranks, from step 0 on. */
export interface DdpStage<Options extends { lr: number } = { lr: number }> extends Omit<Inputs, keyof Origin> {
  options: Options;
  /** Of each step, by rank. */
  losses: number[][];
  /** Of all parameters and running statistics after the first step and after the last, by network and name, in 15 digits. */
  first: Record<string, Summaries>;
  last: Record<string, Summaries>;
}

/** `images` in all, of which each step takes the next `batch`; image i has the label i mod 8 of `labels`. */
export interface DdpFile extends Origin {
  processor: Processor;
  ranks: number;
  batch: number;
  images: number;
  stages: {
    classifier_training: DdpStage<ClassifierTrainingFile["options"]>;
    pretrain: DdpStage<PolicyStageFile["options"]>;
    finetune: DdpStage<PolicyStageFile["options"]>;
    finetune2stream: DdpStage<PolicyStageFile["options"]>;
  };
}

interface Evaluated {
  policyLogits: Matrix;
  actions: Masks;
  logits: Matrix;
  right: number[];
  reward: number[];
  accuracy: number;
  rewardMean: number;
  patchesMean: number;
  patchesStd: number;
  distinctPolicies: number;
}

export interface EvaluateFile extends Inputs {
  options: { penalty: number };
  oneStream: Evaluated;
  twoStreams: Evaluated;
}

/** A larger network: its images are square with side `size`, normalized as ImageNet; labels 0, 1, 2, 3. */
export interface GoldenResNet {
  size: number;
  /** By name in PyTorch's order: the n-th entry has the index n. */
  shapes: Record<string, number[]>;
  eval: { logits: Matrix; loss: number; gradients: Summaries };
  train: { logits: Matrix; loss: number; gradients: Summaries; statistics: Summaries };
}

/** All networks with the same first salt. */
export interface ResNetsFile extends Origin {
  torchvision: string;
  base: number;
  images: number;
  networks: Record<string, GoldenResNet>;
}

/** The formula's weights, those of batch norms times `weight` and `bias`; images of side `size`. */
interface ScaledPass {
  size: number;
  weight: number;
  bias: number;
  logits: Matrix;
}

/** EfficientNet-Lite0; labels 0, 1, 2, 3. */
export interface EfficientNetFile extends Origin {
  base: number;
  images: number;
  shapes: Record<string, number[]>;
  eval: ScaledPass;
  train: ScaledPass & { loss: number; gradients: Summaries; statistics: Summaries };
  /** From the weights that were trained on ImageNet: by image, its logits' summary and the largest one's class. */
  imagenet: { size: number; images: number; logits: Summary[]; classes: number[] };
}

/** The network of the CIFAR-10 speed runs; labels 0, 1, … 7. */
export interface SpeedRunFile extends Origin {
  base: number;
  images: number;
  lr: number;
  momentum: number;
  shapes: Record<string, number[]>;
  eval: number[][];
  /** Logits, gradients and statistics are of the first. */
  steps: [SpeedRunStep & { logits: number[][]; gradients: Summaries; statistics: Summaries }, SpeedRunStep];
}

interface SpeedRunStep {
  loss: number;
  changes: Summaries;
}

/** The classifier that works on the patches that are there; labels 0, 1, … 7. */
export interface PatchNetFile extends Origin {
  base: number;
  /** [8, 16] */
  masks: number[][];
  /** Images of 64 pixels are those of 32 with each pixel repeated. */
  sides: {
    side: number;
    shapes: Record<string, number[]>;
    eval: number[][];
    loss: number;
    logits: number[][];
    gradients: Summaries;
    statistics: Summaries;
  }[];
}

interface GoldenFiles {
  "patch-net": PatchNetFile;
  speedrun: SpeedRunFile;
  efficientnet: EfficientNetFile;
  resnets: ResNetsFile;
  states: StatesFile;
  forward: ForwardFile;
  optimizers: OptimizersFile;
  schedules: SchedulesFile;
  method: MethodFile;
  "classifier-training": ClassifierTrainingFile;
  pretrain: PolicyStageFile;
  "pretrain-curriculum": PolicyStageFile;
  ddp: DdpFile;
  finetune: PolicyStageFile;
  finetune2stream: PolicyStageFile;
  "finetune2stream-2019": PolicyStageFile;
  evaluate: EvaluateFile;
}

/** Reads `test/golden/NAME.json`. */
export function loadGolden<Name extends keyof GoldenFiles>(name: Name): GoldenFiles[Name] {
  return JSON.parse(readFileSync(new URL(`./${name}.json`, import.meta.url), "utf8")) as GoldenFiles[Name];
}
