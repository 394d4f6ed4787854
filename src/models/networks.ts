/** The networks of a run: which there are, fresh from a seed or with weights that were saved. */
import { fault } from "../errors.ts";
import type { StateDict } from "../formats/safetensors.ts";
import { acquiredChannels } from "../method/arch.ts";
import { type Declaration, declare } from "../nn/declare.ts";
import type { Network } from "../nn/layers.ts";
import { loadWeights } from "../nn/load-weights.ts";
import { Parameters } from "../nn/parameters.ts";
import type { Device } from "../tensor/device.ts";
import { Random } from "../utils/random.ts";
import type { Model } from "./registry.ts";

/** Names of networks in checkpoints, as the reference's: the policy, and the two classifiers. */
export const networkNames = ["agent", "resnet_hr", "resnet_lr"] as const;
export type NetworkName = (typeof networkNames)[number];

/** A network with its parameters. */
export interface Learner {
  readonly network: Network;
  readonly parameters: Parameters;
}

/** What a network's size depends on. */
export interface NetworkSetting {
  readonly model: Model;
  readonly classes: number;
  readonly device: Device;
}

/** The network of that name, not yet with parameters. */
export function networkOf(name: NetworkName, model: Model, classes: number): Network {
  if (name === "agent") return model.policy;
  return name === "resnet_hr" ? model.classifier(classes) : model.lowClassifier(classes);
}

/** What the network of that name sees: its side in pixels, and its channels. */
function inputOf(name: NetworkName, model: Model): Model["policyInput"] {
  if (name === "agent") return model.policyInput;
  if (name === "resnet_lr") return { size: model.lowInput, channels: model.channels };
  return { size: model.imageSize, channels: acquiredChannels(model.channels, model.arch) };
}

/** What the network of that name is made of, and its work. */
export function declaredNetwork(name: NetworkName, model: Model, classes: number): Declaration {
  const { size, channels } = inputOf(name, model);
  return declare(networkOf(name, model, classes), size, channels);
}

/** The network of that name, its parameters not yet set. */
function emptyNetwork({ model, classes, device }: NetworkSetting, name: NetworkName): Learner {
  const network = networkOf(name, model, classes);
  const { size, channels } = inputOf(name, model);
  return { network, parameters: new Parameters(network, size, device, channels) };
}

/** Fresh weights from the seed; `name` keeps the networks' random numbers apart. */
export function freshNetwork(setting: NetworkSetting, seed: number, name: NetworkName): Learner {
  const { network, parameters } = emptyNetwork(setting, name);
  parameters.initialize(new Random(seed, "initialize", name));
  return { network, parameters };
}

/** Saved weights, and what names them in errors. */
export interface SavedNetwork {
  readonly state: StateDict;
  readonly where: string;
}

/** A network with saved weights. @throws kind "input" when they are of another shape, "notFinite". */
export function loadNetwork(setting: NetworkSetting, name: NetworkName, saved: SavedNetwork): Learner {
  const learner = emptyNetwork(setting, name);
  try {
    if (name !== "agent") checkOutputs(learner, setting.classes, saved);
    loadWeights(learner, saved.state, saved.where);
    return learner;
  } catch (error) {
    learner.parameters.free();
    throw error;
  }
}

/** Says in words what would be a tensor's shape otherwise. */
function checkOutputs({ parameters }: Learner, classes: number, { state, where }: SavedNetwork): void {
  const [head] = parameters.declaration.linears;
  const outputs = state.get(`${head}.weight`)?.shape[0];
  if (outputs === undefined || outputs === classes) return;
  const next = "give a classifier that was trained on these data";
  throw fault("input", { where, rule: `must know the ${classes} classes of the data`, got: outputs, next });
}

export function states(learners: ReadonlyMap<NetworkName, Learner>): Map<string, StateDict> {
  return new Map([...learners].map(([name, { parameters }]) => [name, parameters.stateDict()] as const));
}
