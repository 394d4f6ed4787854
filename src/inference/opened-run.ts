/** A run with a policy, open for evaluation: its setting as it was trained, and its networks, frozen. */

import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint, savedNetwork } from "../checkpoints/open-checkpoint.ts";
import type { Fill } from "../method/images.ts";
import type { RewardOptions } from "../method/reward.ts";
import { loadNetwork, type NetworkName } from "../models/networks.ts";
import type { Variant } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import type { Reporter } from "../utils/reporter.ts";
import { prepare, type Setting } from "./setting.ts";

/** What decides how a policy is evaluated, where neither its run nor a flag says. */
const unsaid = { model: "R32_C10", variant: "2019", seed: 1, fill: "zero", reward: "quadratic", penalty: -5 } as const;

/** The options of the run that made the checkpoint, overridden by those that were given. */
export function asTrained({ config }: Checkpoint, options: EvalOptions) {
  return { ...unsaid, ...config.options, ...options } as EvalOptions & {
    model: string;
    variant: Variant;
    seed: number;
    fill: Fill;
    reward: RewardOptions["kind"];
    penalty: number;
  };
}

export interface RunNetworks {
  policy: FrozenNetwork;
  high: FrozenNetwork;
  /** Added to `high` where the run has two streams. */
  low?: FrozenNetwork;
  /** The low-resolution classifier alone, as a baseline. */
  lowAlone?: FrozenNetwork;
}

export interface OpenedRun {
  readonly checkpoint: Checkpoint;
  readonly setting: Setting;
  readonly networks: RunNetworks;
  readonly fill: Fill;
  readonly rewarding: RewardOptions;
  readonly seed: number;
}

/** Opens the data set and all networks, runs `body`, and frees the networks. @throws kinds "input" and "usage" */
export async function withOpenedRun<T>(
  checkpoint: Checkpoint,
  options: EvalOptions,
  reporter: Reporter,
  body: (run: OpenedRun) => Promise<T>,
): Promise<T> {
  const resolved = asTrained(checkpoint, options);
  const setting = await prepare(resolved, reporter);
  const networks = openNetworks(checkpoint, options, setting);
  const { fill, seed, reward: kind, penalty } = resolved;
  try {
    return await body({ checkpoint, setting, networks, fill, rewarding: { kind, penalty }, seed });
  } finally {
    for (const network of Object.values(networks)) network?.free();
  }
}

function openNetworks(checkpoint: Checkpoint, { ckpt_hr_cl, ckpt_lr_cl }: EvalOptions, setting: Setting): RunNetworks {
  const freeze = (from: Checkpoint, name: NetworkName) => {
    const { network, parameters } = loadNetwork(setting, name, savedNetwork(from, name));
    const frozen = new FrozenNetwork(network, parameters, setting.precision);
    parameters.free();
    return frozen;
  };
  const twoStreams = checkpoint.config.stage === "finetune2stream";
  return {
    policy: freeze(checkpoint, "agent"),
    high: freeze(ckpt_hr_cl === undefined ? checkpoint : openCheckpoint(ckpt_hr_cl), "resnet_hr"),
    ...(twoStreams && { low: freeze(checkpoint, "resnet_lr") }),
    ...(ckpt_lr_cl !== undefined && { lowAlone: freeze(openCheckpoint(ckpt_lr_cl), "resnet_lr") }),
  };
}
