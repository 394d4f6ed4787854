/** An opened run's networks in libtorch: frozen, on the CPU or on a GPU. Shapes as in engine.ts. */
import { fault } from "../errors.ts";
import {
  acquiredView,
  type ChannelStatistics,
  doubtOf,
  type Fill,
  lowResolution,
  Normalizer,
  roundView,
} from "../method/images.ts";
import type { Learner, NetworkName } from "../models/networks.ts";
import type { Model } from "../models/registry.ts";
import { FrozenNetwork } from "../nn/frozen.ts";
import type { Precision } from "../nn/precision.ts";
import type { CudaDevice } from "../tensor/cuda.ts";
import type { Device } from "../tensor/device.ts";
import { Inputs } from "../tensor/inputs.ts";
import * as ops from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
import { type PixelArray, type PixelType, pixelTypeOf } from "../utils/pixel-array.ts";
import { ByMask } from "./by-mask.ts";
import type { Acquired, Engine, HeldBatch, Views } from "./engine.ts";

/** Where networks are computed, and how. */
export interface Place {
  readonly device: Device;
  /** The GPU's streams, when the device is one. */
  readonly cuda: CudaDevice | undefined;
  readonly precision: Precision;
}

/** How images become what the networks see. */
export interface Feeding {
  readonly model: Pick<Model, "imageSize" | "lowSize" | "lowInput" | "grid" | "seesMask" | "rounds" | "channels">;
  readonly normalization: ChannelStatistics;
  /** Of low pictures, where the low resolution is made of them and not of the images. */
  readonly low?: ChannelStatistics | undefined;
  /** Bytes when absent. */
  readonly pixelType?: PixelType | undefined;
  readonly fill: Fill;
}

type Networks = ReadonlyMap<NetworkName, FrozenNetwork>;

export class LibtorchEngine implements Engine {
  readonly #networks: Networks;
  readonly #feeding: Feeding;
  readonly #place: Place;
  readonly #normalizer: Normalizer;
  /** Of the low resolution. */
  readonly #lowNormalizer: Normalizer;
  #inputs: Inputs<"images"> | undefined;
  #inputsLength = 0;

  /** @param learners as they are now: what they learn afterwards does not reach the engine */
  constructor(learners: ReadonlyMap<NetworkName, Learner>, feeding: Feeding, place: Place) {
    const freeze = ({ network, parameters }: Learner) => new FrozenNetwork(network, parameters, place.precision);
    this.#networks = new Map([...learners].map(([name, learner]) => [name, freeze(learner)] as const));
    this.#feeding = feeding;
    this.#place = place;
    const { normalization, low = normalization, pixelType } = feeding;
    this.#normalizer = new Normalizer(normalization, place.device, pixelType);
    this.#lowNormalizer = new Normalizer(low, place.device, pixelType);
  }

  hold({ images, low }: Views): HeldBatch {
    const { model } = this.#feeding;
    const high = images && keep(this.#upload(images, model.imageSize));
    const seen = scope(() => {
      if (low !== undefined) return keep(lowResolution(this.#lowNormalizer.images(low, model.lowSize), model));
      if (high !== undefined) return keep(lowResolution(high, model));
      throw fault("internal", { where: "hold", rule: "needs the images or the low resolution" });
    });
    return new LibtorchBatch(this.#networks, this.#feeding, { high, low: seen });
  }

  free(): void {
    for (const network of this.#networks.values()) network.free();
    this.#normalizer.free();
    this.#lowNormalizer.free();
    this.#inputs?.free();
  }

  /** Normalized images [B, C, S, S]; to a GPU from pinned memory. */
  #upload(pixels: PixelArray, size: number): Tensor {
    const { device, cuda } = this.#place;
    if (cuda === undefined) return this.#normalizer.images(pixels, size);
    if (this.#inputs === undefined || this.#inputsLength !== pixels.length) {
      this.#inputs?.free();
      const { channels } = this.#feeding.model;
      const shape = [pixels.length / (channels * size * size), size, size, channels];
      this.#inputs = new Inputs({ images: { dtype: pixelTypeOf(pixels), shape } }, device, cuda);
      this.#inputsLength = pixels.length;
    }
    this.#inputs.put({ images: pixels });
    return this.#normalizer.normalized(this.#inputs.tensors.images);
  }
}

/** Some of a batch's images, or all of them. */
interface Some {
  /** [R, C, S, S] */
  readonly high: Tensor | undefined;
  /** [R, C, lowInput, lowInput] */
  readonly low: Tensor;
  /** Of the low-resolution classifier, [R, K]; none where there is none. */
  readonly lowLogits: Tensor | undefined;
  /** Rows of [B, N] numbers, as a tensor [R, N]. */
  rowsOf(values: Float32Array | Uint8Array): Tensor;
}

class LibtorchBatch implements HeldBatch {
  readonly #networks: Networks;
  readonly #feeding: Feeding;
  readonly #high: Tensor | undefined;
  /** [B, C, lowInput, lowInput] */
  readonly #low: Tensor;
  /** The same under every mask, so computed once. */
  #lowLogits: Tensor | undefined;
  /** What a policy that decides once wants. */
  #firstWanted: Float32Array | undefined;
  /** What the classifiers say, and what a policy wants in rounds. */
  readonly #said = new ByMask();
  readonly #wanted = new ByMask();

  constructor(networks: Networks, feeding: Feeding, { high, low }: { high: Tensor | undefined; low: Tensor }) {
    this.#networks = networks;
    this.#feeding = feeding;
    this.#high = high;
    this.#low = low;
  }

  probabilities(acquired?: Acquired): Float32Array {
    const policy = this.#networks.get("agent");
    if (policy === undefined) throw fault("internal", { where: "probabilities", rule: "needs a policy" });
    const { grid, rounds } = this.#feeding.model;
    const wanted = (view: () => Tensor) => scope(() => ops.sigmoid(policy.forward(view())).toFloat32());
    if (rounds === 1) {
      this.#firstWanted ??= wanted(() => this.#low);
      return this.#firstWanted;
    }
    if (acquired === undefined) throw fault("internal", { where: "probabilities", rule: "needs what was acquired" });
    const { mask, logits } = acquired;
    return this.#wanted.of(mask, grid.patches, (rows) =>
      wanted(() => {
        const { high, low, rowsOf } = this.#some(rows);
        return roundView({ images: known(high), low, grid }, rowsOf(mask), doubtOf(rowsOf(logits)));
      }),
    );
  }

  logits(mask: Uint8Array): Float32Array {
    const { grid, rounds } = this.#feeding.model;
    const classify = (rows: Uint32Array | undefined) => scope(() => this.#logits(mask, this.#some(rows)).toFloat32());
    return rounds === 1 ? classify(undefined) : this.#said.of(mask, grid.patches, classify);
  }

  /** [R, K] */
  #logits(mask: Uint8Array, some: Some): Tensor {
    const high = this.#networks.get("resnet_hr")?.forward(this.#masked(mask, some));
    const { lowLogits: low } = some;
    if (high !== undefined && low !== undefined) return ops.add(high, low);
    const one = high ?? low;
    if (one === undefined) throw fault("internal", { where: "logits", rule: "needs a classifier" });
    return one;
  }

  #masked(mask: Uint8Array, { high, low, rowsOf }: Some): Tensor {
    const { model, fill } = this.#feeding;
    if (!model.seesMask && mask.every((taken) => taken === 1)) return known(high);
    return acquiredView(known(high), rowsOf(mask), model, fill === "lr" ? low : undefined);
  }

  /** @param rows which images; all when absent */
  #some(rows: Uint32Array | undefined): Some {
    const { device, shape } = this.#low;
    const [count] = shape;
    const rowsOf = (values: Float32Array | Uint8Array) =>
      fromArray(Float32Array.from(values), [count, values.length / count], device);
    const all = { high: this.#high, low: this.#low, lowLogits: this.#logitsOfLow(), rowsOf };
    if (rows === undefined) return all;
    const index = fromArray(BigInt64Array.from(rows, BigInt), [rows.length], device);
    const of = <T extends Tensor | undefined>(tensor: T) => tensor && ops.indexSelect(tensor, 0, index);
    return { high: of(all.high), low: of(all.low)!, lowLogits: of(all.lowLogits), rowsOf: (v) => of(rowsOf(v))! };
  }

  #logitsOfLow(): Tensor | undefined {
    const network = this.#networks.get("resnet_lr");
    if (network === undefined) return undefined;
    this.#lowLogits ??= keep(network.forward(this.#low));
    return this.#lowLogits;
  }

  free(): void {
    for (const tensor of [this.#high, this.#low, this.#lowLogits]) tensor?.free();
  }
}

/** @throws internal: a batch of which the low resolution alone is known */
function known(high: Tensor | undefined): Tensor {
  if (high !== undefined) return high;
  throw fault("internal", { where: "logits", rule: "needs the images" });
}
