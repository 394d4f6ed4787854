/**
 * Fetches wheels with the user's own pip, into a folder of our own. Of PyTorch only `torch` itself is asked for, and the two
 * NVIDIA packages that even a CUDA wheel's libtorch_cpu is linked with; for CUDA, everything that torch requires.
 */
import { spawn } from "node:child_process";
import { readdir, readFile, rm, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { fault, type PatchDropError } from "../errors.ts";
import { activePython } from "../native/find.ts";
import { checksumOf } from "../utils/download.ts";
import { makeMissing } from "../utils/make-missing.ts";
import { torchChecksums } from "./torch-checksums.ts";

/** What is going on, for a person to read; `done` of `total` bytes where they are known. */
export interface SetupProgress {
  readonly step: string;
  readonly done?: number;
  readonly total?: number;
}

export type OnProgress = (progress: SetupProgress) => void;

export interface PipOptions {
  version: string;
  cuda: boolean;
  env: NodeJS.ProcessEnv;
  onProgress: OnProgress;
}

/** Whether the active Python has a pip, and which version. */
export async function findPip(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { code, output } = await run(activePython(env), ["-m", "pip", "--version"], env, () => undefined);
  return code === 0 ? /^pip (\d+\.\d+)/m.exec(output)?.[1] : undefined;
}

/**
 * Installs PyTorch's wheel into the folder `target` (made here), once it is seen to be the one that is expected.
 * @throws kind "input": no pip, no such version for this Python and platform, another wheel under a known one's name;
 *   "system": network, disk.
 */
export async function installByPip(target: string, { version, cuda, env, onProgress }: PipOptions): Promise<void> {
  const pip = await findPip(env);
  if (pip === undefined) throw noPip(activePython(env));
  // pip unpacks in TMPDIR and then moves the files: on the same disk that is a rename.
  const scratch = path.join(target, ".pip");
  makeMissing(scratch);
  const pipRun = { scratch, pip, wanted: `torch ${version}`, env, onProgress };
  const into = ["install", "--target", target, "--no-compile", "--upgrade"];
  try {
    await runPip(["download", ...downloadTo(scratch), `torch==${version}`], pipRun);
    const wheel = await knownWheel(scratch, onProgress);
    await runPip([...into, ...(cuda ? [] : ["--no-deps"]), wheel], pipRun);
    const runtime = cuda ? [] : await cudaRuntimeOf(target);
    if (runtime.length > 0) await runPip([...into, "--no-deps", ...runtime], pipRun);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The wheel in `folder`, if it has the checksum of its name. One whose name is not known is taken as the index gave it. */
async function knownWheel(folder: string, onProgress: OnProgress): Promise<string> {
  const [name = "no wheel"] = (await readdir(folder)).filter((found) => found.endsWith(".whl"));
  const expected = torchChecksums[name];
  if (expected === undefined) {
    onProgress({ step: `no checksum is known here of ${name}: it is as pip's index has it` });
    return path.join(folder, name);
  }
  onProgress({ step: `checking ${name}` });
  const got = await checksumOf(path.join(folder, name), "sha256");
  if (got === expected) return path.join(folder, name);
  const next = "nothing was kept; check which index pip is set up for";
  throw fault("input", { where: name, rule: `must have the sha256 checksum ${expected}`, got, next });
}

/** A package's wheel that pip is asked for. */
export interface WheelOptions {
  package: string;
  version: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Fetches a package's wheel, as it is and without what it requires, into the folder `target`, which is there.
 * @throws as {@link installByPip}
 */
export async function downloadByPip(target: string, { package: name, version, env }: WheelOptions): Promise<void> {
  const python = activePython(env);
  if ((await findPip(env)) === undefined) throw noPip(python);
  const quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"];
  const args = ["-m", "pip", "download", ...quiet, ...downloadTo(target), `${name}==${version}`];
  const { code, output } = await run(python, args, env, () => undefined);
  if (code !== 0) throw pipFault(output, code, `${name} ${version}`);
}

/** The packages with libcudart and libcupti for the CUDA version that a wheel was built for; none for a CPU wheel. */
async function cudaRuntimeOf(target: string): Promise<string[]> {
  const text = await readFile(path.join(target, "torch", "version.py"), "utf8");
  const major = Number(/^cuda\b[^=\n]*= *["'](\d+)\./m.exec(text)?.[1] ?? Number.NaN);
  if (Number.isNaN(major)) return [];
  // Up to CUDA 12 the packages' names carry the version.
  const names = ["nvidia-cuda-runtime", "nvidia-cuda-cupti"];
  return names.map((name) => (major <= 12 ? `${name}-cu${major}` : `${name}>=${major},<${major + 1}`));
}

function downloadTo(folder: string): string[] {
  return ["--dest", folder, "--no-deps", "--only-binary", ":all:"];
}

interface PipRun {
  /** Where pip keeps what it works on. */
  scratch: string;
  pip: string;
  /** "torch 2.15.0", for errors. */
  wanted: string;
  env: NodeJS.ProcessEnv;
  onProgress: OnProgress;
}

async function runPip(command: string[], { scratch, pip, wanted, env, onProgress }: PipRun): Promise<void> {
  const [major = 0, minor = 0] = pip.split(".").map(Number);
  const hasRawProgress = major > 24 || (major === 24 && minor >= 1);
  const quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", hasRawProgress ? "raw" : "off"];
  const pipEnv = { ...env, TMPDIR: scratch, PYTHONUNBUFFERED: "1", PIP_USER: "0", LC_ALL: "C.UTF-8" };
  const progress = new PipProgress(onProgress);
  const watch = hasRawProgress ? undefined : setInterval(() => void reportGrowth(scratch, progress), 1000);
  const args = ["-m", "pip", ...command, ...quiet];
  const { code, output } = await run(activePython(env), args, pipEnv, (line) => progress.read(line));
  clearInterval(watch);
  if (code !== 0) throw pipFault(output, code, wanted);
}

/** Before 24.1 pip reports nothing to a program while it downloads; the growing file in its scratch folder shows how far it is. */
async function reportGrowth(scratch: string, progress: PipProgress): Promise<void> {
  const names = await readdir(scratch, { recursive: true }).catch(() => []);
  const wheels = names.filter((name) => name.endsWith(".whl"));
  const sizes = await Promise.all(wheels.map(async (name) => (await stat(path.join(scratch, name))).size)).catch(
    () => [],
  );
  if (sizes.length > 0) progress.received(sizes[sizes.length - 1]);
}

const unitBytes: Readonly<Record<string, number>> = { bytes: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** Turns pip's lines into progress: "Downloading torch-2.15.0-….whl (533.2 MB)", "Progress 123 of 456". */
export class PipProgress {
  #step = "asking the package index";
  #total: number | undefined;
  readonly #onProgress: OnProgress;

  constructor(onProgress: OnProgress) {
    this.#onProgress = onProgress;
    onProgress({ step: this.#step });
  }

  read(line: string): void {
    const bytes = /^Progress (\d+) of (\d+)$/.exec(line.trim());
    if (bytes !== null) {
      this.#onProgress({ step: this.#step, done: Number(bytes[1]), total: Number(bytes[2]) });
      return;
    }
    const download = /^\s*Downloading (\S+\.whl)(?: \(([\d.]+) (\w+)\))?\s*$/.exec(line);
    if (download !== null) {
      const [, file, size, unit] = download;
      const name = path.basename(file).split("-").slice(0, 2).join(" ").replaceAll("_", "-");
      this.#step = `fetching ${name}${size === undefined ? "" : ` (${size} ${unit})`}`;
      this.#total = Number(size) * (unitBytes[unit] ?? Number.NaN) || undefined;
    } else if (line.startsWith("Installing collected packages")) {
      this.#step = "unpacking";
      this.#total = undefined;
    } else return;
    this.#onProgress({ step: this.#step });
  }

  /** Bytes of the current download that have come, as seen from outside. */
  received(done: number): void {
    if (this.#total !== undefined)
      this.#onProgress({ step: this.#step, done: Math.min(done, this.#total), total: this.#total });
  }
}

/** Why pip failed to fetch `wanted`, "torch 2.15.0", from what it printed. What to do next is said for torch. */
export function pipFault(output: string, code: number | null, wanted: string): PatchDropError {
  const lastError = output.split("\n").findLast((line) => /^ERROR: /.test(line));
  const got = lastError?.slice("ERROR: ".length) ?? `exit code ${code}`;
  if (/No space left on device|Disk quota exceeded/i.test(output)) {
    const next = "free some space, or set PATCHDROP_CACHE to a folder on another disk";
    return fault("system", { where: "pip", rule: "must have enough disk space", got, next });
  }
  if (
    /Max retries exceeded|NewConnectionError|name resolution|Connection (refused|reset)|timed out|SSLError|ProxyError|Network is unreachable/i.test(
      output,
    )
  ) {
    const next =
      "check the network and pip's proxy settings, or fetch LibTorch elsewhere and run `patchdrop setup --from FILE.zip`";
    return fault("system", { where: "pip", rule: "must reach its package index", got, next });
  }
  if (/No matching distribution found/i.test(output)) {
    const offered = /\(from versions: ([^)]*)\)/.exec(output)?.[1] ?? "none";
    const rule = `${wanted} must be offered for this Python and platform`;
    const next = "choose another --torch_version or Python, or use --from archive";
    return fault("input", { where: "pip", rule, got: `versions ${offered.split(", ").slice(-8).join(", ")}`, next });
  }
  return fault("system", { where: "pip", rule: "must succeed", got, next: "try `patchdrop setup --from archive`" });
}

function noPip(python: string): PatchDropError {
  return fault("input", {
    where: `${python} -m pip`,
    rule: "must run",
    next: "install Python with pip, or run `patchdrop setup --from archive`",
  });
}

/** Only the end of the output is kept, for the error message. */
const keptLines = 400;

/** Runs a program without a shell, passing on each line of its output; `code` is null if it could not be started. */
function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  onLine: (line: string) => void,
): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve) => {
    // "/" as the working folder: `python -m` imports from the working folder first.
    const child = spawn(program, args, { cwd: "/", env, stdio: ["ignore", "pipe", "pipe"] });
    // What it was to fetch, nobody waits for any more.
    const end = () => void child.kill();
    process.once("exit", end);
    const lines: string[] = [];
    const keep = (line: string) => {
      onLine(line);
      if (/^Progress \d+ of/.test(line)) return;
      lines.push(line);
      if (lines.length > keptLines) lines.shift();
    };
    createInterface(child.stdout).on("line", keep);
    createInterface(child.stderr).on("line", keep);
    const ended = (code: number | null, output: string) => {
      process.off("exit", end);
      resolve({ code, output });
    };
    child.on("error", (error) => ended(null, error.message));
    child.on("close", (code) => ended(code, lines.join("\n")));
  });
}
