/**
 * Holds a trained run against the baselines of the method on one split: all patches, none (the low-resolution
 * classifier), and fixed and random choices with just as many patches an image as the policy took.
 */
import type { Dataset } from "../data/dataset.ts";
import { fault } from "../errors.ts";
import { centrePatches, fixedColumns, fixedRows, randomMask } from "../method/grid.ts";
import { type Fill, lowResolution, maskPatches } from "../method/images.ts";
import type { MetricAccumulator } from "../method/metrics.ts";
import { threshold } from "../method/policy.ts";
import type { RewardOptions } from "../method/reward.ts";
import type { Variant } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import type { Checkpoint } from "../run/checkpoint.ts";
import { networkOf, openCheckpoint } from "../run/open-checkpoint.ts";
import type { EvalOptions } from "../run/options.ts";
import { type Reporter, silentReporter } from "../run/reporter.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray } from "../tensor/tensor.ts";
import { Random } from "../utils/random.ts";
import { addStreams, type Choice, evaluate, evaluateClassifier, forEachBatch } from "./evaluate.ts";
import { loadNetwork, type NetworkName, prepare, type Setting } from "./setting.ts";

/** One way of choosing patches and what came of it; accuracy and shares are within 0..1. */
export interface EvaluationRow {
  name: string;
  kind: "policy" | "baseline";
  accuracy: number;
  /** S: mean number of patches an image. */
  patches: number;
  /** V: its standard deviation over the images. */
  patchesStd?: number;
  /** Number of distinct masks. */
  policies?: number;
  reward?: number;
}

export interface RunEvaluation {
  checkpoint: string;
  stage: string;
  model: string;
  dataset: string;
  split: "train" | "test";
  images: number;
  rows: EvaluationRow[];
  /** Share of images for which the policy took each patch, [P]; none for a classifier. */
  patchUse?: number[];
}

/** Evaluates the checkpoint of `options.load`. @throws kinds "input" and "usage". */
export async function evaluateRun(options: EvalOptions, reporter: Reporter = silentReporter): Promise<RunEvaluation> {
  const checkpoint = openCheckpoint(options.load);
  const resolved = asTrained(checkpoint, options);
  const setting = await prepare(resolved, reporter);
  const split = setting.data[options.split];
  const stage = checkpoint.config.stage;
  const common = {
    checkpoint: checkpoint.path,
    stage,
    model: setting.model.name,
    dataset: split.name,
    split: options.split,
    images: split.length,
  };
  if (!checkpoint.networks.has("agent")) return { ...common, rows: [await classifierRow(checkpoint, split, setting)] };

  const networks = openNetworks(checkpoint, options, setting);
  try {
    const { fill, seed, reward: kind, penalty } = resolved;
    const judged = { split, setting, networks, fill, reward: { kind, penalty }, seed };
    return { ...common, ...(await policyRows(judged, stage)) };
  } finally {
    for (const network of Object.values(networks)) network?.free();
  }
}

/** What decides how a policy is evaluated, where neither its run nor a flag says. */
const unsaid = { model: "R32_C10", variant: "2019", seed: 1, fill: "zero", reward: "quadratic", penalty: -5 } as const;

/** The options of the run that made the checkpoint, overridden by those that were given. */
function asTrained({ config }: Checkpoint, options: EvalOptions) {
  return { ...unsaid, ...config.options, ...options } as EvalOptions & {
    model: string;
    variant: Variant;
    seed: number;
    fill: Fill;
    reward: RewardOptions["kind"];
    penalty: number;
  };
}

interface Networks {
  policy: FrozenNetwork;
  high: FrozenNetwork;
  /** Added to `high` where the run has two streams. */
  low?: FrozenNetwork;
  /** The low-resolution classifier alone, as a baseline. */
  lowAlone?: FrozenNetwork;
}

function openNetworks(checkpoint: Checkpoint, { ckpt_hr_cl, ckpt_lr_cl }: EvalOptions, setting: Setting): Networks {
  const freeze = (from: Checkpoint, name: NetworkName) => {
    const { network, parameters } = loadNetwork(setting, from, name);
    const frozen = new FrozenNetwork(network, parameters, setting.precision);
    parameters.free();
    return frozen;
  };
  const twoStreams = checkpoint.config.stage === "finetune2stream";
  return {
    policy: freeze(checkpoint, "agent"),
    high: freeze(ckpt_hr_cl === undefined ? checkpoint : openCheckpoint(ckpt_hr_cl), "resnet_hr"),
    ...(twoStreams && { low: freeze(checkpoint, "resnet_lr") }),
    ...(ckpt_lr_cl !== undefined && { lowAlone: freeze(openCheckpoint(ckpt_lr_cl), "resnet_lr") }),
  };
}

async function classifierRow(checkpoint: Checkpoint, split: Dataset, setting: Setting): Promise<EvaluationRow> {
  // A file that does not say what its network is for holds a high-resolution classifier.
  const name = checkpoint.networks.has("resnet_lr") ? "resnet_lr" : "resnet_hr";
  if (networkOf(checkpoint, name) === undefined) {
    throw fault("input", {
      where: checkpoint.path,
      rule: "must hold a classifier or a policy",
      got: [...checkpoint.networks.keys()].join(", "),
    });
  }
  const { network, parameters } = loadNetwork(setting, checkpoint, name);
  const frozen = new FrozenNetwork(network, parameters, setting.precision);
  const stream = name === "resnet_lr" ? "LR" : "HR";
  const { accuracy } = (await evaluateClassifier(split, setting, frozen, stream)).metrics();
  frozen.free();
  parameters.free();
  const label = stream === "LR" ? "LR classifier, no patches" : "HR classifier, all patches";
  return { name: label, kind: "baseline", accuracy, patches: stream === "LR" ? 0 : setting.model.grid.patches };
}

interface Judged {
  split: Dataset;
  setting: Setting;
  networks: Networks;
  fill: Fill;
  reward: RewardOptions;
  seed: number;
}

async function policyRows({ split, setting, networks, fill, reward, seed }: Judged, stage: string) {
  const { grid } = setting.model;
  const masks = await policyMasks(split, setting, networks.policy);
  const counts = Array.from({ length: split.length }, (_, i) =>
    sumOf(masks.subarray(i * grid.patches, (i + 1) * grid.patches)),
  );
  const judge = (maskOf: (image: number) => ArrayLike<number>) => {
    const choose: Choice = (low, first) => fromMasks(maskOf, first, low.shape[0], setting);
    const { high, low } = networks;
    return evaluate(split, setting, { high, choose, fill, reward, ...(low && { low }) });
  };
  const policy = await judge((i) => masks.subarray(i * grid.patches, (i + 1) * grid.patches));
  const random = (i: number) => randomMask(grid, counts[i], new Random(seed, "random patches", i));
  const rows: EvaluationRow[] = [
    row(`policy (${stage})`, "policy", policy),
    row("random patches, as many", "baseline", await judge(random)),
    row("centre patches, as many", "baseline", await judge((i) => centrePatches(grid, counts[i]))),
    row("central columns, as many", "baseline", await judge((i) => fixedColumns(grid, counts[i]))),
    row("central rows, as many", "baseline", await judge((i) => fixedRows(grid, counts[i]))),
    row("all patches", "baseline", await judge(() => new Uint8Array(grid.patches).fill(1))),
  ];
  if (networks.lowAlone !== undefined) {
    const { accuracy } = (await evaluateClassifier(split, setting, networks.lowAlone, "LR")).metrics();
    rows.push({ name: "LR classifier, no patches", kind: "baseline", accuracy, patches: 0 });
  }
  return { rows, patchUse: policy.patchUse() };
}

function row(name: string, kind: EvaluationRow["kind"], accumulated: MetricAccumulator): EvaluationRow {
  const { accuracy, sparsity = 0, variance, unique_policies, reward } = accumulated.metrics();
  return {
    name,
    kind,
    accuracy,
    patches: sparsity,
    ...(variance !== undefined && { patchesStd: variance }),
    ...(unique_policies !== undefined && { policies: unique_policies }),
    ...(reward !== undefined && { reward }),
  };
}

/** The policy's greedy masks for a whole split, [N × P]. */
async function policyMasks(split: Dataset, setting: Setting, policy: FrozenNetwork): Promise<Uint8Array> {
  const { grid } = setting.model;
  const masks = new Uint8Array(split.length * grid.patches);
  await forEachBatch(split, setting, (images, _labels, first) => {
    const chosen = threshold(ops.sigmoid(policy.forward(lowResolution(images, setting.model))));
    masks.set(ops.cast(chosen, "uint8").toUint8(), first * grid.patches);
  });
  return masks;
}

function fromMasks(
  maskOf: (image: number) => ArrayLike<number>,
  first: number,
  batch: number,
  { model, device }: Setting,
) {
  const { patches } = model.grid;
  const values = new Float32Array(batch * patches);
  for (let b = 0; b < batch; b++) values.set(maskOf(first + b), b * patches);
  return fromArray(values, [batch, patches], device);
}

function sumOf(values: Uint8Array): number {
  return values.reduce((sum, value) => sum + value, 0);
}

/** What the policy does with single images, for a person to look at. */
export interface Shown {
  index: number;
  /** Bytes [size, size, 3] each. */
  image: Uint8Array;
  lowResolution: Uint8Array;
  masked: Uint8Array;
  probabilities: number[];
  mask: number[];
  label: string;
  prediction: string;
  /** Probability of the predicted class. */
  confidence: number;
  correct: boolean;
}

/** Runs the checkpoint on the images `indices` of the test set. */
export async function showImages(options: EvalOptions, indices: Uint32Array): Promise<Shown[]> {
  const checkpoint = openCheckpoint(options.load);
  const resolved = asTrained(checkpoint, options);
  const { fill } = resolved;
  const setting = await prepare(resolved, silentReporter);
  const { grid, imageSize, lowSize } = setting.model;
  const { test } = setting.data;
  const { normalizer, classes } = { ...setting, classes: test.classes };
  const networks = openNetworks(checkpoint, options, setting);
  const imageBytes = imageSize * imageSize * 3;
  const bytes = new Uint8Array(indices.length * imageBytes);
  const read = await test.read(indices, bytes);
  const shown = scope(() => {
    const images = normalizer.images(bytes, imageSize);
    const low = lowResolution(images, setting.model);
    const probabilities = ops.sigmoid(networks.policy.forward(low));
    const mask = threshold(probabilities);
    const seen = maskPatches(images, mask, grid, fill === "lr" ? low : undefined);
    const logits = addStreams(networks.high.forward(seen), networks.low?.forward(low));
    return {
      probabilities: probabilities.toFloat32(),
      mask: mask.toFloat32(),
      classProbabilities: ops.softmax(logits, 1).toFloat32(),
    };
  });
  for (const network of Object.values(networks)) network?.free();
  const meanColour = test.normalization.mean.map((m) => Math.round(255 * m));
  return Array.from(read, (index, i) => {
    const image = bytes.slice(i * imageBytes, (i + 1) * imageBytes);
    const mask = Array.from(shown.mask.subarray(i * grid.patches, (i + 1) * grid.patches));
    const scores = shown.classProbabilities.subarray(i * classes.length, (i + 1) * classes.length);
    const best = scores.indexOf(Math.max(...scores));
    const lowImage = lowBytes(image, imageSize, lowSize);
    return {
      index,
      image,
      lowResolution: lowImage,
      masked: maskedBytes(image, mask, grid, fill === "lr" ? lowImage : undefined, meanColour),
      probabilities: Array.from(shown.probabilities.subarray(i * grid.patches, (i + 1) * grid.patches)),
      mask,
      label: classes[test.labels[index]],
      prediction: classes[best],
      confidence: scores[best],
      correct: best === test.labels[index],
    };
  });
}

/** The low-resolution view as bytes at full size: the top-left pixel of each block. */
function lowBytes(image: Uint8Array, size: number, lowSize: number): Uint8Array {
  const block = size / lowSize;
  return Uint8Array.from(image, (_, at) => {
    const [pixel, channel] = [Math.floor(at / 3), at % 3];
    const [row, column] = [Math.floor(pixel / size), pixel % size];
    const source = (row - (row % block)) * size + (column - (column % block));
    return image[source * 3 + channel];
  });
}

/** The masked image as bytes: zeros after normalization are the mean colour. */
function maskedBytes(
  image: Uint8Array,
  mask: readonly number[],
  { imageSize, patchSize, columns }: { imageSize: number; patchSize: number; columns: number },
  low: Uint8Array | undefined,
  meanColour: readonly number[],
): Uint8Array {
  return Uint8Array.from(image, (value, at) => {
    const pixel = Math.floor(at / 3);
    const patch =
      Math.floor(Math.floor(pixel / imageSize) / patchSize) * columns + Math.floor((pixel % imageSize) / patchSize);
    return mask[patch] > 0.5 ? value : (low?.[at] ?? meanColour[at % 3]);
  });
}
