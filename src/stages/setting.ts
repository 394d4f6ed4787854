/**
 * What a stage stands on: libtorch opened on the right device, the data set, the model, networks from checkpoints. The
 * four stages share it; each keeps to itself what it learns and how.
 */
import { availableParallelism } from "node:os";
import type { DataSplits } from "../data/dataset.ts";
import { openDataFor } from "../data/open.ts";
import { fault } from "../errors.ts";
import type { StateDict } from "../formats/safetensors.ts";
import { Normalizer } from "../method/images.ts";
import { findModel, type Model, type ModelOptions } from "../models/registry.ts";
import { findLibtorch } from "../native/find.ts";
import { gpuPrecision, listGpus } from "../native/gpus.ts";
import { openLibtorch } from "../native/library.ts";
import type { Network } from "../nn/layers.ts";
import { Parameters, type Precision } from "../nn/parameters.ts";
import type { Checkpoint } from "../run/checkpoint.ts";
import { networkOf, openCheckpoint } from "../run/open-checkpoint.ts";
import type { StageOptions } from "../run/options.ts";
import type { Reporter } from "../run/reporter.ts";
import { checkPlantedGradients } from "../tensor/autograd.ts";
import { type CudaDevice, openCuda } from "../tensor/cuda.ts";
import { type Device, deviceCodes } from "../tensor/device.ts";
import { defaultPrecision } from "../utils/cpu.ts";
import { Random } from "../utils/random.ts";
import { version } from "../utils/version.ts";

export interface Setting {
  readonly model: Model;
  readonly data: DataSplits;
  readonly classes: number;
  readonly device: Device;
  /** The GPU's streams, when the device is one. */
  readonly cuda: CudaDevice | undefined;
  readonly precision: Precision;
  readonly normalizer: Normalizer;
  readonly reporter: Reporter;
  readonly versions: Record<string, string>;
}

type SettingOptions = Pick<
  StageOptions,
  | "model"
  | "variant"
  | "img_size"
  | "lr_size"
  | "patch_size"
  | "data_dir"
  | "dataset"
  | "download"
  | "skip_bad"
  | "num_workers"
  | "seed"
  | "device"
  | "precision"
  | "threads"
  | "torch"
>;

/** Opens libtorch and the data set. @throws kinds "input" and "usage", see docs. */
export async function prepare(options: SettingOptions, reporter: Reporter): Promise<Setting> {
  const model = findModel(options);
  const device = options.device as Device;
  const torch = startLibtorch(options);
  const data = await openDataFor(model, options, reporter.note);
  return {
    model,
    data,
    classes: data.train.classes.length,
    device,
    cuda: torch.cuda,
    precision: choosePrecision(options.precision, device),
    normalizer: new Normalizer(data.train.normalization, device),
    reporter,
    versions: {
      patchdrop: version(),
      node: process.version,
      libtorch: torch.version,
      threads: String(torch.threads),
    },
  };
}

/** Finds and opens libtorch, once a process. */
export function startLibtorch({ torch, threads, device }: Pick<SettingOptions, "torch" | "threads" | "device">) {
  const used = threads ?? Number(process.env.OMP_NUM_THREADS ?? availableParallelism());
  const found = findLibtorch(torch === undefined ? {} : { torch });
  const place = device as Device;
  if (place !== "cpu" && !found.cuda) {
    throw fault("input", {
      where: "--device",
      rule: "needs a libtorch with CUDA",
      got: `${device}, but ${found.root} has none`,
      next: "run `patchdrop setup --cuda`, or use --device cpu",
    });
  }
  const library = openLibtorch(found, { threads: used, cuda: place !== "cpu" });
  const cuda = place === "cpu" ? undefined : openCuda(place);
  checkPlantedGradients(place);
  return { version: library.found.version, threads: used, cuda };
}

/** @param asked "auto": what is faster there */
export function choosePrecision(asked: "auto" | Precision, device: Device): Precision {
  if (asked !== "auto") return asked;
  return device === "cpu" ? defaultPrecision() : gpuPrecision(listGpus().gpus[deviceCodes(device).index]);
}

/** Names of networks in checkpoints, as the reference's: the policy, and the two classifiers. */
export type NetworkName = "agent" | "resnet_hr" | "resnet_lr";

/** A network with its parameters. */
export interface Learner {
  readonly network: Network;
  readonly parameters: Parameters;
}

/** What a network's size hangs on. */
export type NetworkSetting = Pick<Setting, "model" | "classes" | "device">;

/** The network of that name, its parameters not yet set. */
function emptyNetwork({ model, classes, device }: NetworkSetting, name: NetworkName): Learner {
  const network = name === "agent" ? model.policy : model.classifier(classes);
  return {
    network,
    parameters: new Parameters(network, name === "resnet_hr" ? model.imageSize : model.lowInput, device),
  };
}

/** Fresh weights from the seed; `name` keeps the networks' random numbers apart. */
export function freshNetwork(setting: Setting, seed: number, name: NetworkName): Learner {
  const { network, parameters } = emptyNetwork(setting, name);
  parameters.initialize(new Random(seed, "initialize", name));
  return { network, parameters };
}

/** A network from a checkpoint. @throws kind "input" when it has no such network, or one of another shape. */
export function loadNetwork(setting: NetworkSetting, checkpoint: Checkpoint, name: NetworkName): Learner {
  const state = networkOf(checkpoint, name);
  if (state === undefined) {
    const has = [...checkpoint.networks.keys()].join(", ");
    throw fault("input", {
      where: checkpoint.path,
      rule: `must hold the network ${name}`,
      got: has,
      next: "give a checkpoint of a stage that trains it",
    });
  }
  const { network, parameters } = emptyNetwork(setting, name);
  parameters.load(state, `${checkpoint.path}: ${name}`);
  return { network, parameters };
}

/** The checkpoint that a flag names. @throws kind "input" when it is not of `model`, or none. */
export function checkpointOf(flag: string, path: string, model: Model): Checkpoint {
  const checkpoint = openCheckpoint(path);
  const { options } = checkpoint.config;
  if (options.model === undefined) return checkpoint;
  const own = findModel(options as unknown as ModelOptions);
  const wanted = described(model, flag);
  const got = described(own, flag);
  if (got === wanted) return checkpoint;
  const next = "give the same --model, --variant and sizes";
  throw fault("input", { where: `${flag} ${path}`, rule: `must be of model ${wanted}`, got, next });
}

/** What must agree for a checkpoint to fit. A high-resolution classifier fits any low resolution. */
function described({ name, variant, imageSize, lowSize }: Model, flag: string): string {
  const low = flag === "--ckpt_hr_cl" ? "" : `, low resolution ${lowSize}`;
  return `${name} ${variant} at ${imageSize} pixels${low}`;
}

export function states(learners: ReadonlyMap<NetworkName, Learner>): Map<string, StateDict> {
  return new Map([...learners].map(([name, { parameters }]) => [name, parameters.stateDict()] as const));
}
