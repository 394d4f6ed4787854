/**
 * What a network is made of. A network is one function over these layers, and each reading of it is one implementation
 * of this interface: declaring its parameters (`declare.ts`), training (`training.ts`), fused inference (`frozen.ts`), an
 * ONNX graph (`export/graph.ts`). So a network is written once, and its names, shapes, gradients and fast version cannot
 * drift apart.
 *
 * `V` is what flows between layers: shapes while declaring, tensors while computing.
 */

import type { Sliding } from "../tensor/network-ops.ts";

/** What a convolution is; what follows from it for all readings alike stands at the end of this file. */
export interface ConvolutionSpec {
  /** Output channels. */
  channels: number;
  /** Side of the square kernel; padding keeps the size at stride 1. */
  kernel: number;
  stride?: number;
  /** An output channel sees the inputs of its own group only; as many groups as channels are a depthwise convolution. */
  groups?: number;
  /**
   * Where the kernel lies at a stride above 1. "centred", PyTorch's way: its middle on the first pixel. "same", TensorFlow's:
   * as many zeros as it takes, on both sides alike, and the odd one behind.
   */
  padding?: "centred" | "same";
  /**
   * Largest of the convolution in windows of pool × pool, before batch norm: a quarter of the values to normalize. Folding then needs
   * a batch norm that keeps the order of values, so one without a scale.
   */
  pool?: number;
  /** What ends a layer with an activation: max(x, 0), or at most 6 of it, or x·Φ(x). */
  activation?: Activation;
  batchNorm?: Partial<BatchNormNumbers>;
  /** What weights begin with: random ones, or, of the first channels, what leaves these as they are (random in the others). */
  start?: "random" | "identity";
}

/** An image or a map, cut into equal parts. */
export interface Parts {
  readonly rows: number;
  readonly columns: number;
}

/** Of {@link Layers.ofPatches}. */
export interface PatchesSpec extends Parts {
  /** Channels of what the body makes of a patch. */
  readonly channels: number;
  /** By which the body divides a patch's height and width. */
  readonly shrink: number;
}

export type Activation = "relu" | "relu6" | "gelu";

export interface BatchNormNumbers {
  /** What is added to the variance. */
  readonly epsilon: number;
  /** Share of a batch in the running statistics after it. */
  readonly momentum: number;
  /** Whether γ is learned; else it stays 1. */
  readonly scales: boolean;
  /** By which the learning rate is multiplied for β. */
  readonly biasRate: number;
}

/** Of {@link Layers.whitened}. */
export interface WhiteningSpec {
  /** Side of the square kernel. */
  readonly kernel: number;
  /** By which the learning rate is multiplied for the bias. */
  readonly biasRate: number;
}

/** Names are PyTorch's module paths, e.g. "blocks.0.1.conv2"; a convolution's name and its batch norm's belong together. */
export interface ConvolutionNames {
  conv: string;
  bn: string;
}

/** Shapes: B batch, C channels, H W, O the spec's channels; H' = ceil(H / stride). There is no B while declaring. */
export interface Layers<V> {
  /**
   * GELU of a convolution by weights that make the pixels of a square uncorrelated and of variance 1, and by their negatives: they are
   * taken from training images and not learned; the bias is. Without zeros around the map.
   * [B, C, H, W] → [B, 2·C·k², H − k + 1, W − k + 1]
   */
  whitened(x: V, name: string, spec: WhiteningSpec): V;
  /** activation(batchNorm(convolution(x))), without bias in the convolution. [B, C, H, W] → [B, O, H', W'] */
  convBnRelu(x: V, names: ConvolutionNames, spec: ConvolutionSpec): V;
  /** batchNorm(convolution(x)), as in projection shortcuts. [B, C, H, W] → [B, O, H', W'] */
  convBn(x: V, names: ConvolutionNames, spec: ConvolutionSpec): V;
  /** batchNorm(convolution(x)) + shortcut: the end of an inverted residual block. The shortcut is [B, O, H', W'] too. */
  convBnAdd(x: V, shortcut: V, names: ConvolutionNames, spec: ConvolutionSpec): V;
  /** ReLU of the same: the end of every other residual block. */
  convBnAddRelu(x: V, shortcut: V, names: ConvolutionNames, spec: ConvolutionSpec): V;
  /** Mean over adjacent windows of size × size. [B, C, H, W] → [B, C, floor(H / size), floor(W / size)] */
  averagePool(x: V, size: number): V;
  /**
   * Largest in windows of size × size. [B, C, H, W] → [B, C, H″, W″], H″ = floor((H + 2·padding − size) / stride) + 1
   */
  maxPool(x: V, size: number, stride: number, padding: number): V;
  /** Appends channels of zeros. [B, C, H, W] → [B, C + added, H, W] */
  padChannels(x: V, channels: number): V;
  /** The mean over all positions. [B, C, H, W] → [B, C] */
  globalAveragePool(x: V): V;
  /** [B, C] → [B, outputs], with bias. @param rate by which the learning rate is multiplied for the weights */
  linear(x: V, name: string, outputs: number, rate?: number): V;
  /**
   * One number of each of rows × columns equal parts: its mean, through the same weights for all, without bias. A position
   * that two parts cut counts in both, as in PyTorch's AdaptiveAvgPool2d. [B, C, H, W] → [B, rows·columns]
   */
  linearOfParts(x: V, name: string, parts: Parts): V;
  /**
   * What `body` makes of each patch by itself, for the patches that are there alone, and zeros in place of the others: the last channel
   * of x is 1 where a patch is there, 0 elsewhere, and not among the C that the body sees. The work is proportional to the number of
   * patches. body: [N, C, h, w] → [N, O, h / shrink, w / shrink]; [B, C + 1, H, W] → [B, O, H / shrink, W / shrink]
   */
  ofPatches(x: V, name: string, spec: PatchesSpec, body: (patches: V) => V): V;
  /** x + y; both [B, C]. */
  add(x: V, y: V): V;
  /** factor·x. [B, C] → [B, C] */
  scaled(x: V, factor: number): V;
  /** Left and right swapped. [B, C, H, W] → [B, C, H, W] */
  mirrored(x: V): V;
  /**
   * Shifted down and right by so many pixels, or up and left by the negative; the pixels of the edge stand in for those that come from
   * outside. [B, C, H, W] → [B, C, H, W]
   */
  shifted(x: V, by: number): V;
  /** Marks a part whose inner values are not needed afterwards, so that their memory can be reused. */
  block(body: () => V): V;
}

/** A network: its layers applied to [B, C, H, W] images, giving [B, outputs] logits. */
export type Network = <V>(layers: Layers<V>, x: V) => V;

/** [channels, height, width] of one image between layers, or [features] behind pooling. */
export type FlowShape = readonly number[];

/** Zeros on each side that keep the size at stride 1. */
export const centredPadding = ({ kernel }: ConvolutionSpec): number => (kernel - 1) / 2;

/** How a spec's kernel moves over a map of the given height; maps are square where the padding is "same". */
export function slidingOf(spec: ConvolutionSpec, height: number): Sliding {
  const { kernel, stride = 1, groups = 1, padding } = spec;
  if (padding !== "same") return { stride, padding: centredPadding(spec), behind: 0, groups };
  const zeros = Math.max((Math.ceil(height / stride) - 1) * stride + kernel - height, 0);
  return { stride, padding: Math.floor(zeros / 2), behind: zeros % 2, groups };
}

/** The shapes of a spec's weights [O, I, h, w], of what the convolution gives, and, pooled, of the layer's result, for what flows in. */
export function convolutionShapes(spec: ConvolutionSpec, [inputs, height, width]: FlowShape) {
  const { channels, kernel, pool = 1 } = spec;
  const { stride, padding, behind, groups } = slidingOf(spec, height);
  const after = (size: number) => Math.floor((size + 2 * padding + behind - kernel) / stride) + 1;
  const weight = [channels, inputs / groups, kernel, kernel] as const;
  const convolved = [channels, after(height), after(width)] as const;
  const output = [channels, Math.floor(convolved[1] / pool), Math.floor(convolved[2] / pool)] as const;
  return { weight, convolved, output } as const;
}

/** The shapes of a whitening convolution's weights [O, C, k, k] and of its result. */
export function whiteningShapes({ kernel }: WhiteningSpec, [channels, height, width]: FlowShape) {
  const outputs = 2 * channels * kernel * kernel;
  const weight = [outputs, channels, kernel, kernel] as const;
  return { weight, output: [outputs, height - kernel + 1, width - kernel + 1] } as const;
}

/** How a whitening convolution moves: over whole squares alone. */
export const whiteningSliding: Sliding = { stride: 1, padding: 0, behind: 0, groups: 1 };

/** A spec's batch norm; torch.nn.BatchNorm2d's defaults unless it says otherwise. */
export function batchNormOf({ batchNorm }: ConvolutionSpec): BatchNormNumbers {
  return { epsilon: 1e-5, momentum: 0.1, scales: true, biasRate: 1, ...batchNorm };
}
