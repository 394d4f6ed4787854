/**
 * A network that learns CIFAR-sized images in minutes: the form of the public CIFAR-10 speed runs (Jordan, "94% on CIFAR-10 in 3.29
 * seconds on a single GPU", arXiv 2404.00498, section 3.1): a first convolution that whitens, six that begin as the identity, max-pooling
 * before batch norm, GELU, and batch norms whose running statistics are of the last few steps and which have no scale.
 */
import type { Layers, Network } from "../nn/layers.ts";

const widths = [64, 256, 256] as const;

/**
 * Biases that batch norm leaves near 0 learn too slowly at the filters' rate, and the last layer, whose inputs are all positive, too fast.
 * By these shares of the filters' rate, for the mean of a batch's losses.
 */
const rates = { bias: 440, head: 0.085 } as const;

const batchNorm = { epsilon: 1e-12, momentum: 0.4, scales: false, biasRate: rates.bias } as const;

/** Images [B, C, H, W] of some 32 × 32 pixels → [B, outputs]. */
export function speedrun(outputs: number): Network {
  return <V>(layers: Layers<V>, images: V): V => {
    let x = layers.whitened(images, "whiten", { kernel: 2, biasRate: rates.bias });
    for (const [i, channels] of widths.entries()) {
      x = layers.block(() => {
        const spec = { channels, kernel: 3, activation: "gelu", batchNorm, start: "identity" } as const;
        const names = (n: number) => ({ conv: `blocks.${i}.conv${n}`, bn: `blocks.${i}.bn${n}` });
        return layers.convBnRelu(layers.convBnRelu(x, names(1), { ...spec, pool: 2 }), names(2), spec);
      });
    }
    return layers.linear(layers.globalAveragePool(layers.maxPool(x, 3, 3, 0)), "head", outputs, rates.head);
  };
}
