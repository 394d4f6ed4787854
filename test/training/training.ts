/** A few epochs of a small case, by any way of taking its steps, and all that they leave behind. */
import { type Dataset, pixelStatistics } from "../../src/data/dataset.ts";
import { Loader } from "../../src/data/loader.ts";
import { alone, type ProcessGroup } from "../../src/distributed/process-group.ts";
import { Normalizer } from "../../src/method/images.ts";
import type { StageName } from "../../src/options/stage-options.ts";
import type { CudaDevice } from "../../src/tensor/cuda.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { StepNumbers } from "../../src/training/learning.ts";
import { Sharding } from "../../src/training/sharding.ts";
import type { RunnerOptions, StepRunner } from "../../src/training/step-runner.ts";
import type { Training } from "../../src/training/train-epoch.ts";
import { SlowWatch } from "../../src/utils/slow-watch.ts";
import { type Place, type StageCase, tinyModel } from "./cases.ts";

/** Five full batches an epoch and one of two images. */
export const images = 22;
const batchSize = 4;
const window = 4;
const seed = 5;
const epochs = 3;

/** Rates that float32 holds exactly, which is how a GPU gets them. */
const rateOf = (epoch: number, step: number) => 2 ** -(6 + epoch + step);

/** Every stage, with the flags that change what its step computes. */
export const stageFlags: [StageName, Record<string, unknown>][] = [
  ["classifier_training", { label_smoothing: 0.1 }],
  ["classifier_training", { random_masks: 0.5 }],
  ["pretrain", { beta: 0.1, fill: "lr", clip: 1 }],
  ["pretrain", { estimator: "leave_one_out" }],
  ["finetune", { clip: 0.5 }],
  ["finetune", { random_masks: 0.5, fill: "lr" }],
  ["finetune", { classifier_bn: "frozen", policy_loss: "sum" }],
  ["finetune2stream", { two_stream_mix: "share" }],
];

export function runnerOptions(
  dataset: Dataset,
  learning: RunnerOptions["learning"],
  { device, cuda }: Place & { cuda: CudaDevice | undefined },
  group: ProcessGroup = alone,
): RunnerOptions {
  const normalizer = new Normalizer(pixelStatistics(dataset), device);
  const sharding = new Sharding(group, undefined, batchSize);
  const share = (count: number) => sharding.share(count);
  const loader = new Loader(dataset, { batchSize, shuffle: true, augment: true, seed, share });
  const setting = { model: tinyModel, device, normalizer, cuda };
  return {
    learning,
    setting,
    loader,
    sharding,
    seed,
    captured: true,
    window,
  };
}

/** What an epoch takes that is trained by this runner, of no network and at a rate of 1. */
export function epochOf(given: Pick<Training, "runner" | "loader" | "reporter" | "epochs">): Training {
  const sharding = new Sharding(alone, undefined, given.loader.batchSize);
  const rest = { sharding, schedule: () => 1, saveInterval: "10m", slow: new SlowWatch() };
  return { ...given, learning: { networks: new Map() }, ...rest };
}

export interface Seen {
  numbers: Record<string, number[]>;
  indices: number[];
}

/** Trains, reading the numbers of several steps at once as `trainEpoch` does. */
export async function train(runner: StepRunner, fromEpoch = 0, fromStep = 0): Promise<Seen[]> {
  const seen: Seen[] = [];
  const pending: { numbers: StepNumbers; indices: number[] }[] = [];
  const look = () => {
    for (const { numbers, indices } of pending.splice(0)) {
      const read = Object.entries(numbers).map(([name, tensor]) => [name, [...(tensor as Tensor).toFloat32()]]);
      for (const tensor of Object.values(numbers)) (tensor as Tensor).free();
      seen.push({ numbers: Object.fromEntries(read) as Seen["numbers"], indices });
    }
  };
  for (let epoch = fromEpoch; epoch < epochs; epoch++) {
    let step = epoch === fromEpoch ? fromStep : 0;
    for await (const { indices, take } of runner.steps(epoch, step)) {
      pending.push({ numbers: take(rateOf(epoch, step++)), indices: [...indices] });
      if (pending.length === window) look();
    }
    look();
    runner.release();
  }
  runner.free();
  return seen;
}

/** Every tensor that a step changes. */
export function stateOf({ learners, optimizer }: StageCase): Tensor[] {
  return [...learners.flatMap(({ parameters }) => [parameters.flat, parameters.statistics]), ...optimizer.tensors()];
}

/** All that a run ends with, as plain numbers. */
export function endOf(own: StageCase): { state: number[][]; counts: number[] } {
  return {
    state: stateOf(own).map((tensor) => [...tensor.toFloat32()]),
    counts: own.learners.map(({ parameters }) => parameters.batchesTracked),
  };
}

/** The same data set, as one whose images are not in memory. */
export function streamed(dataset: Dataset): Dataset {
  const { name, classes, length, imageSize, bands, labels, normalization, low, transform, fingerprint } = dataset;
  const read: Dataset["read"] = (...given) => dataset.read(...given);
  return { name, classes, length, imageSize, bands, labels, normalization, low, transform, fingerprint, read };
}
