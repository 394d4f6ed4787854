/** What the golden tests run: the networks of R32_C10, the batch, and how their tensors are compared. */

import { cifarNormalization } from "../../src/data/normalizations.ts";
import { Normalizer } from "../../src/method/images.ts";
import type { Learner } from "../../src/models/networks.ts";
import { findModel } from "../../src/models/registry.ts";
import type { Device } from "../../src/tensor/device.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import type { Batch } from "../../src/training/learning.ts";
import { openForTests } from "../gpu/gpu.ts";
import { filled } from "./filled.ts";
import { formulaImages, formulaUniforms, salts } from "./formula.ts";
import { loadGolden } from "./load.ts";
import { distance, type Summary } from "./summary.ts";

openForTests();

export const model = findModel({ model: "R32_C10" });
export const setting = { model, precision: "fp32" } as const;
const { networks } = loadGolden("states");

export function goldenClassifier(base: number, device: Device = "cpu"): Learner {
  const { shapes } = networks.classifier;
  return filled(model.classifier(10), { shapes, base, inputSize: model.imageSize }, device);
}

export function goldenPolicy(base: number, device: Device = "cpu"): Learner {
  return filled(model.policy, { shapes: networks.policy.shapes, base, inputSize: model.lowInput }, device);
}

/** The 8 images, normalized, [8, 3, 32, 32]; or the first `count`. */
export function goldenImages(count = 8, device: Device = "cpu"): Tensor {
  return new Normalizer(cifarNormalization, device).images(formulaImages(count), model.imageSize);
}

export function goldenBatch(labels: readonly number[], step = 0, device: Device = "cpu"): Batch {
  return {
    images: goldenImages(labels.length, device),
    labels: fromArray(BigInt64Array.from(labels, BigInt), [labels.length], device),
    uniforms: fromArray(formulaUniforms(8, 16, salts.uniforms + step), [8, 16], device),
    epoch: 0,
  };
}

/** The largest distance of any tensor of `found` from its golden summary, and whose it is. */
export function farthest(
  found: ReadonlyMap<string, ArrayLike<number>>,
  golden: Record<string, Summary>,
): { name: string; distance: number } {
  const all = Object.entries(golden)
    .filter(([name]) => !name.startsWith("vnet"))
    .map(([name, summary]) => ({
      name,
      distance: found.has(name) ? distance(found.get(name)!, summary) : Number.POSITIVE_INFINITY,
    }));
  return all.reduce((worst, next) => (next.distance > worst.distance ? next : worst));
}

/** Parameters (without running statistics) by name, as they are now. */
export function snapshot({ parameters }: Learner): Map<string, Float32Array> {
  const state = parameters.stateDict();
  return new Map(
    [...state]
      .filter(([, { dtype }]) => dtype === "F32")
      .map(([name, { data }]) => [
        name,
        new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)),
      ]),
  );
}

/** What changed since `before`, by name. */
export function changesSince(before: ReadonlyMap<string, Float32Array>, learner: Learner): Map<string, Float64Array> {
  return new Map(
    [...snapshot(learner)].map(([name, now]) => [name, Float64Array.from(now, (x, i) => x - before.get(name)![i])]),
  );
}

export const maskRows = (mask: Tensor): string[] => {
  const [batch, patches] = mask.shape;
  const values = mask.toFloat32();
  return Array.from({ length: batch }, (_, b) =>
    Array.from(values.subarray(b * patches, (b + 1) * patches), (v) => (v > 0.5 ? "1" : "0")).join(""),
  );
};
