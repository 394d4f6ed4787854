/**
 * `patchdrop setup`: puts a libtorch into the user's cache, once. It is fetched into a temporary folder, checked as
 * `findLibtorch` checks, and only then renamed, so that a folder with its final name is complete.
 */
import { readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fault, PatchDropError } from "../errors.ts";
import { withLock } from "../files/lock.ts";
import { type FoundLibtorch, findLibtorch, libtorchCache, searchLibtorch } from "../native/find.ts";
import { inspectLibtorch, isSupported, type LibtorchFolder, supportedVersions } from "../native/inspect.ts";
import { makeMissing } from "../utils/make-missing.ts";
import { findPip, installByPip, type OnProgress } from "./pip.ts";
import { archiveUrl, bringFrom, originOf } from "./sources.ts";
import { requireSpace } from "./space.ts";

/** The PyTorch that is fetched unless another is asked for: the newest that the tests run with. */
const defaultTorchVersion = "2.15.0";

export interface SetupOptions {
  /** PyTorch's version, "2.15.0"; when absent, any supported one. */
  version?: string;
  /** Whether libtorch_cuda with all NVIDIA libraries is wanted. */
  cuda?: boolean;
  /**
   * `pip`, `archive` (PyTorch's own), a zip file, a folder, or an http(s) address. When absent, what is on the machine is
   * used if it is suitable; otherwise pip, or the archive if there is no pip.
   */
  from?: string;
  /** An installation to use as it is; as `--torch` of the other commands. */
  torch?: string;
  env?: NodeJS.ProcessEnv;
  onProgress?: OnProgress;
}

export interface SetupResult {
  readonly found: FoundLibtorch;
  /** False if it was already there. */
  readonly fetched: boolean;
  /** What `findLibtorch` takes nevertheless, since it comes first; undefined if that is `found` itself. */
  readonly shadowedBy: FoundLibtorch | undefined;
}

type Wanted = Required<Pick<SetupOptions, "cuda" | "env" | "onProgress">> & SetupOptions;

/**
 * Makes sure that there is a libtorch, fetching one if needed.
 * @throws kind "usage": options; "input": what was named or fetched is not suitable; "system": network, disk;
 *   "unsafe", "resource": an archive that is refused.
 */
export async function setupLibtorch(options: SetupOptions = {}): Promise<SetupResult> {
  const wanted: Wanted = { cuda: false, env: process.env, onProgress: () => undefined, ...options };
  checkOptions(wanted);
  if (wanted.from === undefined) {
    const found = alreadyThere(wanted);
    if (found !== undefined) return { found, fetched: false, shadowedBy: undefined };
  }
  const cache = libtorchCache(wanted.env);
  const from = wanted.from ?? ((await findPip(wanted.env)) === undefined ? "archive" : "pip");
  const origin = from === "pip" || from === "archive" ? from : await originOf(from);
  makeFolder(cache);
  const lock = path.join(cache, ".lock");
  const onWait = (who: string) =>
    wanted.onProgress({ step: `waiting for another \`patchdrop setup\` (${who}, by ${lock})` });
  const work = async () => {
    const there = await alreadyFetched(cache, wanted, origin);
    const folder = there ?? (await fetchInto(cache, wanted, from, origin));
    const first = searchLibtorch({ env: wanted.env }).found;
    const found: FoundLibtorch = { ...folder, source: "cache", tried: [] };
    return { found, fetched: there === undefined, shadowedBy: first?.root === folder.root ? undefined : first };
  };
  return withLock(lock, work, { onWait });
}

function checkOptions({ version, from, torch }: Wanted): void {
  if (version !== undefined && !(/^\d+\.\d+\.\d+$/.test(version) && isSupported(version))) {
    const { oldest, below } = supportedVersions;
    const rule = `must be a PyTorch version such as ${defaultTorchVersion}, ${oldest} or newer, below ${below}`;
    throw fault("usage", { where: "--torch_version", rule, got: version });
  }
  if (from !== undefined && torch !== undefined) {
    const rule = "can't be combined with --torch: --from fetches a libtorch, --torch uses one that is there";
    throw fault("usage", { where: "--from", rule });
  }
}

/** What `findLibtorch` finds, if it is suitable. If an explicit path is not, that is an error. */
function alreadyThere(wanted: Wanted): FoundLibtorch | undefined {
  const isExplicit = wanted.torch !== undefined || Boolean(wanted.env.PATCHDROP_TORCH);
  try {
    const found = findLibtorch({ torch: wanted.torch, env: wanted.env });
    const why = shortcoming(found, wanted);
    if (why === undefined) return found;
    if (isExplicit) throw fault("input", { where: found.source, rule: `${found.root} ${why}` });
  } catch (error) {
    if (isExplicit || !(error instanceof PatchDropError)) throw error;
  }
  return undefined;
}

/** Why a libtorch that works is not the wanted one, as a half-sentence. */
function shortcoming(folder: LibtorchFolder, { version, cuda }: Wanted): string | undefined {
  if (version !== undefined && baseVersion(folder.version) !== version) return `is ${folder.version}, not ${version}`;
  if (cuda && !folder.cuda) return "has no CUDA libraries, or not all of them";
  return undefined;
}

/** "2.15.0" of "2.15.0+cu132". */
function baseVersion(version: string): string {
  return version.split("+", 1)[0];
}

/** What an earlier setup made from the same source, if it is still complete. */
async function alreadyFetched(cache: string, wanted: Wanted, origin: string): Promise<LibtorchFolder | undefined> {
  const isNamed = origin === "pip" || origin === "archive";
  const { version = defaultTorchVersion, cuda } = wanted;
  const candidates = isNamed ? [folderName(version, cuda)] : await foldersFrom(cache, origin);
  for (const name of candidates) {
    const { folder } = inspectLibtorch(path.join(cache, name));
    if (folder !== undefined && shortcoming(folder, wanted) === undefined) return folder;
  }
  return undefined;
}

function folderName(version: string, cuda: boolean): string {
  return `${version}-${cuda ? "cuda" : "cpu"}-${process.platform}-${process.arch}`;
}

/** A file in each folder of the cache that says where it came from. */
const originFile = "origin.txt";

async function foldersFrom(cache: string, origin: string): Promise<string[]> {
  const names = (await readdir(cache)).filter((name) => !name.startsWith("."));
  const origins = await Promise.all(
    names.map((name) => readFile(path.join(cache, name, originFile), "utf8").catch(() => "")),
  );
  return names.filter((_, i) => origins[i] === origin);
}

async function fetchInto(cache: string, wanted: Wanted, from: string, origin: string): Promise<LibtorchFolder> {
  // Under the lock no other setup is running: whatever is temporary was left by one that was stopped.
  const leftovers = (await readdir(cache)).filter((name) => name.startsWith(temporaryPrefix));
  for (const name of leftovers) await rm(path.join(cache, name), { recursive: true, force: true });
  const temporary = path.join(cache, `${temporaryPrefix}${process.pid}`);
  try {
    await bring(from, temporary, wanted);
    wanted.onProgress({ step: "checking" });
    const folder = checkFetched(temporary, from, wanted);
    await writeFile(path.join(temporary, originFile), origin);
    return await giveName(cache, temporary, folder);
  } catch (error) {
    throw error instanceof PatchDropError ? error : diskFault(cache, error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

const temporaryPrefix = ".temporary-";

/** Free bytes that fetching takes at its peak: the packed and the unpacked files (measured with 2.15.0, rounded up). */
const neededBytes = { cpu: 2e9, cuda: 9e9 } as const;

async function bring(
  from: string,
  target: string,
  { version = defaultTorchVersion, ...wanted }: Wanted,
): Promise<void> {
  const { cuda, env, onProgress } = wanted;
  if (from !== "pip" && from !== "archive") return bringFrom(from, target, onProgress);
  await requireSpace(path.dirname(target), cuda ? neededBytes.cuda : neededBytes.cpu);
  if (from === "pip") return installByPip(target, { version, cuda, env, onProgress });
  return bringFrom(archiveUrl(version, cuda), target, onProgress);
}

function checkFetched(temporary: string, from: string, wanted: Wanted): LibtorchFolder {
  const { folder, why } = inspectLibtorch(temporary);
  const wrong = folder === undefined ? why : shortcoming(folder, wanted);
  if (folder !== undefined && wrong === undefined) return folder;
  const next = "nothing was kept; choose another source with --from";
  throw fault("input", { where: from, rule: `must hold a whole libtorch for this machine, but it ${wrong}`, next });
}

/** Renames the finished folder. One that already has the name is broken or the same, and is replaced. */
async function giveName(cache: string, temporary: string, fetched: LibtorchFolder): Promise<LibtorchFolder> {
  const place = path.join(cache, folderName(baseVersion(fetched.version), fetched.cuda));
  const aside = `${temporary}-old`;
  await rename(place, aside).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  await rename(temporary, place);
  await rm(aside, { recursive: true, force: true });
  const { folder } = inspectLibtorch(place);
  if (folder === undefined)
    throw fault("internal", { where: place, rule: "must be what was checked before the rename" });
  return folder;
}

function makeFolder(folder: string): void {
  try {
    makeMissing(folder);
  } catch (error) {
    throw diskFault(folder, error);
  }
}

function diskFault(folder: string, error: unknown): PatchDropError {
  const got = error instanceof Error ? error.message : error;
  const next = "check its permissions and free space, or set PATCHDROP_CACHE to another folder";
  return fault("system", { where: folder, rule: "must be writable", got, next }, error);
}
