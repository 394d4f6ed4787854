/**
 * What a network is made of. A network is one function over these layers, and each reading of it is one implementation
 * of this interface: declaring its parameters (`declare.ts`), training (`training.ts`), fused inference (`frozen.ts`), an
 * ONNX graph (`export/graph.ts`). So a network is written once, and its names, shapes, gradients and fast version cannot
 * drift apart.
 *
 * `V` is what flows between layers: shapes while declaring, tensors while computing.
 */

import type { Sliding } from "../tensor/ops.ts";

/** What a convolution is; what follows from it for all readings alike stands at the end of this file. */
export interface ConvolutionSpec {
  /** Output channels. */
  channels: number;
  /** Side of the square kernel; padding keeps the size at stride 1. */
  kernel: number;
  stride?: number;
}

/** Names are PyTorch's module paths, e.g. "blocks.0.1.conv2"; a convolution's name and its batch norm's belong together. */
export interface ConvolutionNames {
  conv: string;
  bn: string;
}

/** Shapes: B batch, C channels, H W, O the spec's channels; H' = ceil(H / stride). There is no B while declaring. */
export interface Layers<V> {
  /** ReLU(batchNorm(convolution(x))), without bias in the convolution. [B, C, H, W] → [B, O, H', W'] */
  convBnRelu(x: V, names: ConvolutionNames, spec: ConvolutionSpec): V;
  /** batchNorm(convolution(x)), as in projection shortcuts. [B, C, H, W] → [B, O, H', W'] */
  convBn(x: V, names: ConvolutionNames, spec: ConvolutionSpec): V;
  /**
   * ReLU(batchNorm(convolution(x)) + shortcut): the end of every residual block. The shortcut is [B, O, H', W'] too.
   */
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
  /** [B, C] → [B, outputs], with bias. */
  linear(x: V, name: string, outputs: number): V;
  /** Marks a part whose inner values are not needed afterwards, so that their memory can be reused. */
  block(body: () => V): V;
}

/** A network: its layers applied to [B, C, H, W] images, giving [B, outputs] logits. */
export type Network = <V>(layers: Layers<V>, x: V) => V;

/** [channels, height, width] of one image between layers, or [features] behind the pooling. */
export type FlowShape = readonly number[];

/** How a spec's kernel moves. Padding keeps the size at stride 1. */
export function slidingOf({ kernel, stride = 1 }: ConvolutionSpec): Sliding {
  return { stride, padding: (kernel - 1) / 2 };
}

/** The shapes of a spec's weights [O, I, h, w] and of its result, for what flows in. */
export function convolutionShapes(spec: ConvolutionSpec, [inputs, height, width]: FlowShape) {
  const { channels, kernel } = spec;
  const { stride, padding } = slidingOf(spec);
  const after = (size: number) => Math.floor((size + 2 * padding - kernel) / stride) + 1;
  return { weight: [channels, inputs, kernel, kernel], output: [channels, after(height), after(width)] } as const;
}

/** What a batch norm adds to the variance; torch.nn.BatchNorm2d's default. */
export const epsilon = 1e-5;
