/**
 * Checkpoints in one file, as PyTorch code writes them: a bare state dict, or the dictionary of PatchDrop's authors, with
 * networks as `agent`, `resnet_hr` or `state_dict` (a classifier's training) and the numbers `epoch`, `acc`, `reward`; or any
 * other dictionary with one state dict.
 * Neither says which model or options made it.
 */

import { fault, type PatchDropError } from "../errors.ts";
import { isJsonObject, type JsonObject, toJson } from "../files/json.ts";
import { readBytes } from "../files/read.ts";
import { decodeSafetensors, float32Tensor, type StateDict } from "../formats/safetensors.ts";
import { isDict, isTensor, readTorchFile, type TorchValue } from "../formats/torch-file.ts";
import type { TorchTree } from "../formats/torch-writer.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { SavedConfig } from "./run-config.ts";

/** The network that a file holds without saying what it is for. */
export const unnamedNetwork = "state_dict";
/** Of the networks that it knows. */
export const networkNames: readonly string[] = ["agent", "resnet_hr", "resnet_lr", unnamedNetwork];
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
 * @param note hears what the file holds and is not taken
 */
export function readForeignCheckpoint(path: string, note: (text: string) => void = () => {}): Checkpoint {
  const bytes = readBytes(path);
  const { networks, progress } = path.endsWith(".safetensors")
    ? { networks: new Map([[unnamedNetwork, decodeSafetensors(bytes, path).tensors]]), progress: {} }
    : contents(readTorchFile(bytes, path), { where: path, note });
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

/** The file's name in errors, and who hears of it. */
interface Place {
  readonly where: string;
  readonly note: (text: string) => void;
}

interface Contents {
  readonly networks: ReadonlyMap<string, StateDict>;
  readonly progress: Readonly<Record<string, number>>;
}

function contents(value: TorchValue, { where, note }: Place): Contents {
  const bare = stateDict(value);
  if (bare !== undefined) return { networks: new Map([[unnamedNetwork, bare]]), progress: {} };
  const entries = isDict(value) ? value : new Map<string, TorchValue>();
  const found = stateDicts(entries);
  if (found.size === 0) throw noStateDict(entries, where);
  const own = withoutAverages(found);
  const averages = [...found.keys()].filter((name) => !own.has(name));
  if (averages.length > 0) note(`${where}: averaged weights are passed over: ${averages.join(", ")}`);
  const said = numberNames.map((name) => [name, scalar(entries.get(name))] as const);
  return { networks: chosen(own, where), progress: Object.fromEntries(said.filter(isFiniteEntry)) };
}

function stateDicts(entries: ReadonlyMap<string | number, TorchValue>): Map<string, StateDict> {
  const states = [...entries].map(([name, entry]) => [String(name), stateDict(entry)] as const);
  return new Map(states.filter((entry): entry is readonly [string, StateDict] => entry[1] !== undefined));
}

/** Exponential moving averages of weights, as timm and others save them beside the weights. */
const averaged = /(^|[._-])ema([._-]|$)/i;

/** Without averages, unless there is nothing else. */
function withoutAverages(found: Map<string, StateDict>): Map<string, StateDict> {
  const own = new Map([...found].filter(([name]) => !averaged.test(name)));
  return own.size === 0 ? found : own;
}

/** The networks with the authors' names; else the only state dict there is, whatever it is called. */
function chosen(found: ReadonlyMap<string, StateDict>, where: string): Map<string, StateDict> {
  const named = networkNames.filter((name) => found.has(name));
  if (named.length > 0) return new Map(named.map((name) => [name, found.get(name)!]));
  const [[only, state]] = found;
  if (found.size === 1) return new Map([[unnamedNetwork, state]]);
  const next = `save one of them alone: torch.save(torch.load(FILE)["${only}"], "${only}.pth")`;
  throw fault("input", { where, rule: "must hold one state dict", got: `several: ${firstOf(found)}`, next });
}

function noStateDict(entries: ReadonlyMap<string | number, TorchValue>, where: string): PatchDropError {
  return fault("input", {
    where,
    rule: `must be a state dict, or a dictionary with one as ${networkNames.join(", ")} or any other name`,
    got: entries.size === 0 ? "neither" : `keys ${firstOf(entries)}`,
    next: "save model.state_dict()",
  });
}

function firstOf(entries: ReadonlyMap<string | number, unknown>): string {
  return [...entries.keys()].slice(0, 10).join(", ");
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

/** Without the value head that the authors' policies have and never use. */
function clean(state: StateDict): StateDict {
  return new Map([...withoutPrefixes(state)].filter(([name]) => !name.startsWith("vnet.")));
}

/** What torch.compile, DataParallel, Lightning and classes around a network put before the name of each tensor. */
const prefixes = ["_orig_mod.", "module.", "model.", "net.", "backbone."];

/** Without prefixes that all names have, however many: one that only some have tells them apart. */
function withoutPrefixes(state: StateDict): StateDict {
  const names = [...state.keys()];
  const prefix = prefixes.find((one) => names.every((name) => name.startsWith(one) && name !== one));
  if (prefix === undefined || names.length === 0) return state;
  return withoutPrefixes(new Map([...state].map(([name, tensor]) => [name.slice(prefix.length), tensor])));
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
