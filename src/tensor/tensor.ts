/**
 * A tensor of libtorch: its handle, shape, element type and device, and copying from and to typed arrays.
 * Operators are in `ops.ts`, ownership in `scope.ts`.
 */
import { fault } from "../errors.ts";
import { check, owned, release, sizesOf } from "../native/call.ts";
import { library } from "../native/library.ts";
import { contiguous, toCopy } from "../native/operators.generated.ts";
import type { Handle } from "../native/symbols.ts";
import { type Device, type DType, deviceCodes, dtypeCode, dtypeOfCode, elementBytes } from "./device.ts";
import { register } from "./scope.ts";

/** JavaScript arrays that can be uploaded, and the element type that each has by default. */
export type TensorSource = Float32Array | Int32Array | BigInt64Array | Uint8Array;

export type Shape = readonly number[];

/** The product of the sizes; of [] 1. */
export function elementCount(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

const out = new BigUint64Array(1);
const code = new Int32Array(1);
const flag = new Uint8Array(8);

/** A tensor. Made by operators and by {@link fromArray}, freed by its scope or by {@link free}. */
export class Tensor {
  #handle: Handle | undefined;
  #shape: Shape | undefined;

  constructor(handle: Handle) {
    this.#handle = handle;
    register(this);
  }

  /** The handle to pass to libtorch. Throws if the tensor was freed. */
  get handle(): Handle {
    if (this.#handle === undefined) {
      const shape = this.#shape === undefined ? "" : ` of shape [${this.#shape}]`;
      throw fault("internal", {
        where: "tensor",
        rule: `must be alive, but this one${shape} was freed`,
        next: "return it from its scope(), or keep() it",
      });
    }
    return this.#handle;
  }

  get isFreed(): boolean {
    return this.#handle === undefined;
  }

  get shape(): Shape {
    this.#shape ??= sizesOf(this.handle);
    return this.#shape;
  }

  get dtype(): DType {
    library().symbols.aoti_torch_get_dtype(this.handle, code);
    return dtypeOfCode(code[0]);
  }

  get device(): Device {
    const { symbols } = library();
    symbols.aoti_torch_get_device_type(this.handle, code);
    if (code[0] === symbols.aoti_torch_device_type_cpu()) return "cpu";
    symbols.aoti_torch_get_device_index(this.handle, code);
    return `cuda:${code[0]}`;
  }

  /** Gives the tensor back to libtorch; a second call does nothing. */
  free(): void {
    if (this.#handle === undefined) return;
    release(this.#handle);
    this.#handle = undefined;
  }

  /** The only value of a tensor of one element. On a GPU this waits for it. */
  item(): number {
    if (elementCount(this.shape) !== 1) {
      throw fault("internal", { where: "Tensor.item", rule: "needs one element", got: `[${this.shape}]` });
    }
    return this.toFloat32()[0];
  }

  /** The elements as float32, in row-major order of the shape; other element types are converted. */
  toFloat32(): Float32Array<ArrayBuffer> {
    return this.#download("float32", new Float32Array(elementCount(this.shape)));
  }

  /** The elements of an integer or boolean tensor as int32, in row-major order. */
  toInt32(): Int32Array<ArrayBuffer> {
    return this.#download("int32", new Int32Array(elementCount(this.shape)));
  }

  /** The elements as bytes (of uint8 and bool tensors), in row-major order. */
  toUint8(): Uint8Array<ArrayBuffer> {
    return this.#download("uint8", new Uint8Array(elementCount(this.shape)));
  }

  #download<A extends Float32Array | Int32Array | Uint8Array>(dtype: DType, target: A): A {
    if (target.length === 0) return target;
    // Copied as it lies where possible: on a GPU that takes no memory there, which a captured graph depends on.
    if (this.dtype === dtype && this.#isContiguous()) return this.#copyOut(this.handle, dtype, target);
    const converted = toCopy(this.handle, dtypeCode(dtype), null, null, null, false, null);
    const dense = contiguous(converted, 0);
    try {
      return this.#copyOut(dense, dtype, target);
    } finally {
      release(converted);
      release(dense);
    }
  }

  /** Copies out `dense`, contiguous and of this tensor's shape and device. */
  #copyOut<A extends Float32Array | Int32Array | Uint8Array>(dense: Handle, dtype: DType, target: A): A {
    const { symbols, memory } = library();
    const isHere = this.device === "cpu";
    const source = isHere ? dense : emptyHandle(this.shape, dtype, "cpu");
    try {
      if (!isHere) check(symbols.aoti_torch_copy_(source, dense, 0), "copy_");
      symbols.aoti_torch_get_data_ptr(source, out);
      memory.copyOut(target, out[0], target.byteLength);
      return target;
    } finally {
      if (!isHere) release(source);
    }
  }

  #isContiguous(): boolean {
    library().symbols.aoti_torch_is_contiguous(this.handle, flag);
    return flag[0] !== 0;
  }

  /**
   * Overwrites the elements with those of an array of the same length and element size. The tensor must be contiguous.
   */
  upload(source: TensorSource): void {
    const { symbols, memory } = library();
    const bytes = elementCount(this.shape) * elementBytes[this.dtype];
    if (source.byteLength !== bytes || !this.#isContiguous()) {
      throw fault("internal", {
        where: "Tensor.upload",
        rule: `needs ${bytes} bytes for a contiguous ${this.dtype} [${this.shape}]`,
        got: source.byteLength,
      });
    }
    if (bytes === 0) return;
    if (this.device === "cpu") {
      symbols.aoti_torch_get_data_ptr(this.handle, out);
      memory.copyIn(out[0], source, bytes);
      return;
    }
    const staging = emptyHandle(this.shape, this.dtype, "cpu");
    symbols.aoti_torch_get_data_ptr(staging, out);
    memory.copyIn(out[0], source, bytes);
    check(symbols.aoti_torch_copy_(this.handle, staging, 0), "copy_");
    release(staging);
  }
}

const mostDimensions = 8;
// Made once: new arrays for each call would stay in the C heap until JavaScript's garbage is collected (native/heap.ts).
const sizes = new BigInt64Array(mostDimensions);
const strides = new BigInt64Array(mostDimensions);

function emptyHandle(shape: Shape, dtype: DType, device: Device): Handle {
  if (shape.length > mostDimensions) {
    throw fault("internal", { where: "tensor", rule: `has at most ${mostDimensions} dimensions`, got: `[${shape}]` });
  }
  let stride = 1;
  for (let d = shape.length - 1; d >= 0; d--) {
    sizes[d] = BigInt(shape[d]);
    strides[d] = BigInt(stride);
    stride *= Math.max(shape[d], 1);
  }
  const { type, index } = deviceCodes(device);
  const { symbols } = library();
  const status = symbols.aoti_torch_empty_strided(shape.length, sizes, strides, dtypeCode(dtype), type, index, out);
  check(status, "empty_strided", () => `[${shape}] ${dtype} on ${device}`);
  return owned(out[0]);
}

/** Where a tensor's elements lie, for C code that reads or writes them. On a GPU that is memory of the GPU. */
export function addressOf(tensor: Tensor): bigint {
  library().symbols.aoti_torch_get_data_ptr(tensor.handle, out);
  return out[0];
}

/** A new tensor [shape…] with undefined contents. */
export function empty(shape: Shape, dtype: DType = "float32", device: Device = "cpu"): Tensor {
  return new Tensor(emptyHandle(shape, dtype, device));
}

/** A new tensor [shape…] that is `value` everywhere. */
export function full(shape: Shape, value: number, dtype: DType = "float32", device: Device = "cpu"): Tensor {
  const tensor = empty(shape, dtype, device);
  check(library().symbols.aoti_torch_aten_fill__Scalar(tensor.handle, value), "fill_");
  return tensor;
}

/** A new tensor [shape…] of zeros. */
export function zeros(shape: Shape, dtype: DType = "float32", device: Device = "cpu"): Tensor {
  return full(shape, 0, dtype, device);
}

/** The element type that an array becomes: "uint8" for a Uint8Array, and so on. */
export function dtypeOf(source: TensorSource): DType {
  if (source instanceof Float32Array) return "float32";
  if (source instanceof Int32Array) return "int32";
  return source instanceof BigInt64Array ? "int64" : "uint8";
}

/**
 * Copies an array, which is in row-major order, into a new tensor [shape…] of the array's type; libtorch never keeps a
 * pointer into the array. @throws internal: another number of elements
 */
export function fromArray(source: TensorSource, shape: Shape, device: Device = "cpu"): Tensor {
  const tensor = empty(shape, dtypeOf(source), device);
  tensor.upload(source);
  return tensor;
}
