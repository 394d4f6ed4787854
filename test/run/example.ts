/** A small run to save and resume. */

import type { RunConfig, SavedConfig } from "../../src/checkpoints/run-config.ts";
import { float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import type { SaveRequest } from "../../src/run/run-folder.ts";

export const config: RunConfig = {
  stage: "pretrain",
  options: { lr: 0.001, penalty: -0.5, cv_dir: "run", schedule: { epochs: [150, 250], factor: 0.1 } },
  versions: { patchdrop: "0.1.0", node: "20.20.2", libtorch: "2.9.0" },
  dataset: { name: "CIFAR-10", fingerprint: "ab12", images: 50000 },
};

/** As it stands in a checkpoint. */
export const savedConfig: SavedConfig = { format: 1, ...config, created: "now" };

export function state(value: number): StateDict {
  return new Map([
    ["conv1.weight", float32Tensor([2], new Float32Array([value, -value]))],
    ["fc.bias", float32Tensor([1], new Float32Array([value + 0.5]))],
  ]);
}

/** A save whose every part tells the step. */
export function save(step: number, isBest = false): SaveRequest {
  return {
    name: `ckpt_E_${step}_A_0.500_R_0.25`,
    isBest,
    networks: new Map([
      ["agent", state(step)],
      ["resnet_hr", state(step + 100)],
    ]),
    optimizer: new Map([["agent.conv1.weight.exp_avg", float32Tensor([1], new Float32Array([step * 10]))]]),
    progress: {
      epoch: step,
      step: step * 7,
      tested: { accuracy: 0.5, reward: 0.25 },
      generator: ["18446744073709551615"],
    },
  };
}
