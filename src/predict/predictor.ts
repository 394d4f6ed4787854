/**
 * A trained run as a function of images: the policy and its classifiers, or one classifier alone, with the transform
 * and the normalization that they were trained with. Takes bytes, gives numbers; knows no image files.
 *
 * Shapes: B batch, S image size, P patches, K classes.
 */

import type { Normalization } from "../data/dataset.ts";
import { normalizationFor } from "../data/normalizations.ts";
import { syntheticNormalization } from "../data/synthetic.ts";
import type { TransformName } from "../data/transforms.ts";
import { fault } from "../errors.ts";
import { type Fill, lowResolution, maskPatches, Normalizer } from "../method/images.ts";
import { threshold } from "../method/policy.ts";
import { findModel, type Model, type ModelOptions } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { type Checkpoint, readState } from "../run/checkpoint.ts";
import type { JsonObject } from "../run/json.ts";
import { openCheckpoint } from "../run/open-checkpoint.ts";
import { choosePrecision, loadNetwork, type NetworkName, startLibtorch } from "../stages/setting.ts";
import type { Device } from "../tensor/device.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray, full, type Tensor } from "../tensor/tensor.ts";
import { sha256 } from "../utils/sha256.ts";
import type { PredictOptions } from "./options.ts";

/** What the run says of a batch, row by row. */
export interface Predicted {
  /** Probabilities of the classes [B, K]. */
  readonly classes: Float32Array;
  /** 1 for a patch that is taken [B, P]: of a high-resolution classifier all, of a low-resolution one none. */
  readonly mask: Uint8Array;
  /** The policy's probabilities to take a patch [B, P]. */
  readonly patches?: Float32Array;
  /** What the classifier saw, as bytes [B, S, S, 3]; the low resolution where it is one of the low resolution. */
  readonly seen?: Uint8Array;
}

type Networks = Partial<Record<NetworkName, FrozenNetwork>>;

export class Predictor {
  readonly model: Model;
  /** Names, [K]. */
  readonly classes: readonly string[];
  readonly transform: TransformName;
  /** Begins the SHA-256 of what `sha256sum` prints of the networks' files, sorted by name. */
  readonly checkpoint: string;
  readonly #networks: Networks;
  readonly #fill: Fill;
  readonly #normalization: Normalization;
  readonly #normalizer: Normalizer;
  readonly #device: Device;

  /**
   * Opens libtorch and the checkpoint `options.load`.
   * @throws input: a checkpoint that is damaged or not of a run, no libtorch; usage: a model that is not known here
   */
  constructor(options: PredictOptions) {
    const checkpoint = openCheckpoint(options.load);
    const run = checkpoint.config.options;
    this.classes = classesOf(checkpoint);
    this.model = findModel(run as unknown as ModelOptions);
    this.checkpoint = networksHash(checkpoint);
    this.transform = this.model.transform;
    this.#normalization = normalizationOf(this.model, run);
    this.#device = options.device as Device;
    startLibtorch(options);
    this.#normalizer = new Normalizer(this.#normalization, this.#device);
    this.#networks = this.#freeze(checkpoint, options.precision);
    // A classifier of the low resolution sees nothing else, as if that stood in every patch.
    this.#fill = this.#alone === "resnet_lr" ? "lr" : (options.fill ?? (run.fill as Fill | undefined) ?? "zero");
  }

  /** The only network of a classifier's run. */
  get #alone(): NetworkName | undefined {
    const names = Object.keys(this.#networks) as NetworkName[];
    return names.length === 1 ? names[0] : undefined;
  }

  /** How many pixels are acquired for an image of which so many patches are taken. */
  pixels(patches: number): number {
    const { grid, lowSize } = this.model;
    return patches * grid.patchSize ** 2 + (this.#alone === "resnet_hr" ? 0 : lowSize ** 2);
  }

  /**
   * @param bytes images [B, S, S, 3] as the transform leaves them
   * @param seen whether to return what the classifier saw
   */
  predict(bytes: Uint8Array, { seen = false } = {}): Predicted {
    const { imageSize, grid } = this.model;
    const { agent, resnet_hr, resnet_lr } = this.#networks;
    return scope(() => {
      const images = this.#normalizer.images(bytes, imageSize);
      const low = lowResolution(images, this.model);
      const patches = agent && ops.sigmoid(agent.forward(low));
      const all = resnet_hr === undefined ? 0 : 1;
      const mask = patches ? threshold(patches) : full([images.shape[0], grid.patches], all, "float32", this.#device);
      const masked = maskPatches(images, mask, grid, this.#fill === "lr" ? low : undefined);
      const streams = [resnet_hr?.forward(masked), resnet_lr?.forward(low)].filter((logits) => logits !== undefined);
      const logits = streams.reduce((high, added) => ops.add(high, added));
      return {
        classes: ops.softmax(logits, 1).toFloat32(),
        mask: Uint8Array.from(mask.toFloat32()),
        ...(patches && { patches: patches.toFloat32() }),
        ...(seen && { seen: this.#asBytes(masked) }),
      };
    });
  }

  /**
   * Which patches the policy takes, from the low resolution alone.
   * @param low bytes [B, L, L, 3]
   * @returns the mask [B, P] and the probabilities [B, P]
   * @throws input: a run without a policy
   */
  decide(low: Uint8Array): { mask: Uint8Array; patches: Float32Array } {
    const { agent } = this.#networks;
    if (agent === undefined) {
      const next = "give --load a run of pretrain, finetune or finetune2stream";
      throw fault("input", { where: "--load", rule: "must hold a policy", got: Object.keys(this.#networks)[0], next });
    }
    return scope(() => {
      const patches = ops.sigmoid(agent.forward(this.#low(low)));
      return { mask: Uint8Array.from(threshold(patches).toFloat32()), patches: patches.toFloat32() };
    });
  }

  /**
   * Probabilities of the classes, [B, K].
   * @param images bytes [B, S, S, 3]; anything in dropped patches
   * @param mask [B, P]
   * @param low bytes [B, L, L, 3]
   */
  classify(images: Uint8Array, mask: Uint8Array, low: Uint8Array): Float32Array {
    const { imageSize, grid } = this.model;
    const { resnet_hr, resnet_lr } = this.#networks;
    return scope(() => {
      const taken = ops.cast(fromArray(mask, [mask.length / grid.patches, grid.patches], this.#device), "float32");
      const seen = this.#low(low);
      const filled = this.#fill === "lr" ? seen : undefined;
      const masked = maskPatches(this.#normalizer.images(images, imageSize), taken, grid, filled);
      const streams = [resnet_hr?.forward(masked), resnet_lr?.forward(seen)].filter((logits) => logits !== undefined);
      return ops
        .softmax(
          streams.reduce((high, added) => ops.add(high, added)),
          1,
        )
        .toFloat32();
    });
  }

  /** As the networks see it, from bytes [B, L, L, 3]. */
  #low(bytes: Uint8Array): Tensor {
    return lowResolution(this.#normalizer.images(bytes, this.model.lowSize), this.model);
  }

  free(): void {
    for (const network of Object.values(this.#networks)) network.free();
  }

  /** The reverse of the normalization. */
  #asBytes(images: Tensor): Uint8Array {
    const { mean, std } = this.#normalization;
    const values = ops.permute(images, [0, 2, 3, 1]).toFloat32();
    return Uint8Array.from(values, (value, at) => Math.round(255 * (value * std[at % 3] + mean[at % 3])));
  }

  #freeze(checkpoint: Checkpoint, asked: PredictOptions["precision"]): Networks {
    const precision = choosePrecision(asked, this.#device);
    const setting = { model: this.model, classes: this.classes.length, device: this.#device };
    const entries = [...checkpoint.networks.keys()].map((name) => {
      const { network, parameters } = loadNetwork(setting, checkpoint, name as NetworkName);
      const frozen = new FrozenNetwork(network, parameters, precision);
      parameters.free();
      return [name, frozen] as const;
    });
    return Object.fromEntries(entries);
  }
}

/** @throws input: a checkpoint that does not say it, as one that is a file alone */
function classesOf({ path, config }: Checkpoint): readonly string[] {
  const { classes } = config.dataset;
  if (Array.isArray(classes)) return classes.map(String);
  const next = "give the --cv_dir of a run or one of its checkpoints";
  throw fault("input", { where: path, rule: "must say which model and classes its networks are of", next });
}

const shortHash = 12;

function networksHash({ path, networks }: Checkpoint): string {
  const { files } = readState(path);
  const names = [...networks.keys()].map((name) => `${name}.safetensors`).sort();
  return sha256(...names.map((name) => `${files[name].sha256}  ${name}\n`)).slice(0, shortHash);
}

/** As openDataSplits has it for the run's own images. */
function normalizationOf({ transform }: Model, { dataset, data_dir }: JsonObject): Normalization {
  const isSynthetic = dataset === "synthetic" || (dataset === undefined && data_dir === undefined);
  return isSynthetic ? syntheticNormalization : normalizationFor(transform);
}
