/** The models that `--model` names: sizes, data set, and the two networks. A new model is one entry here. */
import { fault } from "../errors.ts";
import { type Grid, makeGrid } from "../method/grid.ts";
import type { Network } from "../nn/layers.ts";
import { cifarResNet } from "./cifar-resnet.ts";

export interface Model {
  readonly name: string;
  /** What it is, in one line. */
  readonly description: string;
  /** Side of the high-resolution image, in pixels. */
  readonly imageSize: number;
  /** Side of the low-resolution image. */
  readonly lowSize: number;
  readonly grid: Grid;
  /** The data set that it is made for. */
  readonly dataset: "cifar10" | "cifar100" | "synthetic";
  /** Logits [B, classes] of [B, 3, H, W]. */
  classifier(classes: number): Network;
  /** Logits [B, P] of the low-resolution image, shown at the high resolution's size. */
  readonly policy: Network;
}

/** A model for 32 × 32 images: a classifier with `blocks` blocks a segment, and the policy of the reference. */
function cifarModel(name: string, description: string, dataset: Model["dataset"], blocks: number): Model {
  const grid = makeGrid(32, 8);
  return {
    name,
    description,
    imageSize: 32,
    lowSize: 8,
    grid,
    dataset,
    classifier: (classes) => cifarResNet({ blocks, outputs: classes }),
    policy: cifarResNet({ blocks: 1, outputs: grid.patches, prefix: "features.", head: "logit" }),
  };
}

export const models: readonly Model[] = [
  cifarModel("R32_C10", "ResNet-32 for CIFAR-10; policy with one block a segment", "cifar10", 5),
  cifarModel("R32_C100", "ResNet-32 for CIFAR-100; policy with one block a segment", "cifar100", 5),
  cifarModel(
    "R8_Scenes",
    "ResNet-8 for the synthetic scenes, to try everything in minutes; the same policy",
    "synthetic",
    1,
  ),
];

export const modelNames: readonly string[] = models.map(({ name }) => name);

/** @throws kind "usage" listing the models there are. */
export function findModel(name: string): Model {
  const model = models.find((candidate) => candidate.name === name);
  if (model === undefined) {
    throw fault("usage", { where: "--model", rule: `must be one of ${modelNames.join(", ")}`, got: name });
  }
  return model;
}
