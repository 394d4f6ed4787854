/**
 * Classifies a data set with some patches acquired. Which ones is a function of the batch (the policy, a fixed choice,
 * a random one), so that a policy and the baselines it is held against go through the same lines.
 *
 * Shapes: B batch, P patches, K classes.
 */

import type { Dataset } from "../data/dataset.ts";
import { Loader } from "../data/loader.ts";
import { BatchUploads } from "../inference/batch-uploads.ts";
import type { Setting } from "../inference/setting.ts";
import { type Fill, lowResolution, maskPatches } from "../method/images.ts";
import { MetricAccumulator } from "../method/metrics.ts";
import { decideLeading, threshold } from "../method/policy.ts";
import { correct, type RewardOptions, reward } from "../method/reward.ts";
import type { Learner } from "../models/networks.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Stopped } from "../utils/reporter.ts";

/** Images a batch; results do not depend on it. */
const batchSize = 512;

/** Which patches to acquire: [B, P] of 0 and 1. `first` is the number of images before this batch. */
export type Choice = (low: Tensor, first: number) => Tensor;

export interface Evaluation {
  /** Classifier of masked images. */
  high: FrozenNetwork;
  /** Classifier of the low resolution whose logits are added (two streams); none when absent. */
  low?: FrozenNetwork;
  choose: Choice;
  fill: Fill;
  reward?: RewardOptions;
}

/** Metrics of a whole split. */
export async function evaluate(dataset: Dataset, setting: Setting, evaluation: Evaluation): Promise<MetricAccumulator> {
  const { model } = setting;
  const accumulated = new MetricAccumulator();
  await forEachBatch(dataset, setting, ({ images, targets, first }) => {
    const low = lowResolution(images, model);
    const mask = evaluation.choose(low, first);
    const seen = maskPatches(images, mask, model.grid, evaluation.fill === "lr" ? low : undefined);
    const right = correct(addStreams(evaluation.high.forward(seen), evaluation.low?.forward(low)), targets);
    const earned = evaluation.reward === undefined ? undefined : reward(right, mask, evaluation.reward);
    accumulated.add({
      correct: right.toFloat32(),
      mask: mask.toFloat32(),
      ...(earned && { reward: earned.toFloat32() }),
    });
  });
  return accumulated;
}

/** Accuracy of one classifier on whole images or on the low resolution. */
export async function evaluateClassifier(
  dataset: Dataset,
  setting: Setting,
  network: FrozenNetwork,
  stream: "HR" | "LR",
): Promise<MetricAccumulator> {
  const accumulated = new MetricAccumulator();
  await forEachBatch(dataset, setting, ({ images, targets }) => {
    const seen = stream === "LR" ? lowResolution(images, setting.model) : images;
    accumulated.add({ correct: correct(network.forward(seen), targets).toFloat32() });
  });
  return accumulated;
}

/** A batch on the device. */
export interface Seen {
  /** [B, 3, H, W] */
  readonly images: Tensor;
  /** int64 [B] */
  readonly targets: Tensor;
  readonly labels: Int32Array;
  /** Number of images before this batch. */
  readonly first: number;
  /** Which of `passes` over this batch it is. */
  readonly pass: number;
}

export interface Passing {
  /** Only these images of the split; all when absent. */
  readonly images?: Uint32Array | undefined;
  /** What is under way, for the bar. */
  readonly label?: string;
  /** How often `body` runs on each batch, which is read once. */
  readonly passes?: number;
}

/** Runs `body` on each batch of a split in order, inside a scope. @throws Stopped when a signal asks for it */
export async function forEachBatch(
  dataset: Dataset,
  setting: Setting,
  body: (seen: Seen) => void,
  { images, label = "evaluation", passes = 1 }: Passing = {},
): Promise<void> {
  const count = images?.length ?? dataset.length;
  const loader = new Loader(dataset, { batchSize: Math.min(batchSize, count), images });
  const { reporter } = setting;
  const uploads = new BatchUploads(setting);
  const bar = reporter.progress(label, count * passes);
  let first = 0;
  try {
    for await (const { images: bytes, labels } of loader.batches(0)) {
      for (let pass = 0; pass < passes; pass++) {
        scope(() => {
          const batch = uploads.put(bytes, labels);
          body({ images: batch.images, targets: batch.labels, labels, first, pass });
        });
        bar.update(first * passes + labels.length * (pass + 1));
        await new Promise(setImmediate);
        const signal = reporter.stopping();
        if (signal !== undefined) throw new Stopped(signal);
      }
      first += labels.length;
    }
  } finally {
    bar.stop();
    uploads.free();
  }
}

/** Logits of the two streams added; those of one stream as they are. */
export function addStreams(high: Tensor, low: Tensor | undefined): Tensor {
  return low === undefined ? high : ops.add(high, low);
}

/** The greedy choice of a policy, under a curriculum that leaves the first `decided` patches to it. */
export function greedyChoice(policy: FrozenNetwork, decided: number): Choice {
  return (low) => scope(() => decideLeading(threshold(ops.sigmoid(policy.forward(low))), decided));
}

/** Runs `body` with frozen versions of networks as they are now, and frees them. */
export async function withFrozen<N extends string, T>(
  learners: Record<N, Learner>,
  { precision }: Setting,
  body: (frozen: Record<N, FrozenNetwork>) => Promise<T>,
): Promise<T> {
  const entries = (Object.entries(learners) as [N, Learner][]).map(
    ([name, { network, parameters }]) => [name, new FrozenNetwork(network, parameters, precision)] as const,
  );
  try {
    return await body(Object.fromEntries(entries) as Record<N, FrozenNetwork>);
  } finally {
    for (const [, frozen] of entries) frozen.free();
  }
}
