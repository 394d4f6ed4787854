/**
 * One call of a libtorch operator through its dispatcher: arguments are put on a stack of 64-bit values, results are
 * read from the same stack. The generated wrappers in `operators.generated.ts` are the only callers of the encoders,
 * so that every encoding follows from the operator's schema.
 *
 * Ownership: a Tensor argument is passed as a new handle, which the call consumes, so the caller's handle stays its own.
 * Lists, strings and boxes of optional values are consumed likewise. A result's handle is owned by the caller.
 *
 * Source: torch/csrc/stable/stableivalue_conversions.h (encoding), torch/csrc/stable/c/shim.h (calls).
 */
import { fault, type PatchDropError } from "../errors.ts";
import { outOfGpuMemory } from "./cuda-symbols.ts";
import { type Library, library } from "./library.ts";
import type { Handle } from "./symbols.ts";

/** The stack of one call. Calls do not nest, so one buffer serves all. */
const stack = new BigUint64Array(32);
const stackAsInt = new BigInt64Array(stack.buffer);
const stackAsFloat = new Float64Array(stack.buffer);
const out = new BigUint64Array(1);
const box = new BigUint64Array(1);
const floatBits = new Float64Array(box.buffer);

/** The ABI that the encodings above were written against: 2.10.0, the oldest supported. */
const abi = 0x020a000000000000n;

let live = 0;

/** Number of tensor handles that this process owns; a leak test watches it. */
export function liveHandles(): number {
  return live;
}

/** Counts a handle that a C function returned as ours. */
export function owned(handle: Handle): Handle {
  live += 1;
  return handle;
}

/** Gives a handle back to libtorch. */
export function release(handle: Handle): void {
  live -= 1;
  library().symbols.aoti_torch_delete_tensor_object(handle);
}

/** If `status` is not zero, throws what libtorch said, naming the operation and its arguments. */
export function check(status: number, operation: string, described: () => string = () => ""): void {
  if (status === 0) return;
  const about = described();
  throw failureOf(about === "" ? operation : `${operation}(${about})`, library().lastError());
}

/** What libtorch said as an error: the user can do something about a GPU's full memory; anything else is our bug. */
export function failureOf(where: string, said: string | undefined): PatchDropError {
  const rule = said?.split("\n")[0] ?? "libtorch's message is on stderr";
  return rule.includes("CUDA out of memory") ? outOfGpuMemory(where, rule) : fault("internal", { where, rule });
}

/** Shape of a handle's tensor, for messages and for `Tensor`. */
export function sizesOf(handle: Handle): number[] {
  const { symbols } = library();
  symbols.aoti_torch_get_dim(handle, dimension);
  const sizes = new Array<number>(Number(dimension[0]));
  for (let d = 0; d < sizes.length; d++) {
    symbols.aoti_torch_get_size(handle, d, dimension);
    sizes[d] = Number(dimension[0]);
  }
  return sizes;
}
const dimension = new BigInt64Array(1);

/** An operator's two names as C strings, made once. */
export interface OperatorName {
  readonly text: string;
  readonly name: Uint8Array;
  readonly overload: Uint8Array;
}

export function operatorName(name: string, overload: string): OperatorName {
  const text = overload === "" ? name : `${name}.${overload}`;
  return { text, name: Buffer.from(`${name}\0`), overload: Buffer.from(`${overload}\0`) };
}

/** Runs the operator on what the encoders have put on the stack. */
export function invoke(operator: OperatorName, tensors: readonly (Handle | null)[] = []): void {
  const status = library().symbols.torch_call_dispatcher(operator.name, operator.overload, stack, abi);
  if (status !== 0) {
    check(status, operator.text, () => tensors.map((h) => (h === null ? "none" : `[${sizesOf(h)}]`)).join(", "));
  }
}

function copyHandle(lib: Library, handle: Handle): Handle {
  lib.symbols.aoti_torch_new_tensor_handle(handle, out);
  return out[0];
}

function putBox(lib: Library, position: number): void {
  const address = lib.newBox();
  lib.memory.copyIn(address, box, 8);
  stack[position] = address;
}

// Encoders: put one argument at its position. Named after the schema's types.

export function putTensor(position: number, handle: Handle): void {
  stack[position] = copyHandle(library(), handle);
}

export function putOptionalTensor(position: number, handle: Handle | null): void {
  stack[position] = 0n;
  if (handle === null) return;
  const lib = library();
  box[0] = copyHandle(lib, handle);
  putBox(lib, position);
}

export function putInt(position: number, value: number): void {
  stackAsInt[position] = BigInt(value);
}

export function putOptionalInt(position: number, value: number | null): void {
  stack[position] = 0n;
  if (value === null) return;
  box[0] = BigInt.asUintN(64, BigInt(value));
  putBox(library(), position);
}

export function putFloat(position: number, value: number): void {
  stackAsFloat[position] = value;
}

export function putOptionalFloat(position: number, value: number | null): void {
  stack[position] = 0n;
  if (value === null) return;
  floatBits[0] = value;
  putBox(library(), position);
}

export function putBool(position: number, value: boolean): void {
  stack[position] = value ? 1n : 0n;
}

export function putOptionalBool(position: number, value: boolean | null): void {
  putOptionalInt(position, value === null ? null : Number(value));
}

function putList(position: number, length: number, element: (lib: Library, index: number) => bigint): void {
  const lib = library();
  lib.symbols.torch_new_list_reserve_size(length, out);
  const list = out[0];
  for (let i = 0; i < length; i++) lib.symbols.torch_list_push_back(list, element(lib, i));
  stack[position] = list;
}

export function putIntList(position: number, values: readonly number[]): void {
  putList(position, values.length, (_, i) => BigInt.asUintN(64, BigInt(values[i])));
}

export function putOptionalIntList(position: number, values: readonly number[] | null): void {
  stack[position] = 0n;
  if (values === null) return;
  putIntList(position, values);
  box[0] = stack[position];
  putBox(library(), position);
}

export function putTensorList(position: number, handles: readonly Handle[]): void {
  putList(position, handles.length, (lib, i) => copyHandle(lib, handles[i]));
}

/** The few strings that operators take, encoded once. */
const encoded = new Map<string, Uint8Array>();

export function putString(position: number, value: string): void {
  const bytes = encoded.get(value) ?? Buffer.from(value);
  encoded.set(value, bytes);
  library().symbols.torch_new_string_handle(bytes, bytes.length, out);
  stack[position] = out[0];
}

export function putOptionalString(position: number, value: string | null): void {
  stack[position] = 0n;
  if (value === null) return;
  putString(position, value);
  box[0] = stack[position];
  putBox(library(), position);
}

/** Lists of optional numbers (fused activations' scalars) are only ever empty here. */
export function putEmptyList(position: number): void {
  putList(position, 0, () => 0n);
}

// Results.

export function takeTensor(position: number): Handle {
  return owned(stack[position]);
}

export function takeTensorList(position: number): Handle[] {
  const { symbols } = library();
  const list = stack[position];
  symbols.torch_list_size(list, out);
  const handles = new Array<Handle>(Number(out[0]));
  for (let i = 0; i < handles.length; i++) {
    symbols.torch_list_get_item(list, i, out);
    handles[i] = owned(out[0]);
  }
  symbols.torch_delete_list(list);
  return handles;
}
