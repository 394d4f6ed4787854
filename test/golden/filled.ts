/** Networks with the formula's weights, as scripts/golden fills them. */
import { float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import type { Learner } from "../../src/models/networks.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import type { Device } from "../../src/tensor/device.ts";
import { formulaWeights } from "./formula.ts";

/** How the formula sees a network: its tensors in PyTorch's order, and the salt of the first. */
export interface FormulaNetwork {
  shapes: Record<string, readonly number[]>;
  base: number;
  /** Side of the images that it takes. */
  inputSize: number;
  /** Channels of what it takes; three when absent. */
  channels?: number;
}

export function filled(
  network: Network,
  { shapes, base, inputSize, channels }: FormulaNetwork,
  device: Device = "cpu",
): Learner {
  const parameters = new Parameters(network, inputSize, device, channels);
  const own = new Set(parameters.declaration.entries.map(({ name }) => name));
  const state: StateDict = new Map();
  Object.entries(shapes).forEach(([name, shape], index) => {
    // The reference's policy has a value head that nothing uses; this program's has none.
    if (own.has(name)) state.set(name, float32Tensor(shape, formulaWeights(name, shape, index, base)));
  });
  parameters.load(state, "formula");
  return { network, parameters };
}
