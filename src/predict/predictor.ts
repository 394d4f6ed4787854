/**
 * A trained run as a function of images: the policy and its classifiers, or one classifier alone, with the transform
 * and the normalization that they were trained with. Takes bytes, gives numbers; knows no image files.
 *
 * Shapes: B batch, S image size, L low-resolution size, P patches, K classes.
 */

import { type Checkpoint, readState } from "../checkpoints/checkpoint.ts";
import { shortHash } from "../checkpoints/networks-hash.ts";
import { openCheckpoint, savedNetwork } from "../checkpoints/open-checkpoint.ts";
import type { Normalization } from "../data/dataset.ts";
import { normalizationFor } from "../data/normalizations.ts";
import { syntheticNormalization } from "../data/synthetic.ts";
import type { TransformName } from "../data/transforms.ts";
import { fault } from "../errors.ts";
import type { JsonObject } from "../files/json.ts";
import { choosePatchesOf, type Selection } from "../method/budget.ts";
import { pixelsRead } from "../method/grid.ts";
import { type Fill, lowResolution, maskPatches, Normalizer } from "../method/images.ts";
import { loadNetwork, type NetworkName } from "../models/networks.ts";
import { findModel, type Model, type ModelOptions } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import { choosePrecision } from "../nn/precision.ts";
import { type PredictOptions, predictSchema } from "../options/predict-options.ts";
import { calibratedSelection, selectionOf } from "../options/selection-options.ts";
import { parseWith } from "../options/stage-options.ts";
import type { Device } from "../tensor/device.ts";
import * as ops from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { startLibtorch } from "../tensor/start.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";

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

/** Which run, and what it computes with; all but the run has a default. */
export type PredictorOptions = Pick<
  PredictOptions,
  "load" | "policy" | "budget" | "threshold" | "fill" | "device" | "precision" | "threads" | "torch"
>;

/**
 * Opens a trained run: `openPredictor("runs/finetune")`.
 * @param load run folder or checkpoint
 * @throws usage: options that cannot be; and as {@link Predictor}
 */
export function openPredictor(load: string, options: Partial<Omit<PredictorOptions, "load">> = {}): Predictor {
  return new Predictor(parseWith(predictSchema, { ...options, load }, "predict"));
}

export class Predictor {
  readonly model: Model;
  /** Names, [K]. */
  readonly classes: readonly string[];
  readonly transform: TransformName;
  /** Names the networks, see run/networks-hash.ts. */
  readonly checkpoint: string;
  readonly #networks: Networks;
  readonly #fill: Fill;
  readonly #selection: Selection;
  readonly #normalization: Normalization;
  readonly #normalizer: Normalizer;
  readonly #device: Device;

  /**
   * Opens libtorch and the checkpoint `options.load`.
   * @throws input: a checkpoint that is damaged or not of a run, no libtorch; usage: a model that is not known here
   */
  constructor(options: PredictorOptions) {
    const checkpoint = openCheckpoint(options.load);
    const run = checkpoint.config.options;
    this.classes = classesOf(checkpoint);
    this.model = findModel(run as unknown as ModelOptions);
    this.checkpoint = hashOf(checkpoint);
    this.transform = this.model.transform;
    this.#selection = selectionOf(options, this.model.grid.patches, () => calibratedSelection(checkpoint.path));
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
    return pixelsRead(grid, patches, this.#alone === "resnet_hr" ? 0 : lowSize);
  }

  /**
   * What the run says of whole images.
   * @param bytes images [B, S, S, 3] as the transform leaves them
   * @param seen whether to return what the classifier saw
   */
  predict(bytes: Uint8Array, { seen = false } = {}): Predicted {
    return scope(() => {
      const images = this.#normalizer.images(bytes, this.model.imageSize);
      const low = lowResolution(images, this.model);
      const { mask, patches } = this.#choose(low);
      const { classes, masked } = this.#classify(images, mask, low);
      return {
        classes: classes.toFloat32(),
        mask,
        ...(patches && { patches }),
        ...(seen && { seen: this.#asBytes(masked) }),
      };
    });
  }

  /**
   * The first half of {@link predict}, for whoever has the low resolution only: which patches to acquire.
   * @param low bytes [B, L, L, 3]
   * @returns the mask [B, P] and the policy's probabilities [B, P]
   * @throws input: a run without a policy
   */
  decide(low: Uint8Array): { mask: Uint8Array; patches: Float32Array } {
    return scope(() => {
      const { mask, patches } = this.#choose(this.#lowOf(low));
      if (patches === undefined) {
        const next = "give --load a run of pretrain, finetune or finetune2stream";
        throw fault("input", { where: "--load", rule: "must hold a policy", got: this.#alone, next });
      }
      return { mask, patches };
    });
  }

  /**
   * The second half: the classes' probabilities [B, K].
   * @param images bytes [B, S, S, 3], with anything in the patches that the mask drops
   * @param mask [B, P]
   * @param low bytes [B, L, L, 3]
   */
  classify(images: Uint8Array, mask: Uint8Array, low: Uint8Array): Float32Array {
    const { imageSize } = this.model;
    return scope(() => {
      return this.#classify(this.#normalizer.images(images, imageSize), mask, this.#lowOf(low)).classes.toFloat32();
    });
  }

  /** @param low [B, 3, L, L] as the networks see it */
  #choose(low: Tensor): { mask: Uint8Array; patches: Float32Array | undefined } {
    const { agent, resnet_hr } = this.#networks;
    const { patches } = this.model.grid;
    if (agent === undefined) {
      return { mask: new Uint8Array(low.shape[0] * patches).fill(resnet_hr === undefined ? 0 : 1), patches: undefined };
    }
    const probabilities = ops.sigmoid(agent.forward(low)).toFloat32();
    return { mask: choosePatchesOf({ probabilities, patches }, this.#selection), patches: probabilities };
  }

  #classify(images: Tensor, mask: Uint8Array, low: Tensor): { classes: Tensor; masked: Tensor } {
    const { resnet_hr, resnet_lr } = this.#networks;
    const { grid } = this.model;
    const taken = fromArray(Float32Array.from(mask), [images.shape[0], grid.patches], this.#device);
    const masked = maskPatches(images, taken, grid, this.#fill === "lr" ? low : undefined);
    const streams = [resnet_hr?.forward(masked), resnet_lr?.forward(low)].filter((logits) => logits !== undefined);
    return {
      classes: ops.softmax(
        streams.reduce((high, added) => ops.add(high, added)),
        1,
      ),
      masked,
    };
  }

  #lowOf(bytes: Uint8Array): Tensor {
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
      const { network, parameters } = loadNetwork(
        setting,
        name as NetworkName,
        savedNetwork(checkpoint, name as NetworkName),
      );
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

function hashOf({ path, networks }: Checkpoint): string {
  const { files } = readState(path);
  return shortHash(new Map([...networks.keys()].map((name) => [name, files[`${name}.safetensors`].sha256])));
}

/** As openDataSplits has it for the run's own images. */
function normalizationOf({ transform }: Model, { dataset, data_dir }: JsonObject): Normalization {
  const isSynthetic = dataset === "synthetic" || (dataset === undefined && data_dir === undefined);
  return isSynthetic ? syntheticNormalization : normalizationFor(transform);
}
