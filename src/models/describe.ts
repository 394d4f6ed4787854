/** Sizes of the models, read from their networks. */
import type { PatchSize } from "../method/grid.ts";
import { declare, isLearned } from "../nn/declare.ts";
import type { Network } from "../nn/layers.ts";
import { elementCount } from "../tensor/tensor.ts";
import { allModels, type Model, type Variant } from "./registry.ts";

/** How large a network is. */
export interface NetworkSize {
  /** Learnable numbers. */
  parameters: number;
  /** Of convolutions and linear layers, for one image. */
  multiplyAdds: number;
}

/** A model as `patchdrop models` lists it. */
export interface ModelDescription {
  name: string;
  variant: Variant;
  description: string;
  imageSize: number;
  patchSize: PatchSize;
  lowSize: number;
  classifier: NetworkSize;
  policy: NetworkSize;
}

const classesOf = { cifar10: 10, cifar100: 100, fmow: 62, imagenet: 1000, synthetic: 10 } as const;

/** All models of the registry, with all their variants. */
export function describeModels(): ModelDescription[] {
  return allModels().map(describe);
}

function describe({
  name,
  variant,
  description,
  imageSize,
  lowSize,
  policyInput,
  grid,
  dataset,
  classifier,
  policy,
}: Model): ModelDescription {
  return {
    name,
    variant,
    description,
    imageSize,
    patchSize: grid.patchSize,
    lowSize,
    classifier: sizeOf(classifier(classesOf[dataset]), imageSize),
    policy: sizeOf(policy, policyInput.size),
  };
}

function sizeOf(network: Network, imageSize: number): NetworkSize {
  const { entries, multiplyAdds } = declare(network, imageSize);
  const learned = entries.filter(isLearned);
  return { parameters: learned.reduce((sum, { shape }) => sum + elementCount(shape), 0), multiplyAdds };
}
