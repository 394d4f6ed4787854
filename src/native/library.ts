/** The only place that opens libtorch: its C functions (`symbols.ts`), bound once by koffi. */
import { existsSync, realpathSync } from "node:fs";
import path from "node:path";
import { type Fault, fault } from "../errors.ts";
import { chooseThreads, refuseMoreThreads, type ThreadChoice } from "../utils/threads.ts";
import { type CudaSymbols, cudaPrototypes } from "./cuda-symbols.ts";
import type { FoundLibtorch } from "./find.ts";
import { keepLargeBlocks } from "./heap.ts";
import { koffi, type Shared } from "./koffi.ts";
import { prototypes, type Symbols } from "./symbols.ts";

/** The opened libtorch. There is one per process: libtorch's own state (threads, operators) is global too. */
export interface Library {
  readonly symbols: Symbols;
  /** Present if it was opened with CUDA. */
  readonly cuda: CudaSymbols | undefined;
  readonly found: FoundLibtorch;
  /** Of its own pool, and why so many. */
  readonly threads: number;
  readonly threadsWhy: string;
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

/** The library, if {@link openLibtorch} has opened it. */
export function openedLibtorch(): Library | undefined {
  return opened;
}

export interface OpenOptions {
  /** Threads of libtorch's own pool; absent: those it has if it is open, else as {@link chooseThreads} has it. */
  threads?: number | undefined;
  /** Also load libtorch_cuda. Tensors may still lie on the CPU. */
  cuda?: boolean;
}

/**
 * Loads libtorch into the process, once; a later call returns what is open.
 * @throws kind "input" if a file or symbol is missing, with the loader's own message; "usage" if it is open, but not as
 *   asked for: from another folder, with another number of threads, or without CUDA.
 */
export function openLibtorch(found: FoundLibtorch, { threads, cuda = false }: OpenOptions = {}): Library {
  if (opened !== undefined) {
    const faults = differences(opened, found, { threads, cuda });
    if (faults.length > 0) throw fault("usage", faults);
    return opened;
  }
  const { count, why }: ThreadChoice = threads === undefined ? chooseThreads() : { count: threads, why: "" };
  refuseMoreThreads(count, threads === undefined ? "OMP_NUM_THREADS" : "threads");
  process.env.OMP_NUM_THREADS = String(count); // read once, when the library's thread pool starts
  const c10 = loadShared(found, "libc10");
  const cpu = loadShared(found, "libtorch_cpu");
  const symbols = bindAll<Symbols>([cpu, c10], prototypes, found);
  keepLargeBlocks();
  const own = { symbols, found, threads: count, threadsWhy: why, memory: memoryCopies(), ...versionDependent(cpu) };
  opened = { ...own, cuda: cuda ? loadCuda(found) : undefined };
  symbols.aoti_torch_grad_mode_set_enabled(false);
  return opened;
}

/**
 * What can't be changed in an open libtorch. CUDA can't be added: at the first backward pass its autograd engine has counted
 * the devices and looked up their functions (torch/csrc/autograd/engine.cpp, Engine::start_device_threads).
 */
function differences(open: Library, found: FoundLibtorch, { threads, cuda }: OpenOptions): Fault[] {
  const faults: Fault[] = [];
  const [here, asked] = [open.found.libDir, found.libDir];
  if (realpathSync(here) !== realpathSync(asked)) {
    const rule = `there is one per process, and it is open from ${here}`;
    faults.push({ where: "libtorch", rule, got: asked, next: "give that one or none, or start another process" });
  }
  if (threads !== undefined && threads !== open.threads) {
    const rule = `libtorch is open with ${open.threads}, for as long as the process runs`;
    faults.push({
      where: "threads",
      rule,
      got: threads,
      next: "ask for the same number or leave it out, or start another process",
    });
  }
  if (cuda && open.cuda === undefined) {
    const rule = "libtorch is open without CUDA, which cannot be added";
    faults.push({ where: "device", rule, got: "cuda", next: "use the GPU first of all, or start another process" });
  }
  return faults;
}

const suffix = process.platform === "darwin" ? ".dylib" : ".so";

function loadShared(found: FoundLibtorch, name: string): Shared {
  const file = path.join(found.libDir, name + suffix);
  try {
    return koffi().load(file, { global: true, lazy: true });
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
  const libc = koffi().load(cLibrary);
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

/** Two conveniences that came with 2.13; in older versions C++'s `operator new` makes the box, and messages go to stderr. */
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
    const cxx = koffi().load(process.platform === "darwin" ? "libc++.1.dylib" : "libstdc++.so.6");
    const operatorNew = cxx.func("uint64_t _Znwm(size_t)") as (bytes: number) => number | bigint;
    return { newBox: () => BigInt(operatorNew(8)), lastError: () => undefined };
  }
}
