/**
 * The allow-list for numpy arrays in a pickle, which is what CIFAR's batches need: numpy 1 and 2, written by Python 2
 * or 3 with any protocol. Sources: `array_reduce` and `array_setstate` in numpy's methods.c, `arraydescr_reduce` in
 * its descriptor.c, `_frombuffer` in numpy/_core/numeric.py.
 */

import {
  type PickleAllowList,
  type PickleCheck,
  PickleGlobal,
  type PickleObject,
  PickleTuple,
  type PickleValue,
  shortText,
} from "./pickle-values.ts";

/** numpy's type codes (kind and bytes per element) that are read; objects, strings and records are not. */
const elementBytes: ReadonlyMap<string, number> = new Map([
  ["b1", 1],
  ["u1", 1],
  ["i1", 1],
  ["u2", 2],
  ["i2", 2],
  ["u4", 4],
  ["i4", 4],
  ["u8", 8],
  ["i8", 8],
  ["f4", 4],
  ["f8", 8],
]);
/** As numpy's own limit. */
const maxDimensions = 64;

/** `numpy.dtype` of a number type, little-endian. */
export class NumpyDtype implements PickleObject {
  /** Kind and bytes per element, e.g. "u1". */
  readonly code: string;
  readonly elementBytes: number;

  constructor(code: string, bytes: number) {
    this.code = code;
    this.elementBytes = bytes;
  }

  /** State: (version, byte order, subdtype, names, fields, element size, alignment, flags); the size is −1, "built in". */
  setState(state: PickleValue, check: PickleCheck): void {
    const items = state instanceof PickleTuple ? state.items : [];
    const order = shortText(items[1], 1);
    if (items.length !== 8 || items[0] !== 3 || items.slice(2, 5).some((item) => item !== null) || items[5] !== -1) {
      throw check.malformed("numpy.dtype takes the state of a plain number type, version 3");
    }
    const oneByte = this.elementBytes === 1;
    if (!(order === "<" || (order === "|" && oneByte))) {
      throw check.malformed(`numpy.dtype ${this.code} must be little-endian`, order);
    }
  }
}

/** What a pickle gives as an array's content. */
interface ArrayContent {
  readonly data: PickleValue | undefined;
  readonly dtype: PickleValue | undefined;
  readonly shape: PickleValue | undefined;
  readonly fortran: boolean;
}

/** A `numpy.ndarray` of numbers. */
export class NumpyArray implements PickleObject {
  /** numpy's code, e.g. "u1" for uint8. */
  dtype = "u1";
  shape: readonly number[] = [0];
  /** Row-major, little-endian; not aligned for wide elements. Often a view of the file's bytes: copy before changing. */
  data: Uint8Array = new Uint8Array(0);

  /** State: (version, shape, dtype, is Fortran order, bytes). */
  setState(state: PickleValue, check: PickleCheck): void {
    const items = state instanceof PickleTuple ? state.items : [];
    const [version, shape, dtype, fortran, data] = items;
    if (items.length !== 5 || version !== 1 || typeof fortran !== "boolean") {
      throw check.malformed("numpy.ndarray takes the state (1, shape, dtype, order, bytes)");
    }
    this.fill({ data, dtype, shape, fortran }, check);
  }

  fill({ data, dtype, shape, fortran }: ArrayContent, check: PickleCheck): void {
    if (!(dtype instanceof NumpyDtype)) throw check.malformed("numpy.ndarray needs a dtype of numbers");
    if (!(data instanceof Uint8Array)) throw check.malformed("numpy.ndarray needs its elements as bytes");
    const sizes = shapeOf(shape, check);
    const needed = sizes.reduce((product, size) => product * size, dtype.elementBytes);
    if (needed !== data.byteLength) {
      const rule = `numpy.ndarray of ${dtype.code} [${sizes.join(", ")}] needs ${needed} bytes`;
      throw check.malformed(rule, data.byteLength);
    }
    this.dtype = dtype.code;
    this.shape = sizes;
    if (fortran) check.charge(data.byteLength);
    this.data = fortran ? rowMajor(data, sizes, dtype.elementBytes) : data;
  }
}

function shapeOf(value: PickleValue | undefined, check: PickleCheck): readonly number[] {
  const sizes = value instanceof PickleTuple ? value.items : undefined;
  const sound = sizes?.every((size) => typeof size === "number" && Number.isSafeInteger(size) && size >= 0);
  if (sizes === undefined || sizes.length > maxDimensions || !sound) {
    throw check.malformed(`numpy.ndarray needs a shape of at most ${maxDimensions} sizes ≥ 0`);
  }
  return sizes as readonly number[];
}

/** Copies elements from Fortran order (first index fastest) to C order (last index fastest). */
function rowMajor(data: Uint8Array, shape: readonly number[], bytes: number): Uint8Array {
  const out = new Uint8Array(data.length);
  const index = shape.map(() => 0);
  const strides = shape.map((_, axis) => shape.slice(0, axis).reduce((product, size) => product * size, bytes));
  for (let to = 0; to < out.length; to += bytes) {
    const from = index.reduce((offset, at, axis) => offset + at * (strides[axis] ?? 0), 0);
    out.set(data.subarray(from, from + bytes), to);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis] = ((index[axis] ?? 0) + 1) % (shape[axis] ?? 1);
      if (index[axis] !== 0) break;
    }
  }
  return out;
}

/** `numpy.dtype(code, align, copy)`. */
function dtype(args: readonly PickleValue[], check: PickleCheck): PickleValue {
  const code = shortText(args[0], 8);
  const bytes = code === undefined ? undefined : elementBytes.get(code);
  if (args.length !== 3 || code === undefined) throw check.malformed("numpy.dtype takes (code, align, copy)");
  if (bytes === undefined)
    throw check.malformed(`numpy.dtype must be one of ${[...elementBytes.keys()].join(", ")}`, code);
  return new NumpyDtype(code, bytes);
}

/** `_reconstruct(numpy.ndarray, (0,), b"b")`: an empty array, filled by the state that follows. */
function reconstruct(args: readonly PickleValue[], check: PickleCheck): PickleValue {
  const [type, shape, code] = args;
  const isArray = type instanceof PickleGlobal && type.name === "numpy.ndarray";
  const isEmpty = shape instanceof PickleTuple && shape.items.length === 1 && shape.items[0] === 0;
  if (args.length !== 3 || !isArray || !isEmpty || shortText(code, 1) !== "b") {
    throw check.malformed("_reconstruct takes (numpy.ndarray, (0,), b'b')");
  }
  return new NumpyArray();
}

/** `_frombuffer(bytes, dtype, shape, order)`, written by protocol 5. */
function fromBuffer(args: readonly PickleValue[], check: PickleCheck): PickleValue {
  const [data, dtype, shape, orderValue] = args;
  const order = shortText(orderValue, 1);
  if (args.length !== 4 || (order !== "C" && order !== "F")) {
    throw check.malformed("_frombuffer takes (bytes, dtype, shape, 'C' or 'F')");
  }
  const array = new NumpyArray();
  array.fill({ data, dtype, shape, fortran: order === "F" }, check);
  return array;
}

/** `_codecs.encode(text, "latin1")`: how Python 3 writes bytes for a protocol that has only text. */
function encode(args: readonly PickleValue[], check: PickleCheck): PickleValue {
  const [text, codec] = args;
  if (args.length !== 2 || typeof text !== "string" || shortText(codec, 10) !== "latin1") {
    throw check.malformed("_codecs.encode takes (text, 'latin1')");
  }
  check.charge(text.length);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code > 255) throw check.malformed("_codecs.encode takes characters up to 255", code);
    bytes[i] = code;
  }
  return bytes;
}

/** `bytes()`: how Python 3 writes empty bytes for a protocol that has only text. */
function emptyBytes(args: readonly PickleValue[], check: PickleCheck): PickleValue {
  if (args.length !== 0) throw check.malformed("bytes takes no arguments here", `${args.length} of them`);
  return new Uint8Array(0);
}

/** What a pickle of plain data and numpy arrays may name. */
export const numpyAllowList: PickleAllowList = new Map([
  ["numpy.core.multiarray._reconstruct", reconstruct],
  ["numpy._core.multiarray._reconstruct", reconstruct],
  ["numpy.core.numeric._frombuffer", fromBuffer],
  ["numpy._core.numeric._frombuffer", fromBuffer],
  ["numpy.dtype", dtype],
  ["numpy.ndarray", undefined],
  ["_codecs.encode", encode],
  ["__builtin__.bytes", emptyBytes],
  ["builtins.bytes", emptyBytes],
]);
