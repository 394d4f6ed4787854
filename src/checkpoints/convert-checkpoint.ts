/** From one kind of checkpoint to another: folders and files in, `.safetensors` and PyTorch files out. */

import { existsSync } from "node:fs";
import { extname } from "node:path";
import { fault } from "../errors.ts";
import { assertWritable, writeFileAtomic } from "../files/atomic.ts";
import { encodeSafetensors, type StateDict, type TensorDtype } from "../formats/safetensors.ts";
import { writeTorchFile } from "../formats/torch-writer.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { isBare, referenceDictionary } from "./foreign-checkpoint.ts";
import { openCheckpoint } from "./open-checkpoint.ts";

export interface ConvertOptions {
  /** Writes this network alone. Absent: the only one; or, into a PyTorch file, the whole checkpoint. */
  readonly network?: string | undefined;
  /** Replaces a file that is there. */
  readonly force?: boolean;
}

/** A network as `convert --list` shows it. */
export interface NetworkListing {
  readonly name: string;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: TensorDtype;
    readonly shape: readonly number[];
  }[];
  /** Numbers in all tensors together. */
  readonly elements: number;
  readonly bytes: number;
}

export function listNetworks({ networks }: Pick<Checkpoint, "networks">): NetworkListing[] {
  return [...networks].map(([name, state]) => {
    const tensors = [...state].map(([tensor, { dtype, shape }]) => ({ name: tensor, dtype, shape }));
    const elements = tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0);
    const bytes = [...state.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
    return { name, tensors, elements, bytes };
  });
}

/**
 * Writes the checkpoint at `from`, which `openCheckpoint` opens, to the file `to`, whole or not at all. `.safetensors`
 * takes one network; `.pth` and `.pt` take one as a bare state dict, or the checkpoint as the reference's dictionary.
 * Returns what was written. Throws "usage" for an ending or network that there is not, or where `to` exists; "system".
 */
export function convertCheckpoint(from: string, to: string, options: ConvertOptions = {}): NetworkListing[] {
  const { network, force = false } = options;
  const ending = extname(to);
  if (![".safetensors", ".pth", ".pt"].includes(ending)) {
    throw fault("usage", { where: to, rule: "must end in .safetensors, .pth or .pt", got: ending || "no ending" });
  }
  if (!force && existsSync(to)) {
    throw fault("usage", {
      where: to,
      rule: "must not exist yet",
      next: "give another name, or --force to replace it",
    });
  }
  assertWritable(to); // with --force too, no pipe or device is replaced
  const checkpoint = openCheckpoint(from);
  if (ending !== ".safetensors" && network === undefined && !isBare(checkpoint)) {
    writeFileAtomic(to, writeTorchFile(referenceDictionary(checkpoint)));
    return listNetworks(checkpoint);
  }
  const [name, state] = oneNetwork(checkpoint, network);
  writeFileAtomic(to, ending === ".safetensors" ? encodeSafetensors(state, { format: "pt" }) : writeTorchFile(state));
  return listNetworks({ networks: new Map([[name, state]]) });
}

function oneNetwork({ networks }: Checkpoint, network: string | undefined): readonly [string, StateDict] {
  const [only] = networks.keys();
  const name = network ?? (networks.size === 1 ? only : undefined);
  const state = name === undefined ? undefined : networks.get(name);
  if (name !== undefined && state !== undefined) return [name, state];
  const rule = `must be ${[...networks.keys()].join(" or ")}`;
  throw fault("usage", { where: "--network", rule, got: network ?? "nothing" });
}
