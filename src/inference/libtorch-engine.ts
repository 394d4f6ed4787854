/** An opened run's networks in libtorch: frozen, on the CPU or on a GPU. Shapes as in engine.ts. */
import { fault } from "../errors.ts";
import { type ChannelStatistics, type Fill, lowResolution, maskPatches, Normalizer } from "../method/images.ts";
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
import type { Engine, HeldBatch, Views } from "./engine.ts";

/** Where networks are computed, and how. */
export interface Place {
  readonly device: Device;
  /** The GPU's streams, when the device is one. */
  readonly cuda: CudaDevice | undefined;
  readonly precision: Precision;
}

/** How images become what the networks see. */
export interface Feeding {
  readonly model: Pick<Model, "imageSize" | "lowSize" | "lowInput" | "grid">;
  readonly normalization: ChannelStatistics;
  readonly fill: Fill;
}

type Networks = ReadonlyMap<NetworkName, FrozenNetwork>;

export class LibtorchEngine implements Engine {
  readonly #networks: Networks;
  readonly #feeding: Feeding;
  readonly #place: Place;
  readonly #normalizer: Normalizer;
  #inputs: Inputs<"images"> | undefined;
  #inputsLength = 0;

  /** @param learners as they are now: what they learn afterwards does not reach the engine */
  constructor(learners: ReadonlyMap<NetworkName, Learner>, feeding: Feeding, place: Place) {
    const freeze = ({ network, parameters }: Learner) => new FrozenNetwork(network, parameters, place.precision);
    this.#networks = new Map([...learners].map(([name, learner]) => [name, freeze(learner)] as const));
    this.#feeding = feeding;
    this.#place = place;
    this.#normalizer = new Normalizer(feeding.normalization, place.device);
  }

  hold({ images, low }: Views): HeldBatch {
    const { model } = this.#feeding;
    const high = images && keep(this.#upload(images, model.imageSize));
    const seen = scope(() => {
      if (low !== undefined) return keep(lowResolution(this.#normalizer.images(low, model.lowSize), model));
      if (high !== undefined) return keep(lowResolution(high, model));
      throw fault("internal", { where: "hold", rule: "needs the images or the low resolution" });
    });
    return new LibtorchBatch(this.#networks, this.#feeding, { high, low: seen });
  }

  free(): void {
    for (const network of this.#networks.values()) network.free();
    this.#normalizer.free();
    this.#inputs?.free();
  }

  /** Normalized images [B, 3, S, S]; to a GPU from pinned memory. */
  #upload(bytes: Uint8Array, size: number): Tensor {
    const { device, cuda } = this.#place;
    if (cuda === undefined) return this.#normalizer.images(bytes, size);
    if (this.#inputs === undefined || this.#inputsLength !== bytes.length) {
      this.#inputs?.free();
      const shape = [bytes.length / (3 * size * size), size, size, 3];
      this.#inputs = new Inputs({ images: { dtype: "uint8", shape } }, device, cuda);
      this.#inputsLength = bytes.length;
    }
    this.#inputs.put({ images: bytes });
    return this.#normalizer.normalized(this.#inputs.tensors.images);
  }
}

class LibtorchBatch implements HeldBatch {
  readonly #networks: Networks;
  readonly #feeding: Feeding;
  readonly #high: Tensor | undefined;
  /** [B, 3, lowInput, lowInput] */
  readonly #low: Tensor;
  /** The same under every mask, so computed once. */
  #lowLogits: Tensor | undefined;

  constructor(networks: Networks, feeding: Feeding, { high, low }: { high: Tensor | undefined; low: Tensor }) {
    this.#networks = networks;
    this.#feeding = feeding;
    this.#high = high;
    this.#low = low;
  }

  probabilities(): Float32Array {
    const policy = this.#networks.get("agent");
    if (policy === undefined) throw fault("internal", { where: "probabilities", rule: "needs a policy" });
    return scope(() => ops.sigmoid(policy.forward(this.#low)).toFloat32());
  }

  logits(mask: Uint8Array): Float32Array {
    const classifier = this.#networks.get("resnet_hr");
    return scope(() => {
      const low = this.#logitsOfLow();
      const high = classifier?.forward(this.#masked(mask));
      if (high !== undefined && low !== undefined) return ops.add(high, low).toFloat32();
      const one = high ?? low;
      if (one === undefined) throw fault("internal", { where: "logits", rule: "needs a classifier" });
      return one.toFloat32();
    });
  }

  #masked(mask: Uint8Array): Tensor {
    const { model, fill } = this.#feeding;
    if (this.#high === undefined) throw fault("internal", { where: "logits", rule: "needs the images" });
    if (mask.every((taken) => taken === 1)) return this.#high;
    const shape = [mask.length / model.grid.patches, model.grid.patches];
    const taken = fromArray(Float32Array.from(mask), shape, this.#high.device);
    return maskPatches(this.#high, taken, model.grid, fill === "lr" ? this.#low : undefined);
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
