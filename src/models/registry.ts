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
  /** The data set that the reference trains it on. */
  readonly dataset: "cifar10" | "cifar100";
  /** Logits [B, classes] of [B, 3, H, W]. */
  classifier(classes: number): Network;
  /** Logits [B, P] of the low-resolution image, shown at the high resolution's size. */
  readonly policy: Network;
}

function r32(name: string, dataset: Model["dataset"]): Model {
  const grid = makeGrid(32, 8);
  return {
    name,
    description: "ResNet-32 for 32 × 32 images; policy with one block a segment",
    imageSize: 32,
    lowSize: 8,
    grid,
    dataset,
    classifier: (classes) => cifarResNet({ blocks: 5, outputs: classes }),
    policy: cifarResNet({ blocks: 1, outputs: grid.patches, prefix: "features.", head: "logit" }),
  };
}

export const models: readonly Model[] = [r32("R32_C10", "cifar10"), r32("R32_C100", "cifar100")];

export const modelNames: readonly string[] = models.map(({ name }) => name);

/** @throws kind "usage" listing the models there are. */
export function findModel(name: string): Model {
  const model = models.find((candidate) => candidate.name === name);
  if (model === undefined) {
    throw fault("usage", { where: "--model", rule: `must be one of ${modelNames.join(", ")}`, got: name });
  }
  return model;
}
