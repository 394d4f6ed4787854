/**
 * Residual networks with projection shortcuts (He et al., "Deep Residual Learning for Image Recognition", table 1): what
 * torchvision calls resnet18 … resnet101, PatchDrop's policies for larger images, and the wide networks of its 2020
 * version for CIFAR. They differ in stem, blocks and in how PyTorch files name their parameters.
 */
import type { ConvolutionNames, Layers, Network } from "../nn/layers.ts";
import { type Head, headOf } from "./head.ts";

/** Channels of the four segments; a bottleneck's output has four times as many. */
const widths = [64, 128, 256, 512] as const;
const bottleneckExpansion = 4;

export interface ResNetOptions {
  block: "basic" | "bottleneck";
  /** Blocks in each of the four segments. */
  blocks: readonly [number, number, number, number];
  /** "large": 7 × 7 with stride 2, then 3 × 3 max-pooling; "small": 3 × 3 at full size, for images of some 32 pixels. */
  stem: "large" | "small";
  outputs: number;
  names: ResNetNames;
  /** Averages the images over 2 × 2 pixels first. */
  halved?: boolean;
  keepsMap?: Head["keepsMap"];
}

/** How parameters are called in PyTorch files; segments and blocks count from 0. */
export interface ResNetNames {
  stem: ConvolutionNames;
  block(segment: number, block: number): string;
  /** The projection shortcut of a segment's first block. */
  projection(segment: number): ConvolutionNames;
  head: string;
}

/** torchvision's names. */
export const torchvisionNames: ResNetNames = {
  stem: { conv: "conv1", bn: "bn1" },
  block: (segment, block) => `layer${segment + 1}.${block}`,
  projection: (segment) => pair(`layer${segment + 1}.0.downsample`),
  head: "fc",
};

/** Those of the 2020 version's networks for CIFAR. */
export const wideCifarNames: ResNetNames = {
  ...torchvisionNames,
  projection: (segment) => pair(`layer${segment + 1}.0.shortcut`),
  head: "linear",
};

/** Those of the 2019 version's policy for larger images. */
export const policyNames: ResNetNames = {
  stem: { conv: "features.conv1", bn: "features.bn1" },
  block: (segment, block) => `features.blocks.${segment}.${block}`,
  projection: (segment) => pair(`features.ds.${segment}`),
  head: "logit",
};

/** A convolution and its batch norm in a torch.nn.Sequential. */
function pair(sequential: string): ConvolutionNames {
  return { conv: `${sequential}.0`, bn: `${sequential}.1` };
}

export function resNet({ block, blocks, stem, outputs, names, halved = false, keepsMap }: ResNetOptions): Network {
  return <V>(layers: Layers<V>, images: V): V => {
    const residual = block === "basic" ? basicBlock : bottleneckBlock;
    const expansion = block === "basic" ? 1 : bottleneckExpansion;
    let x = stemOf(layers, halved ? layers.averagePool(images, 2) : images, stem, names.stem);
    widths.forEach((channels, segment) => {
      for (let index = 0; index < blocks[segment]; index++) {
        const stride = segment > 0 && index === 0 ? 2 : 1;
        const projected = index === 0 && (segment > 0 || expansion > 1);
        const projection = projected ? names.projection(segment) : undefined;
        x = residual(layers, x, { name: names.block(segment, index), channels, stride, projection });
      }
    });
    return headOf(layers, x, { name: names.head, outputs, keepsMap });
  };
}

function stemOf<V>(layers: Layers<V>, images: V, stem: ResNetOptions["stem"], names: ConvolutionNames): V {
  const [channels] = widths;
  if (stem === "small") return layers.convBnRelu(images, names, { channels, kernel: 3 });
  return layers.block(() =>
    layers.maxPool(layers.convBnRelu(images, names, { channels, kernel: 7, stride: 2 }), 3, 2, 1),
  );
}

interface BlockOptions {
  name: string;
  channels: number;
  stride: number;
  /** Absent: the shortcut is the input itself. */
  projection: ConvolutionNames | undefined;
}

/** Two 3 × 3 convolutions. */
function basicBlock<V>(layers: Layers<V>, x: V, { name, channels, stride, projection }: BlockOptions): V {
  return layers.block(() => {
    const y = layers.convBnRelu(x, convolution(name, 1), { channels, kernel: 3, stride });
    const shortcut = projection ? layers.convBn(x, projection, { channels, kernel: 1, stride }) : x;
    return layers.convBnAddRelu(y, shortcut, convolution(name, 2), { channels, kernel: 3 });
  });
}

/** 1 × 1, 3 × 3 and 1 × 1; the stride stands at the 3 × 3, as torchvision has it. */
function bottleneckBlock<V>(layers: Layers<V>, x: V, { name, channels, stride, projection }: BlockOptions): V {
  return layers.block(() => {
    const wide = channels * bottleneckExpansion;
    let y = layers.convBnRelu(x, convolution(name, 1), { channels, kernel: 1 });
    y = layers.convBnRelu(y, convolution(name, 2), { channels, kernel: 3, stride });
    const shortcut = projection ? layers.convBn(x, projection, { channels: wide, kernel: 1, stride }) : x;
    return layers.convBnAddRelu(y, shortcut, convolution(name, 3), { channels: wide, kernel: 1 });
  });
}

/** The n-th convolution of a block, with its batch norm. */
function convolution(block: string, n: number): ConvolutionNames {
  return { conv: `${block}.conv${n}`, bn: `${block}.bn${n}` };
}
