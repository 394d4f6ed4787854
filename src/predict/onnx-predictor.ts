/**
 * An exported run (`patchdrop export`) as a function of images, in ONNX Runtime: what predictor.ts is for a checkpoint,
 * but without libtorch. Computes in fp32 on the CPU.
 *
 * Shapes: B batch, S image size, P patches, K classes.
 */

import { env } from "onnxruntime-web";
import { shortHash } from "../checkpoints/networks-hash.ts";
import type { TransformName } from "../data/transforms.ts";
import { type Exported, openExported } from "../inference/exported.ts";
import { OnnxNetworks } from "../inference/onnx-networks.ts";
import { choosePatchesOf, type Selection } from "../method/budget.ts";
import { type Grid, pixelsRead } from "../method/grid.ts";
import { dropPatches, toBytes, toPlanes } from "../method/planes.ts";
import type { PredictOptions } from "../options/predict-options.ts";
import { notCalibrated, selectionOf } from "../options/selection-options.ts";
import type { Predicted } from "./predictor.ts";

export class OnnxPredictor {
  readonly model: { readonly imageSize: number; readonly grid: Grid };
  /** Names, [K]. */
  readonly classes: readonly string[];
  readonly transform: TransformName;
  /** Names the networks, see run/networks-hash.ts. */
  readonly checkpoint: string;
  readonly #exported: Exported;
  readonly #networks: OnnxNetworks;
  readonly #selection: Selection;

  /**
   * Opens the exported folder `options.load`.
   * @throws what openExported throws; input: models that ONNX Runtime does not take
   */
  static async open({ load, fill, threads, ...flags }: PredictOptions): Promise<OnnxPredictor> {
    const exported = openExported(load);
    // 0 leaves it to ONNX Runtime: half the processors, four at most.
    env.wasm.numThreads = threads ?? 0;
    env.logLevel = "error";
    const { models, grid, classes } = exported;
    const sizes = { imageSize: grid.imageSize, patches: grid.patches, classes: classes.length };
    const selection = selectionOf(flags, grid.patches, () => {
      if (exported.calibrated !== undefined) return exported.calibrated;
      throw notCalibrated(load, "calibrate the run (patchdrop eval --target-patches S), then export it again");
    });
    const networks = await OnnxNetworks.open(models, sizes, load);
    return new OnnxPredictor({ ...exported, fill: fill ?? exported.fill }, networks, selection);
  }

  private constructor(exported: Exported, networks: OnnxNetworks, selection: Selection) {
    const { grid, classes, transform, checkpoint } = exported;
    this.model = { imageSize: grid.imageSize, grid };
    this.classes = classes;
    this.transform = transform;
    this.checkpoint = shortHash(checkpoint);
    this.#exported = exported;
    this.#networks = networks;
    this.#selection = selection;
  }

  /** How many pixels are acquired for an image of which so many patches are taken. */
  pixels(patches: number): number {
    const { models, grid, lowSize } = this.#exported;
    const seesLow = models.has("policy.onnx") || models.has("lr_classifier.onnx");
    return pixelsRead(grid, patches, seesLow ? lowSize : 0);
  }

  /**
   * @param bytes images [B, S, S, 3] as the transform leaves them
   * @param seen whether to return what the classifier saw
   */
  async predict(bytes: Uint8Array, { seen = false } = {}): Promise<Predicted> {
    const { models, grid, lowSize, fill, normalization } = this.#exported;
    const images = toPlanes(bytes, grid.imageSize, normalization);
    const patches = await this.#networks.decide(images);
    const all = models.has("classifier.onnx") ? 1 : 0;
    const count = images.length / (3 * grid.imageSize ** 2);
    const mask =
      patches === undefined
        ? new Uint8Array(count * grid.patches).fill(all)
        : choosePatchesOf({ probabilities: patches, patches: grid.patches }, this.#selection);
    // A classifier of the low resolution sees nothing else, as if that stood in every patch.
    const low = fill === "lr" || (patches === undefined && all === 0) ? lowSize : undefined;
    const masked = dropPatches(images, mask, grid, low);
    return {
      classes: await this.#networks.classify(images, masked),
      mask,
      ...(patches && { patches }),
      ...(seen && { seen: toBytes(masked, grid.imageSize, normalization) }),
    };
  }

  free(): Promise<void> {
    return this.#networks.free();
  }
}
