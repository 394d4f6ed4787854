/**
 * The allow-list for PyTorch's checkpoints: storages, which are named in a pickle and lie outside it, and the tensors that
 * look into them. Dense tensors of PyTorch 0.2 and later; no sparse or quantized ones, no modules.
 * Sources: torch/_utils.py (`_rebuild_tensor`, `_rebuild_tensor_v2`, `_rebuild_parameter`) and the persistent ids in
 * torch/serialization.py.
 */

import { fault } from "../errors.ts";
import {
  type Construct,
  type PickleAllowList,
  type PickleCheck,
  PickleGlobal,
  type PickleObject,
  PickleTuple,
  type PickleValue,
  shortText,
} from "./pickle-values.ts";
import type { TensorData, TensorDtype } from "./safetensors.ts";

export interface StorageType {
  readonly dtype: TensorDtype;
  /** Bytes per element. */
  readonly bytes: 1 | 2 | 4 | 8;
}

/** What a storage holds, by the name of its class in the module torch. */
export const storageTypes: ReadonlyMap<string, StorageType> = new Map<string, StorageType>([
  ["DoubleStorage", { dtype: "F64", bytes: 8 }],
  ["FloatStorage", { dtype: "F32", bytes: 4 }],
  ["HalfStorage", { dtype: "F16", bytes: 2 }],
  ["BFloat16Storage", { dtype: "BF16", bytes: 2 }],
  ["LongStorage", { dtype: "I64", bytes: 8 }],
  ["IntStorage", { dtype: "I32", bytes: 4 }],
  ["ShortStorage", { dtype: "I16", bytes: 2 }],
  ["CharStorage", { dtype: "I8", bytes: 1 }],
  ["ByteStorage", { dtype: "U8", bytes: 1 }],
  ["BoolStorage", { dtype: "BOOL", bytes: 1 }],
]);

/** As libtorch's own limit. */
const maxDimensions = 64;
const maxKeyLength = 1024;
/** PyTorch's are numbers; errors name them. */
const storageKey = /^[\w.-]{1,100}$/;
/** No pair of key and value takes fewer bytes in a file. */
const pairBytes = 4;

/** A flat row of elements, shared by the tensors that look into it. */
export class TorchStorage implements PickleObject {
  /** It takes no state. */
  readonly setState?: undefined;
  readonly type: StorageType;
  /** Their number, according to the pickle. */
  readonly elements: number;
  /** Aligned for the elements; empty until {@link fill}. */
  bytes: Uint8Array = new Uint8Array(0);

  constructor(type: StorageType, elements: number) {
    this.type = type;
    this.elements = elements;
  }

  /** Takes its content, copied only if it is not aligned. Throws "input" if its size is not the one that was stated. */
  fill(bytes: Uint8Array, where: string): void {
    const { dtype, bytes: size } = this.type;
    if (bytes.length !== this.elements * size) {
      const rule = `a storage of ${this.elements} ${dtype} needs ${this.elements * size} bytes`;
      throw fault("input", { where, rule, got: bytes.length, next: "is the file whole?" });
    }
    this.bytes = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  }
}

/** The storages that a pickle names, by their keys. */
export class TorchStorages extends Map<string, TorchStorage> {
  /** The storage of a persistent id: ("storage", class, key, device, elements), and None in the older stream. */
  load(id: PickleValue, check: PickleCheck): TorchStorage {
    const [kind, type, key, , elements, view = null] = id instanceof PickleTuple ? id.items : [];
    const name = shortText(key, maxKeyLength) ?? "";
    const known = type instanceof PickleGlobal ? storageTypes.get(type.name.replace(/^torch\./, "")) : undefined;
    if (shortText(kind, 10) !== "storage" || known === undefined || !storageKey.test(name) || !isWhole(elements)) {
      throw check.malformed("a persistent id must be ('storage', class, key, device, number of elements)");
    }
    if (view !== null) throw check.malformed("a storage must not be a part of another");
    const storage = this.get(name) ?? new TorchStorage(known, elements);
    if (storage.type !== known || storage.elements !== elements) {
      throw check.malformed("a storage must be of one type and size wherever it is named", name);
    }
    this.set(name, storage);
    return storage;
  }
}

/** A tensor as the file describes it: which elements of a storage, in which order. Sizes and strides count elements. */
export class TorchTensor implements PickleObject {
  /** It takes no state. */
  readonly setState?: undefined;
  readonly #storage: TorchStorage;
  readonly #offset: number;
  readonly #shape: readonly number[];
  readonly #strides: readonly number[];

  constructor(storage: TorchStorage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.#storage = storage;
    this.#offset = offset;
    this.#shape = shape;
    this.#strides = strides;
  }

  /** The same elements as another object. */
  again(): TorchTensor {
    return new TorchTensor(this.#storage, this.#offset, this.#shape, this.#strides);
  }

  /** The elements, row by row: a view of the storage, or a copy if they are not stored that way. */
  read(): TensorData {
    const { bytes, type } = this.#storage;
    const shape = this.#shape;
    const length = elementCount(shape) * type.bytes;
    const start = length === 0 ? 0 : this.#offset * type.bytes;
    const data = isContiguous(shape, this.#strides)
      ? new Uint8Array(bytes.buffer, bytes.byteOffset + start, length)
      : gather(bytes, length, type.bytes, { offset: this.#offset, shape, strides: this.#strides });
    return { dtype: type.dtype, shape, data };
  }
}

/** `_rebuild_tensor(storage, offset, size, stride)`; in version 2 also requires_grad, hooks and, at times, None. */
const rebuildTensor: Construct = (args, check) => {
  const [storage, offset, size, stride] = args;
  if (args.length < 4 || args.length > 7 || !(storage instanceof TorchStorage) || !isWhole(offset)) {
    throw check.malformed("a tensor needs a storage, an offset ≥ 0, sizes and strides");
  }
  if ((args[6] ?? null) !== null) throw check.malformed("a tensor must not be conjugated or negated");
  const shape = wholeNumbers(size, "sizes", check);
  const strides = wholeNumbers(stride, "strides", check);
  if (shape.length !== strides.length) {
    throw check.malformed("a tensor needs as many strides as sizes", `[${shape}] and [${strides}]`);
  }
  const count = elementCount(shape);
  // Floating-point: a product beyond 2^53 is rounded, but never to less than any number of elements that there can be.
  const last = shape.reduce((sum, length, axis) => sum + (length - 1) * strides[axis], offset);
  if (count > 0 && last >= storage.elements) {
    throw check.malformed(`a tensor must lie within its storage of ${storage.elements} elements`, `element ${last}`);
  }
  if (!isContiguous(shape, strides)) check.charge(count * storage.type.bytes);
  return new TorchTensor(storage, offset, shape, strides);
};

/** `_rebuild_parameter(tensor, requires_grad, hooks)`. */
const rebuildParameter: Construct = (args, check) => {
  const [tensor] = args;
  if (args.length !== 3 || !(tensor instanceof TorchTensor)) {
    throw check.malformed("_rebuild_parameter takes (tensor, requires_grad, hooks)");
  }
  return tensor.again();
};

/** A dict that, unlike Python's own, takes a state: a state dict's `_metadata`, which nothing here needs. */
class OrderedDict extends Map<string | number, PickleValue> {
  setState(state: PickleValue, check: PickleCheck): void {
    if (!(state instanceof Map)) throw check.malformed("collections.OrderedDict takes a dict of attributes");
  }
}

/** `OrderedDict()`, and as Python 2 writes it `OrderedDict([[key, value], …])`. */
const orderedDict: Construct = (args, check) => {
  const [pairs = []] = args;
  if (args.length > 1 || !Array.isArray(pairs)) throw check.malformed("collections.OrderedDict takes a list of pairs");
  check.charge(pairs.length * pairBytes);
  const dict = new OrderedDict();
  for (const pair of pairs) {
    const items = pair instanceof PickleTuple ? pair.items : pair;
    const key = Array.isArray(items) && items.length === 2 ? shortText(items[0], maxKeyLength) : undefined;
    if (key === undefined) throw check.malformed("collections.OrderedDict takes pairs of text and value");
    if (dict.has(key)) throw check.malformed("each key may appear once", `${key} twice`);
    dict.set(key, (items as readonly PickleValue[])[1]);
  }
  return dict;
};

/** What the pickle of a state dict may name. */
export const torchAllowList: PickleAllowList = new Map<string, Construct | undefined>([
  ...[...storageTypes.keys()].map((name) => [`torch.${name}`, undefined] as const),
  ["torch._utils._rebuild_tensor", rebuildTensor],
  ["torch._utils._rebuild_tensor_v2", rebuildTensor],
  ["torch._utils._rebuild_parameter", rebuildParameter],
  ["collections.OrderedDict", orderedDict],
]);

/** Of a file whose numbers lie in the other order of bytes. */
export const ofOtherMachine = {
  rule: "the file must be written by a little-endian machine",
  next: "save it anew on one, or its tensors as .safetensors",
} as const;
/** What to do about a file that names anything else: most such files were made by `torch.save(model)`. */
export const unsafeNext =
  "save model.state_dict() instead of the model; if the file is not your own, do not open it with Python";

function wholeNumbers(value: PickleValue | undefined, what: string, check: PickleCheck): readonly number[] {
  const items = value instanceof PickleTuple ? value.items : undefined;
  if (items === undefined || items.length > maxDimensions || !items.every(isWhole)) {
    throw check.malformed(`a tensor needs at most ${maxDimensions} ${what}, each a whole number ≥ 0`);
  }
  return items;
}

function isWhole(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Infinity where there would be more than any file holds. */
function elementCount(shape: readonly number[]): number {
  return shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
}

/** Whether the elements lie row by row. The stride of an axis with one element does not matter. */
function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  if (shape.includes(0)) return true;
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

interface Layout {
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

/** Copies elements of `size` bytes row by row. */
function gather(bytes: Uint8Array, length: number, size: StorageType["bytes"], layout: Layout): Uint8Array {
  // 8 bytes are two words of 4, which makes them an axis of their own.
  if (size === 8) {
    const { offset, shape, strides } = layout;
    const words = { offset: 2 * offset, shape: [...shape, 2], strides: [...strides.map((stride) => 2 * stride), 1] };
    return gather(bytes, length, 4, words);
  }
  const data = new Uint8Array(length);
  const gathered = wordsOf(data, size);
  const source = wordsOf(bytes, size);
  const { offset, shape, strides } = layout;
  const index = shape.map(() => 0);
  let from = offset;
  for (let to = 0; to < gathered.length; to++) {
    gathered[to] = source[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]++;
      from += strides[axis];
      if (index[axis] < shape[axis]) break;
      index[axis] = 0;
      from -= strides[axis] * shape[axis];
    }
  }
  return data;
}

function wordsOf(bytes: Uint8Array, size: 1 | 2 | 4): Uint8Array | Uint16Array | Uint32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  if (size === 1) return bytes;
  return size === 2
    ? new Uint16Array(buffer, byteOffset, byteLength / 2)
    : new Uint32Array(buffer, byteOffset, byteLength / 4);
}
