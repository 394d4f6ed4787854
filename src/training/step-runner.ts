/**
 * From the loader's batches to a stage's steps on the device. On the CPU each batch is made into tensors and the step is
 * called. On a GPU the step reads the same input tensors each time, so that it can be captured and replayed:
 *
 *     what a batch is (bytes, or which images and how they are moved), labels, uniforms, learning rate
 *       → one copy from pinned memory (tensor/inputs.ts)
 *       → normalization, and moving where the images lie on the GPU, and the stage's step: one graph (tensor/captured.ts)
 *
 * A last batch of another size, tests and saving run without the graph, which is let go before and captured again after.
 */
import { channelsOf } from "../data/dataset.ts";
import type { Loader } from "../data/loader.ts";
import { moves } from "../data/transforms.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { fault } from "../errors.ts";
import { CapturedStep, kept } from "../tensor/captured.ts";
import type { CapturingStream, CudaDevice } from "../tensor/cuda.ts";
import { type InputShape, Inputs } from "../tensor/inputs.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray, type Tensor, type TensorSource } from "../tensor/tensor.ts";
import { unprofiled } from "../utils/profile.ts";
import { Random } from "../utils/random.ts";
import type { Batch, Learning, StepNumbers } from "./learning.ts";
import { ResidentImages } from "./resident-images.ts";
import type { Setting } from "./setting.ts";
import type { Sharding } from "./sharding.ts";
import type { StageProfile } from "./stage-profile.ts";
import { type Stepping, takeStep } from "./take-step.ts";

/** This rank's share of a batch, ready for its step. */
export interface ReadyStep {
  /** Which images of the data set, [B]; valid until the next step. */
  readonly indices: Uint32Array;
  /** Takes the step. The numbers belong to the caller, and hold for {@link StepRunner.window} steps. */
  take(lr: number): StepNumbers;
}

export interface StepRunner {
  readonly window: number;
  /** The steps of an epoch from `fromStep` on. */
  steps(epoch: number, fromStep: number): AsyncIterable<ReadyStep>;
  /** To be called before anything but the next step uses the device. */
  release(): void;
  free(): void;
}

export interface RunnerOptions {
  learning: Stepping & Pick<Learning, "uniformsPerImage">;
  setting: Pick<Setting, "model" | "device" | "normalizer" | "cuda">;
  /** Of this rank's share of each batch. */
  loader: Loader;
  sharding: Sharding;
  seed: number;
  /** Capture the step on a GPU. */
  captured: boolean;
  /** Steps for which the numbers must hold. */
  window: number;
  /** Where a step's parts are counted; on a GPU, which works on when a call has returned, a step has none. */
  profile?: StageProfile;
}

export function stepRunner(options: RunnerOptions): StepRunner {
  const { setting, captured } = options;
  if (setting.cuda === undefined) return new DirectSteps(options);
  if (captured) mustKeepMemory();
  return new StaticSteps(options, captured ? capturing(setting.cuda, options.sharding.group) : undefined);
}

/** Of many ranks, the step that is captured has NCCL's work in it. */
function capturing({ compute }: CudaDevice, { size }: ProcessGroup): CapturingStream {
  return size === 1 ? compute : { capture: (body) => compute.capture(body, "this thread") };
}

/** Memory that the graph had used must stay where it was; libtorch's own allocator sees to that, CUDA's would not. */
function mustKeepMemory(): void {
  for (const name of ["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"]) {
    const value = process.env[name];
    if (value === undefined || !value.includes("cudaMallocAsync")) continue;
    const next = "unset it, or use --no_cuda_graph";
    throw fault("usage", { where: name, rule: "must not name cudaMallocAsync with CUDA graphs", got: value, next });
  }
}

/** The uniform numbers of a step: a function of the seed and the step's position, [count × perImage]. */
export function uniformsOf(seed: number, epoch: number, step: number, count: number): Float32Array {
  return new Random(seed, "sample", epoch, step).uniforms(new Float32Array(count));
}

/** Those of this rank's share of a step. */
function shareOfUniforms(
  { seed, loader, learning, sharding }: RunnerOptions,
  epoch: number,
  step: number,
): Float32Array {
  const { uniformsPerImage: perImage } = learning;
  const images = loader.imagesIn(step);
  const { first, count } = sharding.share(images);
  return uniformsOf(seed, epoch, step, images * perImage).subarray(first * perImage, (first + count) * perImage);
}

const asInt64 = (values: ArrayLike<number>) => BigInt64Array.from(values, BigInt);

/** Each step on tensors of its own. */
class DirectSteps implements StepRunner {
  readonly window: number;
  readonly #options: RunnerOptions;

  constructor(options: RunnerOptions) {
    this.window = options.window;
    this.#options = options;
  }

  async *steps(epoch: number, fromStep: number): AsyncGenerator<ReadyStep> {
    const { learning, sharding, setting, loader, profile = unprofiled } = this.#options;
    const { normalizer, model, device } = setting;
    const perImage = learning.uniformsPerImage;
    let step = fromStep;
    for await (const { images, labels, indices } of loader.batches(epoch, fromStep)) {
      const count = labels.length;
      const all = loader.imagesIn(step);
      const first = loader.imagesBefore(step) + sharding.share(all).first;
      const uniforms = shareOfUniforms(this.#options, epoch, step++);
      const read = (): Batch => ({
        images: normalizer.images(images, model.imageSize),
        labels: fromArray(asInt64(labels), [count], device),
        uniforms: fromArray(uniforms, [count, perImage], device),
        epoch,
        first,
      });
      const take = (lr: number) => {
        const own = count === 0 ? undefined : profile.of("normalizing", read);
        return takeStep(learning, sharding, { images: all, epoch, own }, lr, profile);
      };
      yield { indices, take: (lr) => kept(scope(() => take(lr))) };
    }
  }

  release(): void {}
  free(): void {}
}

type Values = Readonly<Record<string, TensorSource>>;
type Tensors = Readonly<Record<string, Tensor>>;

/** Each step on the same input tensors; captured where there is a stream for it. */
export class StaticSteps implements StepRunner {
  readonly window: number;
  readonly #options: RunnerOptions;
  readonly #source: ImageSource;
  readonly #inputs: Inputs<string>;
  readonly #step: CapturedStep<StepNumbers>;
  #epoch = -1;

  constructor(options: RunnerOptions, stream: CapturingStream | undefined) {
    const { setting, loader, window } = options;
    this.window = window;
    this.#options = options;
    this.#source = imageSource(loader, setting);
    this.#inputs = this.#makeInputs(options.sharding.share(loader.batchSize).count);
    this.#step = new CapturedStep(() => this.#body(this.#inputs.tensors, loader.batchSize), { stream, window });
  }

  async *steps(epoch: number, fromStep: number): AsyncGenerator<ReadyStep> {
    const { loader } = this.#options;
    if (epoch !== this.#epoch) this.release();
    this.#epoch = epoch;
    let step = fromStep;
    for await (const { indices, values } of this.#source.batches(epoch, fromStep)) {
      const images = loader.imagesIn(step);
      const labels = asInt64(Array.from(indices, (index) => loader.dataset.labels[index]));
      const uniforms = shareOfUniforms(this.#options, epoch, step++);
      const all = (lr: number): Values => ({ ...values, labels, uniforms, rate: Float32Array.of(lr) });
      const take = (lr: number) =>
        images === loader.batchSize ? this.#take(all(lr)) : this.#once(all(lr), images, indices.length);
      yield { indices, take };
    }
  }

  #take(values: Values): StepNumbers {
    this.#inputs.put(values);
    return this.#step.run();
  }

  /** A batch of another size has inputs of its own, and no graph. */
  #once(values: Values, images: number, count: number): StepNumbers {
    this.release();
    const inputs = this.#makeInputs(count);
    try {
      inputs.put(values);
      return kept(scope(() => this.#body(inputs.tensors, images)));
    } finally {
      inputs.free();
    }
  }

  /** @param all images of the batch, over all ranks */
  #body(tensors: Tensors, all: number): StepNumbers {
    const { learning, setting, sharding } = this.#options;
    const { labels, uniforms, rate } = tensors;
    const epoch = this.#epoch;
    const read = () => scope(() => setting.normalizer.normalized(this.#source.bytes(tensors)));
    const own = labels.shape[0] === 0 ? undefined : { images: read(), labels, uniforms, epoch };
    return takeStep(learning, sharding, { images: all, epoch, own }, rate);
  }

  #makeInputs(count: number): Inputs<string> {
    const { learning, setting } = this.#options;
    const shapes: Record<string, InputShape> = {
      ...this.#source.shapes(count),
      labels: { dtype: "int64", shape: [count] },
      uniforms: { dtype: "float32", shape: [count, learning.uniformsPerImage] },
      rate: { dtype: "float32", shape: [] },
    };
    return new Inputs(shapes, setting.device, setting.cuda);
  }

  release(): void {
    this.#step.release();
  }

  free(): void {
    this.#step.free();
    this.#inputs.free();
    this.#source.free();
  }
}

/** How a batch's images get to the device. */
interface ImageSource {
  /** The inputs that a batch of `count` images is. */
  shapes(count: number): Record<string, InputShape>;
  batches(epoch: number, fromStep: number): AsyncIterable<{ indices: Uint32Array; values: Values }>;
  /** The images that the inputs are, uint8 or float32 [B, S, S, C]. */
  bytes(inputs: Tensors): Tensor;
  free(): void;
}

/** A set of at most this many bytes is held by the GPU as a whole: CIFAR's is 154 MB. */
const residentLimitBytes = 2 ** 30;

function imageSource(loader: Loader, { device }: Pick<Setting, "device">): ImageSource {
  const { inMemory } = loader.dataset;
  const fits = inMemory !== undefined && inMemory.images.byteLength <= residentLimitBytes;
  if (!fits || loader.turns) return streamedImages(loader);
  return residentImages(loader, new ResidentImages(loader.dataset, inMemory.images, moves, device));
}

/** The loader makes the bytes, and each batch of them is uploaded. */
function streamedImages(loader: Loader): ImageSource {
  const { imageSize: size, pixelType: dtype = "uint8" } = loader.dataset;
  const channels = channelsOf(loader.dataset);
  return {
    shapes: (count) => ({ images: { dtype, shape: [count, size, size, channels] } }),
    async *batches(epoch, fromStep) {
      for await (const { images, indices } of loader.batches(epoch, fromStep)) yield { indices, values: { images } };
    },
    bytes: ({ images }) => images,
    free: () => undefined,
  };
}

/** The device holds the images, and is told which to take and how to move them. */
function residentImages(loader: Loader, images: ResidentImages): ImageSource {
  return {
    shapes: (count) => ({
      indices: { dtype: "int64", shape: [count] },
      moves: { dtype: "int64", shape: [count] },
    }),
    async *batches(epoch, fromStep) {
      for (const { indices, augmentation } of loader.plans(epoch, fromStep)) {
        const moves = loader.dataset.inMemory!.moves(indices.length, augmentation);
        yield { indices, values: { indices: asInt64(indices), moves } };
      }
    },
    bytes: ({ indices, moves }) => images.batch(indices, moves),
    free: () => images.free(),
  };
}
