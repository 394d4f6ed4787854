/**
 * The ResNet for 32 × 32 images (He et al., "Deep Residual Learning for Image Recognition", section 4.2) in the form of
 * PatchDrop's first public version: a 3 × 3 stem of 16 channels, three segments of basic blocks at 16, 32 and 64
 * channels, and shortcuts without parameters (average-pool by the stride, then channels of zeros).
 */
import type { Layers, Network } from "../nn/layers.ts";
import { type Head, headOf } from "./head.ts";

const widths = [16, 32, 64] as const;

export interface CifarResNetOptions {
  /** Basic blocks in each of the three segments: 5 make ResNet-32, 1 makes the policy. */
  blocks: number;
  outputs: number;
  /** Where PyTorch's names begin, e.g. "features." in the policy. */
  prefix?: string;
  /** Name of the last layer. */
  head?: string;
  /** Averages the images over 2 × 2 pixels first. */
  halved?: boolean;
  keepsMap?: Head["keepsMap"];
}

/** Images [B, 3, H, W] → [B, outputs]. */
export function cifarResNet(options: CifarResNetOptions): Network {
  const { blocks, outputs, prefix = "", head = "fc", halved = false, keepsMap } = options;
  return <V>(layers: Layers<V>, images: V): V => {
    const stem = { conv: `${prefix}conv1`, bn: `${prefix}bn1` };
    let x = layers.convBnRelu(halved ? layers.averagePool(images, 2) : images, stem, {
      channels: widths[0],
      kernel: 3,
    });
    widths.forEach((channels, segment) => {
      for (let block = 0; block < blocks; block++) {
        const name = `${prefix}blocks.${segment}.${block}`;
        const before = segment > 0 && block === 0 ? { inputs: channels / 2, stride: 2 } : {};
        x = cifarBlock(layers, x, { name, channels, ...before });
      }
    });
    return headOf(layers, x, { name: head, outputs, keepsMap });
  };
}

interface Block {
  readonly name: string;
  /** Of the output. */
  readonly channels: number;
  /** Channels of what flows in; as many when absent. */
  readonly inputs?: number;
  readonly stride?: number;
}

/**
 * Two 3 × 3 convolutions and a shortcut without parameters: average-pool by the stride, then channels of zeros.
 * [B, inputs, H, W] → [B, channels, H / stride, W / stride]
 */
export function cifarBlock<V>(layers: Layers<V>, x: V, { name, channels, inputs = channels, stride = 1 }: Block): V {
  return layers.block(() => {
    const pooled = stride === 1 ? x : layers.averagePool(x, stride);
    const shortcut = inputs === channels ? pooled : layers.padChannels(pooled, channels - inputs);
    const inner = { channels, kernel: 3, stride };
    const y = layers.convBnRelu(x, { conv: `${name}.conv1`, bn: `${name}.bn1` }, inner);
    return layers.convBnAddRelu(y, shortcut, { conv: `${name}.conv2`, bn: `${name}.bn2` }, { channels, kernel: 3 });
  });
}
