/** Parameters and running statistics of a network by lot, all of them away from what a fresh network has. */
import { float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import type { Declared } from "../../src/nn/declare.ts";
import type { Parameters } from "../../src/nn/parameters.ts";
import { elementCount } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

export function randomState({ declaration }: Pick<Parameters, "declaration">, seed: number): StateDict {
  return new Map(
    declaration.entries.map((entry) => {
      const values = new Float32Array(elementCount(entry.shape));
      draw(entry, values, new Random(seed, entry.name));
      return [entry.name, float32Tensor(entry.shape, values)] as const;
    }),
  );
}

/** Small enough that the sums of many residual blocks, which nothing was trained to bound, stay near 1. */
function draw({ role, fanIn }: Declared, values: Float32Array, random: Random): void {
  if (role === "convWeight" || role === "linearWeight") {
    random.normals(values);
    for (let i = 0; i < values.length; i++) values[i] *= Math.sqrt(0.5 / fanIn);
  } else {
    const lowest = role === "bnWeight" || role === "runningVar" ? 0.5 : -0.5;
    random.uniforms(values);
    for (let i = 0; i < values.length; i++) values[i] += lowest;
  }
}
