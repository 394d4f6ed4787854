/**
 * Looks at one folder and says whether it contains a libtorch that this program can use, without loading anything.
 * Two layouts are known: the `torch` package of a Python wheel (version in `version.py`) and the `libtorch` folder of
 * PyTorch's own archive (version in `build-version`); in both the libraries lie in `lib`.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { BadLibrary, readLibraryHeaders } from "./binary.ts";

/** The oldest PyTorch whose C ABI suffices, and the first major version that may change it. */
export const supportedVersions = { oldest: "2.10", below: "3" } as const;

/** A folder with a libtorch that passed every check. */
export interface LibtorchFolder {
  /** The folder that holds `lib`: the `torch` package, or `libtorch` of the archive. */
  readonly root: string;
  readonly libDir: string;
  /** PyTorch's full version, e.g. "2.15.0+cu132". */
  readonly version: string;
  /** Whether libtorch_cuda is there with the NVIDIA libraries that it needs (no GPU is looked for). */
  readonly cuda: boolean;
}

export type Inspection =
  | { readonly folder: LibtorchFolder; readonly why?: undefined }
  | { readonly folder?: undefined; readonly why: string };

const suffix = process.platform === "darwin" ? ".dylib" : ".so";
const required = ["libc10", "libtorch_cpu"] as const;

/**
 * Inspects `place`: a `torch` package, a folder with `torch` or `libtorch` in it, a `libtorch` folder, or its `lib`.
 * Never throws for what is found there; `why` is a half-sentence that names the file.
 */
export function inspectLibtorch(place: string): Inspection {
  const root = rootOf(place);
  if (root === undefined) return { why: existsSync(place) ? `holds no lib/${required[1]}${suffix}` : "does not exist" };
  const libDir = path.join(root, "lib");
  const version = readVersion(root);
  if (version === undefined) return { why: "states no version (version.py or build-version)" };
  if (!isSupported(version)) {
    return {
      why: `is PyTorch ${version}; ${supportedVersions.oldest} or newer (below ${supportedVersions.below}) is needed`,
    };
  }
  for (const name of required) {
    const why = faultOf(path.join(libDir, name + suffix));
    if (why !== undefined) return { why };
  }
  return { folder: { root, libDir, version, cuda: hasCuda(libDir) } };
}

/** Whether PyTorch's version has the C ABI that the program is written against. */
export function isSupported(version: string): boolean {
  const parts = /^(\d+)\.(\d+)\./.exec(version);
  return parts !== null && Number(parts[1]) === 2 && Number(parts[2]) >= 10;
}

function rootOf(place: string): string | undefined {
  const candidates = [place, path.join(place, "torch"), path.join(place, "libtorch")];
  if (path.basename(place) === "lib") candidates.push(path.dirname(place));
  return candidates.find((root) => existsSync(path.join(root, "lib", required[1] + suffix)));
}

function readVersion(root: string): string | undefined {
  const known: [string, RegExp][] = [
    ["version.py", /^__version__ *= *["'](\d+\.\d+\.[\w.+-]{1,60})["']/m],
    ["build-version", /^(\d+\.\d+\.[\w.+-]{1,60})\s*$/m],
  ];
  for (const [name, pattern] of known) {
    const version = pattern.exec(readStart(path.join(root, name)))?.[1];
    if (version !== undefined) return version;
  }
  return undefined;
}

/** Text of a file that should be short; empty if there is none, or it is something else. */
function readStart(file: string): string {
  const found = statSync(file, { throwIfNoEntry: false });
  return found?.isFile() && found.size < 65_536 ? readFileSync(file, "utf8") : "";
}

function hasCuda(libDir: string): boolean {
  return ["libc10_cuda", "libtorch_cuda"].every((name) => faultOf(path.join(libDir, name + suffix)) === undefined);
}

/** What is wrong with a library file, as a half-sentence, or undefined. */
function faultOf(file: string): string | undefined {
  try {
    const { needed, searchPath } = readLibraryHeaders(file);
    const folders = searchPath.map((folder) => folder.replaceAll(/\$ORIGIN|\$\{ORIGIN\}/g, path.dirname(file)));
    const missing = needed.filter((name) => isShipped(name) && !isReachable(name, [...folders, path.dirname(file)]));
    return missing.length === 0 ? undefined : `${path.basename(file)} needs ${missing.join(", ")}, not found`;
  } catch (error) {
    if (error instanceof BadLibrary) return `${path.basename(file)} ${error.message}`;
    const code = (error as NodeJS.ErrnoException).code;
    return `${path.basename(file)} ${code === "ENOENT" ? "is missing" : `cannot be read (${code ?? String(error)})`}`;
  }
}

/**
 * The libraries that come with PyTorch or, for a CUDA wheel, from its sibling packages (`nvidia/…`): a partial copy lacks
 * some. System libraries are left to the loader; libcuda is the driver, which only a machine with a GPU has.
 */
function isShipped(name: string): boolean {
  return /^lib(c10|torch|gomp|cu|nv|nccl)/.test(name) && !name.startsWith("libcuda.");
}

/** Searches as the dynamic loader does: the library's own path, LD_LIBRARY_PATH, the system's cache and folders. */
function isReachable(name: string, folders: readonly string[]): boolean {
  const fromEnv = (process.env.LD_LIBRARY_PATH ?? "").split(":").filter((folder) => folder !== "");
  if ([...folders, ...fromEnv, "/lib64", "/usr/lib64", "/usr/lib"].some((f) => existsSync(path.join(f, name))))
    return true;
  const loaderCache = "/etc/ld.so.cache";
  return existsSync(loaderCache) && readFileSync(loaderCache).includes(`\0${name}\0`);
}
