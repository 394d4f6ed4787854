/**
 * Checkpoints in one file, as PyTorch code writes them: a bare state dict, or the dictionary of PatchDrop's authors, with
 * networks as `agent`, `resnet_hr` or `state_dict` (a classifier's training) and the numbers `epoch`, `acc`, `reward`.
 * Neither says which model or options made it.
 */

import { fault } from "../errors.ts";
import { isJsonObject, type JsonObject, toJson } from "../files/json.ts";
import { readBytes } from "../files/read.ts";
import { decodeSafetensors, float32Tensor, type StateDict } from "../formats/safetensors.ts";
import { isDict, isTensor, readTorchFile, type TorchValue } from "../formats/torch-file.ts";
import type { TorchTree } from "../formats/torch-writer.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { SavedConfig } from "./run-config.ts";

/** The network that a file holds without saying what it is for. */
export const unnamedNetwork = "state_dict";
const networkNames = ["agent", "resnet_hr", "resnet_lr", unnamedNetwork];
const numberNames = ["epoch", "acc", "reward"];

/** In the place of a run's configuration: every option must be given. */
export const unknownRun: SavedConfig = {
  format: 1,
  stage: "unknown",
  options: {},
  versions: {},
  dataset: { name: "unknown", fingerprint: "unknown" },
  created: "unknown",
};

/**
 * Reads a `.safetensors` file, or a PyTorch file of any other name. Throws "input" where it is neither or holds no state
 * dict, "unsafe" and "resource" as `readTorchFile` does, "system" where it cannot be read.
 */
export function readForeignCheckpoint(path: string): Checkpoint {
  const bytes = readBytes(path);
  const { networks, progress } = path.endsWith(".safetensors")
    ? { networks: new Map([[unnamedNetwork, decodeSafetensors(bytes, path).tensors]]), progress: {} }
    : contents(readTorchFile(bytes, path), path);
  const cleaned = new Map([...networks].map(([name, state]) => [name, clean(state)] as const));
  return { path, networks: cleaned, optimizer: new Map(), progress, config: unknownRun };
}

/** Whether the checkpoint came as a state dict and nothing else. */
export function isBare({ config, networks, progress }: Checkpoint): boolean {
  return config === unknownRun && networks.has(unnamedNetwork) && Object.keys(progress).length === 0;
}

/** A checkpoint as the authors' dictionary; they have a classifier of high resolution that was trained alone as `state_dict`. */
export function referenceDictionary(checkpoint: Checkpoint): ReadonlyMap<string, TorchTree> {
  const { networks } = checkpoint;
  const alone = networks.size === 1 && networks.has("resnet_hr");
  const named = [...networks].map(([name, state]) => [alone ? unnamedNetwork : name, state] as const);
  return new Map<string, TorchTree>([...named, ...numbers(checkpoint)]);
}

/**
 * Epoch, accuracy and reward of the test, as a checkpoint has them: the authors' under these names, a run's own as the test
 * after the epoch, where there was one.
 */
function numbers({ config, progress }: Checkpoint): [string, TorchTree][] {
  const { epoch, tested } = progress;
  const own = isJsonObject(tested) ? { epoch, acc: tested.accuracy, reward: tested.reward ?? 0 } : { epoch };
  const values: JsonObject = config === unknownRun ? progress : toJson(own);
  return numberNames.flatMap((name): [string, TorchTree][] => {
    const value = values[name];
    if (typeof value !== "number") return [];
    return [[name, name === "epoch" ? value : float32Tensor([], Float32Array.of(value))]];
  });
}

interface Contents {
  readonly networks: ReadonlyMap<string, StateDict>;
  readonly progress: Readonly<Record<string, number>>;
}

function contents(value: TorchValue, where: string): Contents {
  const entries = isDict(value) ? value : new Map<string, TorchValue>();
  const named = networkNames.flatMap((name): [string, StateDict][] => {
    const state = stateDict(entries.get(name));
    return state === undefined ? [] : [[name, state]];
  });
  if (named.length > 0) {
    const said = numberNames.map((name) => [name, scalar(entries.get(name))] as const);
    return { networks: new Map(named), progress: Object.fromEntries(said.filter(isFiniteEntry)) };
  }
  const bare = stateDict(value);
  if (bare !== undefined) return { networks: new Map([[unnamedNetwork, bare]]), progress: {} };
  throw fault("input", {
    where,
    rule: `must be a state dict, or a dictionary with one as ${networkNames.join(", ")}`,
    got: entries.size === 0 ? "neither" : `keys ${[...entries.keys()].slice(0, 10).join(", ")}`,
    next: "save model.state_dict()",
  });
}

/** Undefined for anything but names with tensors. */
function stateDict(value: TorchValue | undefined): StateDict | undefined {
  if (!isDict(value) || value.size === 0) return undefined;
  const state: StateDict = new Map();
  for (const [name, tensor] of value) {
    if (typeof name !== "string" || !isTensor(tensor)) return undefined;
    state.set(name, tensor);
  }
  return state;
}

/**
 * Without the prefix that torch.nn.DataParallel gives to every name, and without the value head that the authors'
 * policies have and never use.
 */
function clean(state: StateDict): StateDict {
  const prefix = "module.";
  const wrapped = [...state.keys()].every((name) => name.startsWith(prefix));
  const named = [...state].map(([name, tensor]) => [wrapped ? name.slice(prefix.length) : name, tensor] as const);
  return new Map(named.filter(([name]) => !name.startsWith("vnet.")));
}

/** A number, or the only element of a tensor. */
function scalar(value: TorchValue | undefined): number | undefined {
  if (typeof value === "number") return value;
  if (!isTensor(value) || value.shape.some((size) => size !== 1)) return undefined;
  const view = new DataView(value.data.buffer, value.data.byteOffset);
  if (value.dtype === "F32") return view.getFloat32(0, true);
  if (value.dtype === "F64") return view.getFloat64(0, true);
  return value.dtype === "I64" ? Number(view.getBigInt64(0, true)) : undefined;
}

function isFiniteEntry(entry: readonly [string, number | undefined]): entry is readonly [string, number] {
  return Number.isFinite(entry[1]);
}
