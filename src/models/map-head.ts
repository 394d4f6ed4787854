/** The end of a policy that keeps where things are: its last map, averaged over each patch, and a layer that sees all of it. */
import type { Layers } from "../nn/layers.ts";

/** What a policy is shown, and how that is cut into patches. */
export interface SeenMap {
  /** Side of the policy's input, in pixels. */
  readonly side: number;
  readonly rows: number;
  readonly columns: number;
}

/**
 * [B, C, H, W] → [B, C · rows · columns]; a map that has no whole positions for each patch stays as it is: [B, C · H · W].
 * @param stride pixels of the input for one position of the map
 */
export function perPatch<V>(layers: Layers<V>, map: V, { side, rows, columns }: SeenMap, stride: number): V {
  const window = side / stride / rows;
  const isWhole = rows === columns && Number.isInteger(window) && window > 1;
  return layers.flatten(isWhole ? layers.averagePool(map, window) : map);
}
