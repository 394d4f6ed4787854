/**
 * Safetensors: named tensors as bytes, and back. Nothing here knows files or libtorch.
 *
 * Layout: 8 bytes, the header's length N (unsigned, little-endian); N bytes of JSON,
 * `{"name": {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {string: string}}`, padded with spaces;
 * then the tensors' bytes, little-endian, row-major, without overlap or hole. Offsets count from the end of the header.
 * Source: the "Format" section of the safetensors README (github.com/huggingface/safetensors).
 */

import { type Fault, fault } from "../errors.ts";
import { isNotFinite, refuseValues } from "./refuse-values.ts";

/** Element types, by the format's names, with their size in bytes. Types below one byte are not read. */
const elementBytes = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type TensorDtype = keyof typeof elementBytes;

/** A tensor as bytes: little-endian, row-major, `data.byteOffset` a multiple of the element's size. */
export interface TensorData {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Named tensors in the order of the file; the names are PyTorch's, e.g. `layer1.0.conv1.weight`. */
export type StateDict = Map<string, TensorData>;

/** As in the reference implementation: no model needs more, and it bounds what a hostile header can cost. */
const maxHeaderBytes = 100_000_000;
const metadataKey = "__metadata__";
/** As libtorch's own limit. */
const maxDimensions = 64;
/** A message lists this many faults at most. */
const maxFaults = 20;

/** A float32 tensor over `values` (not copied). Throws "internal" if the shape does not fit them. */
export function float32Tensor(shape: readonly number[], values: Float32Array): TensorData {
  const tensor: TensorData = {
    dtype: "F32",
    shape: [...shape],
    data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  };
  const wrong = tensorFault("float32Tensor", tensor);
  if (wrong !== undefined) throw fault("internal", wrong);
  return tensor;
}

/**
 * The elements of a floating tensor as float32, rounded to the nearest as PyTorch's `load_state_dict` does: a view of an F32
 * tensor's bytes, a copy of others. `where` names the tensor in the error (kind "input").
 */
export function asFloat32({ dtype, data }: TensorData, where = "asFloat32"): Float32Array {
  const { buffer, byteOffset, byteLength } = data;
  const shorts = () => new Uint16Array(buffer, byteOffset, byteLength / 2);
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer, byteOffset, byteLength / 4);
    case "F64":
      return new Float32Array(new Float64Array(buffer, byteOffset, byteLength / 8));
    case "BF16": // The upper half of a float32.
      return new Float32Array(new Uint32Array(shorts()).map((bits) => bits << 16).buffer);
    case "F16":
      return new Float32Array(shorts()).map(halfValue);
    default: {
      const rule = "the tensor must be F32, F16, BF16 or F64";
      throw fault("input", { where, rule, got: dtype, next: "save the weights as floating-point numbers" });
    }
  }
}

/** The number of an IEEE 754 binary16: 1 bit of sign, 5 of exponent with bias 15, 10 of fraction. */
function halfValue(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 0x400;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** -14 : sign * (1 + fraction) * 2 ** (exponent - 15);
}

/**
 * The same of numbers that something is to be computed with. Throws "notFinite" for NaN and infinity, with which everything
 * that follows is NaN and looks like a bad model or a bad learning rate.
 */
export function finiteFloat32(tensor: TensorData, where: string): Float32Array {
  const values = asFloat32(tensor, where);
  refuseValues(values, isNotFinite, { where, rule: "must hold finite numbers" });
  return values;
}

/**
 * Encodes tensors and text metadata. The header lists the tensors in the map's order; their bytes lie with the widest
 * elements first, so that each tensor is aligned, which readers that map the file into memory need.
 * Throws "internal" for a tensor whose bytes do not fit its shape.
 */
export function encodeSafetensors(tensors: StateDict, metadata?: Readonly<Record<string, string>>): Uint8Array {
  const faults = [...tensors].flatMap(([name, tensor]) => tensorFault(`safetensors: ${name}`, tensor) ?? []);
  if (tensors.has(metadataKey)) faults.push({ where: "safetensors", rule: `no tensor may be named ${metadataKey}` });
  if (faults.length > 0) throw fault("internal", faults);

  const offsets = new Map<string, number>();
  let dataBytes = 0;
  const widestFirst = [...tensors].sort(([, a], [, b]) => bytesOf(b.dtype) - bytesOf(a.dtype));
  for (const [name, { data }] of widestFirst) {
    offsets.set(name, dataBytes);
    dataBytes += data.byteLength;
  }
  const header = encodeHeader(tensors, offsets, metadata);
  const bytes = new Uint8Array(8 + header.byteLength + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(header.byteLength), true);
  bytes.set(header, 8);
  for (const [name, { data }] of tensors) bytes.set(data, 8 + header.byteLength + (offsets.get(name) ?? 0));
  return bytes;
}

/** JSON written entry by entry, since an object would reorder keys like "0" and lose a key named "__proto__". */
function encodeHeader(
  tensors: StateDict,
  offsets: ReadonlyMap<string, number>,
  metadata: Readonly<Record<string, string>> | undefined,
): Uint8Array {
  const entries = metadata === undefined ? [] : [`${JSON.stringify(metadataKey)}:${JSON.stringify(metadata)}`];
  for (const [name, { dtype, shape, data }] of tensors) {
    const begin = offsets.get(name) ?? 0;
    const entry = { dtype, shape, data_offsets: [begin, begin + data.byteLength] };
    entries.push(`${JSON.stringify(name)}:${JSON.stringify(entry)}`);
  }
  const json = new TextEncoder().encode(`{${entries.join(",")}}`);
  const header = new Uint8Array(Math.ceil(json.byteLength / 8) * 8).fill(0x20);
  header.set(json);
  if (header.byteLength > maxHeaderBytes) {
    throw fault("internal", { where: "safetensors", rule: `at most ${maxHeaderBytes} header bytes`, got: json.length });
  }
  return header;
}

/**
 * Decodes a file's bytes; `where` names it in errors. Tensors are views of `bytes`, or copies where a view would not be
 * aligned for its element type. Throws "input" with every fault that was found: header, dtype, shape, offsets, holes.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  where: string,
): { tensors: StateDict; metadata: Map<string, string> } {
  const { header, dataStart } = readHeader(bytes, where);
  const metadata = readMetadata(header, where);
  const faults: Fault[] = [];
  const entries: Entry[] = [];
  for (const [name, value] of header) {
    if (name === metadataKey) continue;
    const entry = readEntry(name, value);
    if ("rule" in entry) faults.push({ ...entry, where: named(where, name) });
    else entries.push(entry);
  }
  if (faults.length > 1 && faults.every(({ rule, got }) => rule === faults[0].rule && got === faults[0].got)) {
    const [first, ...others] = faults;
    throw inputFault([{ ...first, where: `${first.where} and ${others.length} more tensors` }]);
  }
  // Holes are looked for only if every entry is valid: a bad one would make its neighbours look wrong too.
  if (faults.length === 0) faults.push(...coverageFaults(entries, bytes.byteLength - dataStart, where));
  if (faults.length > 0) throw inputFault(faults);

  const tensors: StateDict = new Map();
  for (const { name, dtype, shape, begin, end } of entries) {
    tensors.set(name, { dtype, shape, data: alignedView(bytes, dataStart + begin, dataStart + end, bytesOf(dtype)) });
  }
  return { tensors, metadata };
}

interface Entry {
  readonly name: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** The header's keys and values in the order of the file. */
function readHeader(bytes: Uint8Array, where: string): { header: Map<string, unknown>; dataStart: number } {
  const bad = (rule: string, got?: unknown): Error =>
    fault("input", { where, rule, got, next: "is it a whole .safetensors file?" });
  if (bytes.byteLength < 8)
    throw bad("a safetensors file starts with 8 bytes of header length", `${bytes.length} bytes`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > maxHeaderBytes) throw bad(`the header may have at most ${maxHeaderBytes} bytes`, length);
  const dataStart = 8 + Number(length);
  if (dataStart > bytes.byteLength) throw bad(`the header has ${length} bytes`, `${bytes.byteLength - 8} bytes`);
  let text: string;
  let parsed: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes.subarray(8, dataStart));
    parsed = JSON.parse(text);
  } catch (error) {
    throw bad("the header must be JSON in UTF-8", error instanceof Error ? error.message : error);
  }
  if (!text.startsWith("{") || !isObject(parsed)) throw bad("the header must be a JSON object starting with '{'");
  const values = new Map(Object.entries(parsed));
  for (const [name, value] of values) {
    if (!isObject(value)) throw inputFault([{ where: named(where, name), rule: "must be a JSON object", got: value }]);
  }
  const names = topLevelKeys(text);
  if (names.length !== values.size) throw bad("each key may appear once", `${repeated(names)} twice`);
  return { header: new Map(names.map((name) => [name, values.get(name)])), dataStart };
}

/**
 * The keys of a JSON object whose values are all objects, in the order of the text. `JSON.parse` silently keeps the last of
 * two equal keys, and moves keys like "0" to the front.
 */
function topLevelKeys(json: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const char = json[i];
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    else if (char === '"') {
      const start = i;
      for (i++; json[i] !== '"'; i++) if (json[i] === "\\") i++;
      if (depth === 1) keys.push(JSON.parse(json.slice(start, i + 1)));
    }
  }
  return keys;
}

function repeated(names: readonly string[]): string {
  const seen = new Set<string>();
  return names.find((name) => seen.size === seen.add(name).size) ?? "";
}

function readMetadata(header: ReadonlyMap<string, unknown>, where: string): Map<string, string> {
  const metadata = new Map<string, string>();
  for (const [key, value] of Object.entries(header.get(metadataKey) ?? {})) {
    if (typeof value !== "string") {
      throw inputFault([{ where: named(`${where}: ${metadataKey}`, key), rule: "must be text", got: value }]);
    }
    metadata.set(key, value);
  }
  return metadata;
}

/** One tensor's entry, checked by itself: dtype, shape, and that its offsets span exactly its elements. */
function readEntry(name: string, value: unknown): Entry | Omit<Fault, "where"> {
  const { dtype, shape, data_offsets: offsets } = value as { dtype?: unknown; shape?: unknown; data_offsets?: unknown };
  if (!isDtype(dtype)) {
    const next = "save it in one of these: `tensor.float()`";
    return { rule: `dtype must be one of ${Object.keys(elementBytes).join(", ")}`, got: dtype, next };
  }
  if (!isSizes(shape))
    return { rule: "shape must be a list of at most 64 whole numbers ≥ 0", got: JSON.stringify(shape) };
  if (!isSizes(offsets) || offsets.length !== 2) {
    return { rule: "data_offsets must be two whole numbers ≥ 0", got: JSON.stringify(offsets) };
  }
  const [begin, end] = offsets as [number, number];
  const needed = byteLength(dtype, shape);
  if (!Number.isSafeInteger(needed)) return { rule: "the shape's product must be below 2^53", got: shape.join("×") };
  if (end - begin !== needed) {
    return { rule: `${dtype} [${shape.join(", ")}] needs ${needed} bytes`, got: `offsets ${begin} to ${end}` };
  }
  return { name, dtype, shape, begin, end };
}

/** What keeps the tensors from covering the data exactly once, from its first byte to its last. */
function coverageFaults(entries: readonly Entry[], dataBytes: number, where: string): Fault[] {
  const faults: Fault[] = [];
  let covered = 0;
  for (const { name, begin, end } of [...entries].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== covered) {
      const rule = `must start at byte ${covered}, where the tensor before it ends`;
      faults.push({ where: named(where, name), rule, got: `${begin} (${begin < covered ? "an overlap" : "a hole"})` });
    }
    covered = Math.max(covered, end);
  }
  if (covered !== dataBytes) {
    faults.push({
      where,
      rule: `the header names ${covered} data bytes`,
      got: `${dataBytes}`,
      next: "is the file whole?",
    });
  }
  return faults;
}

/** `bytes[begin, end)`, copied only where a typed array of `alignment` bytes an element could not view it. */
function alignedView(bytes: Uint8Array, begin: number, end: number, alignment: number): Uint8Array {
  const view = new Uint8Array(bytes.buffer, bytes.byteOffset + begin, end - begin);
  return view.byteOffset % alignment === 0 ? view : view.slice();
}

/** Undefined when the bytes fit the dtype and shape. */
function tensorFault(where: string, { dtype, shape, data }: TensorData): Fault | undefined {
  if (!isDtype(dtype) || !isSizes(shape)) return { where, rule: "needs a known dtype and sizes ≥ 0", got: dtype };
  const needed = byteLength(dtype, shape);
  if (data.byteLength === needed) return undefined;
  return { where, rule: `${dtype} [${shape.join(", ")}] needs ${needed} bytes`, got: data.byteLength };
}

/** NaN where a product leaves the exact integers. */
function byteLength(dtype: TensorDtype, shape: readonly number[]): number {
  return shape.reduce((product, size) => exact(product * size), bytesOf(dtype));
}

function exact(value: number): number {
  return Number.isSafeInteger(value) ? value : Number.NaN;
}

function bytesOf(dtype: TensorDtype): number {
  return elementBytes[dtype];
}

function isDtype(value: unknown): value is TensorDtype {
  return typeof value === "string" && Object.hasOwn(elementBytes, value);
}

function isSizes(value: unknown): value is readonly number[] {
  return (
    Array.isArray(value) &&
    value.length <= maxDimensions &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A key comes from the file: one line, control characters escaped, shortened if it is very long. */
function named(where: string, key: string): string {
  return `${where}: ${JSON.stringify(key).slice(1, -1).slice(0, 100)}`;
}

function inputFault(faults: readonly Fault[]): Error {
  const more: Fault[] =
    faults.length > maxFaults ? [{ where: "…", rule: `and ${faults.length - maxFaults} more faults` }] : [];
  return fault("input", [...faults.slice(0, maxFaults), ...more]);
}
