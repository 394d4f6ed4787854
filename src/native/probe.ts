/** Checks whether a libtorch loads and exports what this program calls, without opening it for use: for the doctor. */
import path from "node:path";
import { requiredCudaSymbols } from "./cuda-symbols.ts";
import type { LibtorchFolder } from "./inspect.ts";
import { koffi, type Shared } from "./koffi.ts";
import { requiredSymbols } from "./symbols.ts";

export interface SymbolProbe {
  readonly name: string;
  readonly present: boolean;
}

export interface Probe {
  /** The loader's message if a library does not load; then nothing is known about the symbols. */
  readonly loadError?: string;
  readonly symbols: readonly SymbolProbe[];
}

/** Loads libc10 and libtorch_cpu and looks up every symbol that is needed. Takes half a second. */
export function probeLibtorch({ libDir }: Pick<LibtorchFolder, "libDir">): Probe {
  return probe(libDir, ["libc10", "libtorch_cpu"], requiredSymbols);
}

/** The same for what `--device cuda` needs in addition; call it after {@link probeLibtorch}. */
export function probeCuda({ libDir }: Pick<LibtorchFolder, "libDir">): Probe {
  return probe(libDir, ["libc10_cuda", "libtorch_cuda"], requiredCudaSymbols);
}

function probe(libDir: string, names: readonly string[], required: readonly string[]): Probe {
  const libraries: Shared[] = [];
  for (const name of names) {
    const file = name + (process.platform === "darwin" ? ".dylib" : ".so");
    try {
      libraries.push(koffi().load(path.join(libDir, file), { global: true, lazy: true }));
    } catch (error) {
      return { loadError: `${file}: ${error instanceof Error ? error.message : String(error)}`, symbols: [] };
    }
  }
  const isExported = (name: string) => libraries.some((shared) => exportsSymbol(shared, name));
  return { symbols: required.map((name) => ({ name, present: isExported(name) })) };
}

function exportsSymbol(shared: Shared, name: string): boolean {
  try {
    shared.symbol(name);
    return true;
  } catch {
    // koffi throws when there is no such symbol.
    return false;
  }
}
