/**
 * Finds the libtorch to load: the one given explicitly, else the PyTorch of the active Python, else the one that
 * `patchdrop setup` put into the user's cache. Only looks at files; `library.ts` loads what was found.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import path from "node:path";
import { fault } from "../errors.ts";
import { cacheFolder, type Environment } from "../utils/cache-folder.ts";
import { inspectLibtorch, type LibtorchFolder, supportedVersions } from "./inspect.ts";

/** Where a libtorch was given or looked for. */
export type TorchSource = "--torch" | "PATCHDROP_TORCH" | "python" | "cache";

/** A place that was looked at, and why it was not suitable. */
export interface Attempt {
  readonly source: TorchSource;
  readonly path: string;
  /** Half-sentence whose subject is the path: "does not exist". */
  readonly why: string;
}

/** The libtorch that would be loaded, and where it was found. */
export interface FoundLibtorch extends LibtorchFolder {
  readonly source: TorchSource;
  /** The places that were looked at before, in order. */
  readonly tried: readonly Attempt[];
}

/** Where to look for libtorch. */
export interface FindOptions {
  /** `--torch`: a `torch` package, a folder that contains one, a `libtorch` folder, or its `lib`. */
  torch?: string | undefined;
  env?: Environment;
}

/**
 * Finds libtorch, or names every place that was tried.
 * @throws kind "input" if there is none; also if an explicit path is not suitable, which is never skipped silently.
 */
export function findLibtorch(options: FindOptions = {}): FoundLibtorch {
  const { found, tried } = searchLibtorch(options);
  if (found !== undefined) return found;
  const [{ source, path: place, why }] = tried;
  if (source === "--torch" || source === "PATCHDROP_TORCH") {
    throw fault("input", {
      where: source,
      rule: `must be a folder with PyTorch's or LibTorch's libraries, but ${place} ${why}`,
      next: `correct the path, or leave ${source} out and run \`patchdrop setup\``,
    });
  }
  throw fault("input", [
    {
      where: "libtorch",
      rule: `PyTorch ${supportedVersions.oldest} or newer (below ${supportedVersions.below}) must be on this machine`,
      got: `none at the ${tried.length} places tried`,
      next: "run `patchdrop setup` to fetch it, or give one with --torch PATH",
    },
    ...tried.map((attempt) => ({ where: `  ${attempt.source}`, rule: `${attempt.path} ${attempt.why}` })),
  ]);
}

/** As {@link findLibtorch}, for reports: finding nothing is not an error here. */
export function searchLibtorch({ torch, env = process.env }: FindOptions = {}): {
  found: FoundLibtorch | undefined;
  tried: readonly Attempt[];
} {
  const tried: Attempt[] = [];
  for (const { source, path: place, why: absent } of places(torch, env)) {
    const { folder, why } = absent === undefined ? inspectLibtorch(place) : { why: absent };
    if (folder !== undefined) return { found: { ...folder, source, tried }, tried };
    tried.push({ source, path: place, why });
  }
  return { found: undefined, tried };
}

/** The folder below which `patchdrop setup` keeps one libtorch a folder. */
export function libtorchCache(env: Environment = process.env): string {
  return path.join(cacheFolder(env), "libtorch");
}

/** A place to inspect, or one that is known to be unsuitable. */
type Place = Pick<Attempt, "source" | "path"> & { readonly why?: string };

/** Where to look, in order. A place that was given is the only one. */
function* places(torch: string | undefined, env: Environment): Generator<Place> {
  if (torch !== undefined) yield { source: "--torch", path: path.resolve(torch) };
  else if (env.PATCHDROP_TORCH) yield { source: "PATCHDROP_TORCH", path: path.resolve(env.PATCHDROP_TORCH) };
  else {
    yield pythonPlace(env);
    yield* cachedPlaces(env);
  }
}

/** Enough for a Python that starts from a slow disk; usually a tenth of this suffices. */
const pythonTimeoutMs = 2000;

const findTorch = `
import importlib.util
spec = importlib.util.find_spec("torch")
print(spec.origin if spec is not None and spec.origin else "")
`;

/** The `torch` package that the active Python would import (found, not imported). */
function pythonPlace(env: Environment): Place {
  const python = activePython(env);
  // "/" as the working folder: `python -c` imports from there first, and a data folder may hold anything.
  const run = spawnSync(python, ["-c", findTorch], { cwd: "/", env, encoding: "utf8", timeout: pythonTimeoutMs });
  const absent = (why: string): Place => ({ source: "python", path: python, why });
  if (run.error !== undefined) {
    const { code } = run.error as NodeJS.ErrnoException;
    if (code === "ETIMEDOUT") return absent(`did not answer within ${pythonTimeoutMs} ms`);
    return absent(code === "ENOENT" ? "is not installed" : `cannot be started (${code ?? run.error.message})`);
  }
  if (run.status !== 0) return absent(`failed with exit code ${run.status}`);
  const origin = run.stdout.trim();
  return origin === "" ? absent("has no torch package") : { source: "python", path: path.dirname(origin) };
}

/** The Python whose packages are used: the active virtual environment's, else the first on PATH. */
export function activePython(env: Environment = process.env): string {
  return env.VIRTUAL_ENV ? path.join(env.VIRTUAL_ENV, "bin", "python3") : "python3";
}

/** What `patchdrop setup` fetched, newest version first, with CUDA before without. */
function* cachedPlaces(env: Environment): Generator<Place> {
  const cache = libtorchCache(env);
  const names = listFolders(cache).filter((name) => name.endsWith(`-${process.platform}-${process.arch}`));
  if (names.length === 0) yield { source: "cache", path: cache, why: "holds nothing for this platform" };
  for (const name of names.sort(newestFirst)) yield { source: "cache", path: path.join(cache, name) };
}

function listFolders(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map(({ name }) => name);
  } catch {
    // No cache yet, or one that may not be read: either way nothing is there.
    return [];
  }
}

/** Sorts "2.9.0-…" after "2.15.0-…", and "…-cpu-…" after "…-cuda-…". */
function newestFirst(a: string, b: string): number {
  return b.localeCompare(a, "en", { numeric: true });
}
