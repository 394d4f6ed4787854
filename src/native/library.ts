/**
 * The only place that opens libtorch: its C prototypes, bound once by koffi. What the functions mean for ownership and
 * encoding is in `call.ts`.
 *
 * Source: torch/csrc/stable/c/shim.h and torch/csrc/inductor/aoti_torch/c/shim.h, shipped in every PyTorch wheel.
 */
import { existsSync } from "node:fs";
import path from "node:path";
import koffi from "koffi";
import { fault } from "../errors.ts";
import { type CudaSymbols, cudaPrototypes } from "./cuda-symbols.ts";
import type { FoundLibtorch } from "./find.ts";
import { keepLargeBlocks } from "./heap.ts";

/** The address of a tensor object that libtorch made and we own. */
export type Handle = bigint;

/** The functions that are called, as TypeScript sees them. Those that can fail return non-zero. */
export interface Symbols {
  aoti_torch_new_tensor_handle(handle: Handle, out: BigUint64Array): number;
  aoti_torch_delete_tensor_object(handle: Handle): number;
  aoti_torch_get_dim(handle: Handle, out: BigInt64Array): number;
  aoti_torch_get_size(handle: Handle, dim: number, out: BigInt64Array): number;
  aoti_torch_get_dtype(handle: Handle, out: Int32Array): number;
  aoti_torch_get_device_type(handle: Handle, out: Int32Array): number;
  aoti_torch_get_device_index(handle: Handle, out: Int32Array): number;
  aoti_torch_is_contiguous(handle: Handle, out: Uint8Array): number;
  aoti_torch_get_data_ptr(handle: Handle, out: BigUint64Array): number;
  aoti_torch_empty_strided(
    ndim: number,
    sizes: BigInt64Array,
    strides: BigInt64Array,
    dtype: number,
    deviceType: number,
    deviceIndex: number,
    out: BigUint64Array,
  ): number;
  aoti_torch_zero_(handle: Handle): number;
  aoti_torch_copy_(self: Handle, source: Handle, nonBlocking: number): number;
  aoti_torch_item_float32(handle: Handle, out: Float32Array): number;
  aoti_torch_grad_mode_is_enabled(): boolean;
  aoti_torch_grad_mode_set_enabled(enabled: boolean): void;
  aoti_torch_aten_subtract_Tensor(self: Handle, other: Handle, alpha: number, out: BigUint64Array): number;
  aoti_torch_aten_fill__Scalar(self: Handle, value: number): number;
  aoti_torch_aten_pad(
    self: Handle,
    pad: BigInt64Array,
    length: number,
    mode: Uint8Array,
    value: Float64Array,
    out: BigUint64Array,
  ): number;
  torch_set_requires_grad(handle: Handle, value: boolean): number;
  torch_call_dispatcher(name: Uint8Array, overload: Uint8Array, stack: BigUint64Array, version: bigint): number;
  torch_new_list_reserve_size(size: number, out: BigUint64Array): number;
  torch_list_push_back(list: bigint, element: bigint): number;
  torch_list_size(list: bigint, out: BigUint64Array): number;
  torch_list_get_item(list: bigint, index: number, out: BigUint64Array): number;
  torch_delete_list(list: bigint): number;
  torch_new_string_handle(data: Uint8Array, length: number, out: BigUint64Array): number;
  torch_get_num_threads(out: Int32Array): number;
  aoti_torch_dtype_float32(): number;
  aoti_torch_dtype_bfloat16(): number;
  aoti_torch_dtype_int64(): number;
  aoti_torch_dtype_int32(): number;
  aoti_torch_dtype_uint8(): number;
  aoti_torch_dtype_bool(): number;
  aoti_torch_device_type_cpu(): number;
  aoti_torch_device_type_cuda(): number;
  aoti_torch_abi_version(): number | bigint;
}

/** C prototypes. A tensor handle travels as a 64-bit integer, so that no pointer object is made on each call. */
const prototypes: { [Name in keyof Symbols]: string } = {
  aoti_torch_new_tensor_handle: "int32_t f(uint64_t, void *)",
  aoti_torch_delete_tensor_object: "int32_t f(uint64_t)",
  aoti_torch_get_dim: "int32_t f(uint64_t, void *)",
  aoti_torch_get_size: "int32_t f(uint64_t, int64_t, void *)",
  aoti_torch_get_dtype: "int32_t f(uint64_t, void *)",
  aoti_torch_get_device_type: "int32_t f(uint64_t, void *)",
  aoti_torch_get_device_index: "int32_t f(uint64_t, void *)",
  aoti_torch_is_contiguous: "int32_t f(uint64_t, void *)",
  aoti_torch_get_data_ptr: "int32_t f(uint64_t, void *)",
  aoti_torch_empty_strided: "int32_t f(int64_t, void *, void *, int32_t, int32_t, int32_t, void *)",
  aoti_torch_zero_: "int32_t f(uint64_t)",
  aoti_torch_copy_: "int32_t f(uint64_t, uint64_t, int32_t)",
  aoti_torch_item_float32: "int32_t f(uint64_t, void *)",
  aoti_torch_grad_mode_is_enabled: "bool f()",
  aoti_torch_grad_mode_set_enabled: "void f(bool)",
  aoti_torch_aten_subtract_Tensor: "int32_t f(uint64_t, uint64_t, double, void *)",
  aoti_torch_aten_fill__Scalar: "int32_t f(uint64_t, double)",
  aoti_torch_aten_pad: "int32_t f(uint64_t, void *, int64_t, void *, void *, void *)",
  torch_set_requires_grad: "int32_t f(uint64_t, bool)",
  torch_call_dispatcher: "int32_t f(void *, void *, void *, uint64_t)",
  torch_new_list_reserve_size: "int32_t f(size_t, void *)",
  torch_list_push_back: "int32_t f(uint64_t, uint64_t)",
  torch_list_size: "int32_t f(uint64_t, void *)",
  torch_list_get_item: "int32_t f(uint64_t, size_t, void *)",
  torch_delete_list: "int32_t f(uint64_t)",
  torch_new_string_handle: "int32_t f(void *, size_t, void *)",
  torch_get_num_threads: "int32_t f(void *)",
  aoti_torch_dtype_float32: "int32_t f()",
  aoti_torch_dtype_bfloat16: "int32_t f()",
  aoti_torch_dtype_int64: "int32_t f()",
  aoti_torch_dtype_int32: "int32_t f()",
  aoti_torch_dtype_uint8: "int32_t f()",
  aoti_torch_dtype_bool: "int32_t f()",
  aoti_torch_device_type_cpu: "int32_t f()",
  aoti_torch_device_type_cuda: "int32_t f()",
  aoti_torch_abi_version: "uint64_t f()",
};

/** What libtorch must export, for `patchdrop doctor`. */
export const requiredSymbols: readonly string[] = Object.keys(prototypes);

/** The opened libtorch. There is one a process: libtorch's own state (threads, operators) is global too. */
export interface Library {
  readonly symbols: Symbols;
  /** Present when it was opened with CUDA. */
  readonly cuda: CudaSymbols | undefined;
  readonly found: FoundLibtorch;
  /** Copies bytes between an address and a typed array, either way. */
  readonly memory: {
    copyIn(address: bigint, source: ArrayBufferView, bytes: number): void;
    copyOut(target: ArrayBufferView, address: bigint, bytes: number): void;
  };
  /** A heap StableIValue, by which an optional argument is passed; the call that takes it frees it. */
  newBox(): bigint;
  /** The message of the last failure on this thread, or undefined where this version prints it on stderr instead. */
  lastError(): string | undefined;
}

let opened: Library | undefined;

/** The library, which {@link openLibtorch} must have opened before any tensor is made. */
export function library(): Library {
  if (opened === undefined) {
    throw fault("internal", {
      where: "libtorch",
      rule: "must be opened before tensors are made",
      next: "call openLibtorch first",
    });
  }
  return opened;
}

export interface OpenOptions {
  /** Threads of libtorch's own pool; the environment's OMP_NUM_THREADS, else all processors, when absent. */
  threads?: number;
  /** Also load libtorch_cuda. */
  cuda?: boolean;
}

/**
 * Loads libtorch into the process, once; later calls return what is open, and add CUDA where they ask for it.
 * @throws kind "input" when a file or symbol is missing, with the loader's own message.
 */
export function openLibtorch(found: FoundLibtorch, { threads, cuda = false }: OpenOptions = {}): Library {
  if (opened !== undefined) {
    if (cuda && opened.cuda === undefined) opened = { ...opened, cuda: loadCuda(opened.found) };
    return opened;
  }
  // Read once, when the library's thread pool starts.
  if (threads !== undefined) process.env.OMP_NUM_THREADS = String(threads);
  const c10 = loadShared(found, "libc10");
  const cpu = loadShared(found, "libtorch_cpu");
  const symbols = bindAll<Symbols>([cpu, c10], prototypes, found);
  keepLargeBlocks();
  const own = { symbols, found, memory: memoryCopies(), ...versionDependent(cpu) };
  opened = { ...own, cuda: cuda ? loadCuda(found) : undefined };
  symbols.aoti_torch_grad_mode_set_enabled(false);
  return opened;
}

type Shared = ReturnType<typeof koffi.load>;

const suffix = process.platform === "darwin" ? ".dylib" : ".so";

function loadShared(found: FoundLibtorch, name: string): Shared {
  const file = path.join(found.libDir, name + suffix);
  try {
    return koffi.load(file, { global: true, lazy: true });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const rule = existsSync(file) ? "must load" : "must exist";
    throw fault(
      "input",
      { where: file, rule, got: why, next: "run `patchdrop doctor`, then `patchdrop setup`" },
      cause,
    );
  }
}

function loadCuda(found: FoundLibtorch): CudaSymbols {
  loadShared(found, "libc10_cuda");
  // A name that is looked up in libtorch_cuda is also found in the libraries that it is linked with: the CUDA runtime.
  return bindAll<CudaSymbols>([loadShared(found, "libtorch_cuda")], cudaPrototypes, found);
}

function bindAll<S>(libraries: readonly Shared[], all: Record<keyof S & string, string>, found: FoundLibtorch): S {
  const entries = Object.entries<string>(all);
  return Object.fromEntries(
    entries.map(([name, prototype]) => [name, bind(libraries, name, prototype, found)]),
  ) as unknown as S;
}

function bind(libraries: readonly Shared[], name: string, prototype: string, found: FoundLibtorch): unknown {
  for (const shared of libraries) {
    try {
      return shared.func(prototype.replace(/\bf\(/, `${name}(`));
    } catch {
      // Looked for in the next library.
    }
  }
  throw fault("input", {
    where: `libtorch ${found.version} in ${found.libDir}`,
    rule: `must export ${name} (PyTorch 2.10 or later)`,
    next: "run `patchdrop doctor`, then `patchdrop setup`",
  });
}

const cLibrary = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";

function memoryCopies(): Library["memory"] {
  const libc = koffi.load(cLibrary);
  const toAddress = libc.func("void *memcpy(uint64_t, void *, size_t)") as (
    to: bigint,
    from: ArrayBufferView,
    n: number,
  ) => unknown;
  const fromAddress = libc.func("void *memcpy(void *, uint64_t, size_t)") as (
    to: ArrayBufferView,
    from: bigint,
    n: number,
  ) => unknown;
  return {
    copyIn(address, source, bytes) {
      toAddress(address, source, bytes);
    },
    copyOut(target, address, bytes) {
      fromAddress(target, address, bytes);
    },
  };
}

/** Two conveniences that came with 2.13; before, C++'s own `operator new` makes the box, and messages go to stderr. */
function versionDependent(cpu: Shared): Pick<Library, "newBox" | "lastError"> {
  const out = new BigUint64Array(1);
  try {
    const newValue = cpu.func("int32_t torch_new_stable_ivalue(void *)") as (out: BigUint64Array) => number;
    const what = cpu.func("const char *torch_exception_get_what_without_backtrace()") as () => string;
    return {
      newBox() {
        newValue(out);
        return out[0];
      },
      lastError: () => what(),
    };
  } catch {
    const cxx = koffi.load(process.platform === "darwin" ? "libc++.1.dylib" : "libstdc++.so.6");
    const operatorNew = cxx.func("uint64_t _Znwm(size_t)") as (bytes: number) => number | bigint;
    return { newBox: () => BigInt(operatorNew(8)), lastError: () => undefined };
  }
}
