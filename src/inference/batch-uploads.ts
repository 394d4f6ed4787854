/** Batches for evaluation on the device: on the CPU tensors of their own; to a GPU from pinned memory, into the same ones. */
import { Inputs } from "../tensor/inputs.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
import type { Setting } from "./setting.ts";

/** A batch on the device. */
export interface UploadedBatch {
  /** Normalized, float32 [B, 3, H, W]; belongs to the caller's scope. */
  readonly images: Tensor;
  /** int64 [B]; borrowed, valid until the next batch is put. */
  readonly labels: Tensor;
}

export class BatchUploads {
  readonly #setting: Pick<Setting, "model" | "device" | "normalizer" | "cuda">;
  #inputs: Inputs<"images" | "labels"> | undefined;
  #count = 0;

  constructor(setting: Pick<Setting, "model" | "device" | "normalizer" | "cuda">) {
    this.#setting = setting;
  }

  /** @param bytes [B, H, W, 3] */
  put(bytes: Uint8Array, labels: Int32Array): UploadedBatch {
    const { model, device, normalizer, cuda } = this.#setting;
    const targets = BigInt64Array.from(labels, BigInt);
    if (cuda === undefined) {
      return { images: normalizer.images(bytes, model.imageSize), labels: fromArray(targets, [labels.length], device) };
    }
    const inputs = this.#inputsFor(labels.length);
    inputs.put({ images: bytes, labels: targets });
    return { images: normalizer.normalized(inputs.tensors.images), labels: inputs.tensors.labels };
  }

  /** The last batch of a split may be smaller. */
  #inputsFor(count: number): Inputs<"images" | "labels"> {
    if (this.#inputs !== undefined && this.#count === count) return this.#inputs;
    this.free();
    const { model, device, cuda } = this.#setting;
    this.#count = count;
    this.#inputs = new Inputs(
      {
        images: { dtype: "uint8", shape: [count, model.imageSize, model.imageSize, 3] },
        labels: { dtype: "int64", shape: [count] },
      },
      device,
      cuda,
    );
    return this.#inputs;
  }

  free(): void {
    this.#inputs?.free();
    this.#inputs = undefined;
  }
}
