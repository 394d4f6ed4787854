/** How a network ends. */
import type { Layers, Parts } from "../nn/layers.ts";

export interface Head {
  /** Of its last layer, in PyTorch files. */
  readonly name: string;
  readonly outputs: number;
  /**
   * Outputs are patches of this grid, and each is told by what the map has there too; else by the map's mean alone, which
   * forgets where things are.
   */
  readonly keepsMap?: Parts | undefined;
}

/**
 * The paper's head is a linear layer on the map's mean. One that keeps the map adds what the map says of each patch, averaged
 * over it and read by the same weights for all patches: what makes a patch worth buying looks alike wherever it lies, and
 * weights of their own for each place would learn it from a P-th of the examples. [B, C, H, W] → [B, outputs]
 */
export function headOf<V>(layers: Layers<V>, map: V, { name, outputs, keepsMap }: Head): V {
  const overall = layers.linear(layers.globalAveragePool(map), name, outputs);
  if (keepsMap === undefined) return overall;
  return layers.add(overall, layers.linearOfParts(map, `${name}_map`, keepsMap));
}
