/**
 * One network's learnable numbers, in one flat vector: one planted gradient, one conversion to bfloat16 per step, one
 * fused optimizer call, one block in a checkpoint. Convolution weights come first (only they are converted to bfloat16) and
 * lie as [O, h, w, I], which makes their [O, I, h, w] view channels-last. What is not learned, such as running statistics, is a second
 * vector.
 */
import { fault } from "../errors.ts";
import { refuseValues } from "../formats/refuse-values.ts";
import { finiteFloat32, float32Tensor, type StateDict } from "../formats/safetensors.ts";
import { plantGradient } from "../tensor/autograd.ts";
import type { Device } from "../tensor/device.ts";
import { cast, copyInto, permute, slice, split, view } from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { elementCount, empty, fromArray, type Tensor } from "../tensor/tensor.ts";
import type { Random } from "../utils/random.ts";
import { type Declaration, type Declared, declare, isLearned } from "./declare.ts";
import type { Network } from "./layers.ts";
import type { Precision } from "./precision.ts";

/** Parameters by name, as tensors of one forward pass. */
export type Weights = ReadonlyMap<string, Tensor>;

/** Where an entry lies in its flat vector. */
interface Slot {
  readonly entry: Declared;
  readonly offset: number;
  readonly count: number;
}

const isFilter = ({ role }: Declared) => role === "convWeight" || role === "whitening";

/** A part of a flat vector that an optimizer treats by itself. */
export interface ParameterPart {
  readonly entry: Declared;
  /** [N of the entry], a view of the flat vector. */
  readonly view: Tensor;
}

export class Parameters {
  readonly declaration: Declaration;
  /** float32 [N], a leaf of the gradient's graph once {@link requireGradient} was called. */
  readonly flat: Tensor;
  /** float32 [M]: running means and variances, and weights that are not learned. */
  readonly statistics: Tensor;
  /** The gradient of `flat`, float32 [N], if it is learned. */
  gradient: Tensor | undefined;
  /** How often the running statistics moved: PyTorch's `num_batches_tracked`. */
  batchesTracked = 0;
  /** Whether a pass in training moves the running statistics: of the shards of a batch, only the first one's does. */
  tracks = true;
  readonly #learned: readonly Slot[];
  readonly #buffers: readonly Slot[];

  constructor(network: Network, imageSize: number, device: Device, channels = 3) {
    this.declaration = declare(network, imageSize, channels);
    const { entries } = this.declaration;
    const learned = entries.filter(isLearned);
    const matrices = learned.filter(({ role }) => role === "convWeight");
    const vectors = learned.filter(({ role }) => role !== "convWeight");
    this.#learned = slots([...matrices, ...vectors]);
    this.#buffers = slots(entries.filter((entry) => !isLearned(entry)));
    this.flat = keep(empty([total(this.#learned)], "float32", device));
    this.statistics = keep(empty([total(this.#buffers)], "float32", device));
  }

  /** Number of learnable numbers. */
  get count(): number {
    return total(this.#learned);
  }

  get device(): Device {
    return this.flat.device;
  }

  /** Makes the parameters learnable. */
  requireGradient(): void {
    this.gradient ??= plantGradient(this.flat);
  }

  /** A flat vector [N], such as the parameters themselves or their gradient, cut into its entries: views in the caller's scope. */
  parts(flat: Tensor): ParameterPart[] {
    const views = split(flat, this.#learned.map(countOf));
    return this.#learned.map(({ entry }, i) => ({ entry, view: views[i] }));
  }

  /** Overwrites something that is not learned. @param values in PyTorch's layout */
  setFixed(name: string, values: Float32Array): void {
    const { entry, offset, count } = this.#buffers.find((slot) => slot.entry.name === name)!;
    scope(() => {
      const target = slice(this.statistics, 0, offset, offset + count);
      copyInto(target, fromArray(isFilter(entry) ? toOHWI(values, entry.shape) : values, [count], this.device));
    });
  }

  /**
   * He initialization (fan-out) of convolutions, ±1/sqrt(fan-in) in linear layers, 1 and 0 for batch norm. A whitening is left at zeros
   * for {@link setFixed}.
   */
  initialize(random: Random): void {
    this.flat.upload(fill(this.#learned, (slot, target) => initialize(slot.entry, target, random)));
    this.statistics.upload(
      fill(this.#buffers, ({ entry: { role } }, target) => {
        target.fill(role === "runningVar" || role === "fixedScale" ? 1 : 0);
      }),
    );
    this.batchesTracked = 0;
  }

  /**
   * The tensors by name that a forward pass uses, in the caller's scope: convolution weights in `precision` and
   * channels-last, the rest in float32. Recorded, so that gradients flow back into `flat`.
   */
  weights(precision: Precision): Weights {
    const weights = new Map<string, Tensor>();
    const convolutions = this.#learned.filter(({ entry }) => entry.role === "convWeight");
    const rest = this.#learned.slice(convolutions.length);
    const [matrices, vectors] = split(this.flat, [total(convolutions), total(rest)]);
    const converted = precision === "bf16" ? cast(matrices, "bfloat16") : matrices;
    const views = [...split(converted, convolutions.map(countOf)), ...split(vectors, rest.map(countOf))];
    for (const [i, { entry }] of this.#learned.entries()) weights.set(entry.name, shaped(views[i], entry));
    const statistics = split(this.statistics, this.#buffers.map(countOf));
    for (const [i, { entry }] of this.#buffers.entries()) {
      const own = entry.role === "whitening" && precision === "bf16" ? cast(statistics[i], "bfloat16") : statistics[i];
      weights.set(entry.name, shaped(own, entry));
    }
    return weights;
  }

  /** All parameters and buffers under PyTorch's names and in its layout. */
  stateDict(): StateDict {
    const learned = named(this.#learned, this.flat.toFloat32());
    const buffers = named(this.#buffers, this.statistics.toFloat32());
    const state: StateDict = new Map();
    for (const entry of this.declaration.entries) {
      state.set(entry.name, float32Tensor(entry.shape, (isLearned(entry) ? learned : buffers).get(entry.name)!));
      if (entry.role === "runningVar") {
        const name = entry.name.replace(/running_var$/, "num_batches_tracked");
        state.set(name, {
          dtype: "I64",
          shape: [],
          data: new Uint8Array(BigInt64Array.of(BigInt(this.batchesTracked)).buffer),
        });
      }
    }
    return state;
  }

  /** The gradient that has been accumulated, by PyTorch's names and in its layout. */
  gradients(): Map<string, Float32Array> {
    return named(this.#learned, this.gradient!.toFloat32());
  }

  /**
   * Takes all parameters and buffers from a state dict, whatever program wrote it: all weights come in here.
   * @throws kind "input" saying how many tensors are missing, unknown or of another shape, with `where` as its place;
   * "notFinite" for NaN and infinity in a tensor, and for variances below 0, with which everything is NaN; as for scales that are not above 0 and
   */
  load(state: StateDict, where: string): void {
    const wrong = mismatches(this.declaration, state);
    if (wrong !== undefined) {
      const rule = "must have the tensors of this model and no others";
      throw fault("input", { where, rule, got: wrong, next: adviceFor(this.declaration, state) });
    }
    const read = ({ entry }: Slot, target: Float32Array) => {
      const place = `${where}: ${entry.name}`;
      const values = finiteFloat32(state.get(entry.name)!, place);
      if (entry.role === "runningVar") {
        refuseValues(values, (value) => value < 0, { where: place, rule: "variances must not be below 0" });
      }
      // Where pooling comes before batch norm, folding changes their order.
      if (entry.role === "fixedScale") {
        refuseValues(values, (value) => value <= 0, { where: place, rule: "scales must be above 0 here" });
      }
      target.set(isFilter(entry) ? toOHWI(values, entry.shape) : values);
    };
    this.flat.upload(fill(this.#learned, read));
    this.statistics.upload(fill(this.#buffers, read));
    const [tracked] = [...state].flatMap(([name, { dtype, data }]) =>
      name.endsWith("num_batches_tracked") && dtype === "I64" ? [data] : [],
    );
    this.batchesTracked =
      tracked === undefined ? 0 : Number(new DataView(tracked.buffer, tracked.byteOffset).getBigInt64(0, true));
  }

  free(): void {
    this.flat.free();
    this.statistics.free();
    this.gradient?.free();
  }
}

/** The parts of a flat vector by name, convolution weights as [O, I, h, w]. */
function named(list: readonly Slot[], flat: Float32Array): Map<string, Float32Array> {
  return new Map(
    list.map(({ entry, offset, count }) => {
      const own = flat.slice(offset, offset + count);
      return [entry.name, isFilter(entry) ? toOIHW(own, entry.shape) : own] as const;
    }),
  );
}

function slots(entries: readonly Declared[]): Slot[] {
  let offset = 0;
  return entries.map((entry) => {
    const slot = { entry, offset, count: elementCount(entry.shape) };
    offset += slot.count;
    return slot;
  });
}

const countOf = ({ count }: Slot) => count;

function total(list: readonly Slot[]): number {
  return list.reduce((sum, { count }) => sum + count, 0);
}

function fill(list: readonly Slot[], write: (slot: Slot, target: Float32Array) => void): Float32Array {
  const values = new Float32Array(total(list));
  for (const slot of list) write(slot, values.subarray(slot.offset, slot.offset + slot.count));
  return values;
}

function shaped(flat: Tensor, entry: Declared): Tensor {
  const { role, shape } = entry;
  if (role === "linearWeight") return view(flat, shape);
  if (!isFilter(entry)) return flat;
  const [outputs, inputs, height, width] = shape;
  return permute(view(flat, [outputs, height, width, inputs]), [0, 3, 1, 2]);
}

function initialize({ role, shape, fanIn, fanOut, start }: Declared, target: Float32Array, random: Random): void {
  if (role === "bnWeight") target.fill(1);
  else if (role === "bnBias" || role === "convBias") target.fill(0);
  else if (role === "convWeight") {
    const deviation = Math.sqrt(2 / fanOut);
    random.normals(target);
    for (let i = 0; i < target.length; i++) target[i] *= deviation;
    if (start === "identity") passOn(target, shape);
  } else {
    const bound = 1 / Math.sqrt(fanIn);
    random.uniforms(target);
    for (let i = 0; i < target.length; i++) target[i] = (2 * target[i] - 1) * bound;
  }
}

/** Makes the first output channels those of the input, as torch.nn.init.dirac_ does; the others stay as they are. [O, h, w, I] */
function passOn(weights: Float32Array, [outputs, inputs, height, width]: readonly number[]): void {
  const each = height * width * inputs;
  const middle = Math.floor(height / 2) * width + Math.floor(width / 2);
  for (let channel = 0; channel < Math.min(outputs, inputs); channel++) {
    weights.fill(0, channel * each, (channel + 1) * each);
    weights[channel * each + middle * inputs + channel] = 1;
  }
}

/** [O, I, h, w] → [O, h, w, I] */
function toOHWI(values: Float32Array, [outputs, inputs, height, width]: readonly number[]): Float32Array {
  const result = new Float32Array(values.length);
  const area = height * width;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let p = 0; p < area; p++) result[(o * area + p) * inputs + i] = values[(o * inputs + i) * area + p];
  return result;
}

/** [O, h, w, I] → [O, I, h, w] */
function toOIHW(values: Float32Array, [outputs, inputs, height, width]: readonly number[]): Float32Array {
  const result = new Float32Array(values.length);
  const area = height * width;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let p = 0; p < area; p++) result[(o * inputs + i) * area + p] = values[(o * area + p) * inputs + i];
  return result;
}

/** Where all that is missing is there under no name of the model's, behind a prefix which other names have not, the names are wrong, and not the model. */
function adviceFor({ entries }: Declaration, state: StateDict): string {
  const missing = entries.flatMap(({ name }) => (state.has(name) ? [] : [name]));
  const unknown = unknownNames(entries, state);
  const prefixed = missing.map((name) => unknown.find((other) => other.endsWith(`.${name}`)));
  const [first] = prefixed;
  if (first === undefined || prefixed.includes(undefined))
    return "use a checkpoint of this model, or another --model or --arch";
  const prefix = first.slice(0, -missing[0].length);
  const others = missing.length < entries.length ? " that the others lack" : "";
  return `${missing.length} names begin with ${prefix} or another prefix${others}: save all without it`;
}

function unknownNames(entries: readonly Declared[], state: StateDict): string[] {
  const expected = new Set(entries.map(({ name }) => name));
  return [...state.keys()].filter((name) => !expected.has(name) && !name.endsWith("num_batches_tracked"));
}

/** In words, the commonest first: a file of another program is most often wrong in one way throughout. */
function mismatches({ entries }: Declaration, state: StateDict): string | undefined {
  const missing = entries.filter(({ name }) => !state.has(name)).map(({ name }) => name);
  const unknown = unknownNames(entries, state);
  const misshapen = entries.flatMap(({ name, shape }) => {
    const found = state.get(name)?.shape ?? shape;
    return String(found) === String(shape) ? [] : [`${name} [${found}] instead of [${shape}]`];
  });
  const kinds = [
    ["missing", missing],
    ["unknown", unknown],
    ["of another shape", misshapen],
  ] as const;
  const found = kinds.filter(([, names]) => names.length > 0).sort(([, a], [, b]) => b.length - a.length);
  if (found.length === 0) return undefined;
  return found.map(([what, names]) => `${names.length} ${what}, e.g. ${names[0]}`).join("; ");
}
