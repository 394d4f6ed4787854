/** The program as a subprocess, built from these sources: what a user meets, exit codes and streams included. */
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** Where builds go while `dist` is older than a source; modules and package.json are found from there too. */
const cache = join(root, "node_modules", ".cache", "patchdrop-e2e");
const oneHourMs = 3_600_000;

/** How long a single run may take on a machine that has other things to do. */
export const runTimeoutMs = 600_000;

/** The program's main file: of `dist`, or, where that is older than a source, of a build made here. */
function mainFile(): string {
  const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" });
  const newestMs = Math.max(...sources.map((name) => statSync(join(root, "src", name)).mtimeMs));
  const inDist = join(root, "dist", "cli", "patchdrop.js");
  if (existsSync(inDist) && statSync(inDist).mtimeMs >= newestMs) return inDist;
  const own = join(cache, String(Math.round(newestMs)));
  if (!existsSync(own)) makeBuild(own);
  return join(own, "dist", "cli", "patchdrop.js");
}

/** Compiles into the folder `target`. Types are not checked here: `npm run typecheck` does. */
function makeBuild(target: string): void {
  mkdirSync(cache, { recursive: true });
  removeOldBuilds();
  const folder = mkdtempSync(join(cache, "unfinished-"));
  const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
  const given = [compiler, "-p", join(root, "tsconfig.build.json"), "--noCheck", "--outDir", join(folder, "dist")];
  const { status, stdout } = spawnSync(process.execPath, given, { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`tsc failed: ${stdout}`);
  execFileSync(process.execPath, [join(root, "scripts", "write-flags.mjs"), join(folder, "dist")]);
  const { files } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { files: string[] };
  // A package always has its LICENSE.
  for (const needed of [
    "package.json",
    "LICENSE",
    ...files.filter((name) => name !== "dist" && !name.startsWith("!") && existsSync(join(root, name))),
  ]) {
    cpSync(join(root, needed), join(folder, needed), { recursive: true });
  }
  try {
    renameSync(folder, target);
  } catch (error) {
    // Another test file has made the same build meanwhile.
    if (!existsSync(target)) throw error;
    rmSync(folder, { recursive: true });
  }
}

/** A younger one may still be running for another test file, and an unfinished one may be renamed at any time. */
function removeOldBuilds(): void {
  for (const name of readdirSync(cache)) {
    const madeMs = statSync(join(cache, name), { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (madeMs < Date.now() - oneHourMs) rmSync(join(cache, name), { recursive: true, force: true });
  }
}

const main = mainFile();
/** The folder that a package is made of: package.json and all that it lists. */
export const packageFolder = join(main, "..", "..", "..");

/** The user's cache is left alone; libtorch is the one that a user's command would find. */
const environment = {
  ...process.env,
  PATCHDROP_CACHE: mkdtempSync(join(tmpdir(), "patchdrop-e2e-cache-")),
  PATCHDROP_TORCH: findLibtorch().root,
};
afterAll(() => rmSync(environment.PATCHDROP_CACHE, { recursive: true, force: true }));

export interface Ended {
  /** Exit code; null where a signal ended the process. */
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  /** Without the lines of progress that a slow machine prints now and then. */
  stderr: string;
}

/**
 * What a shell says of a process that ended. SIGHUP ends the process itself, unless whoever started the tests ignores it (nohup):
 * then it ends with the same code.
 */
export function shellCode({ code, signal }: Ended): number | null {
  return signal === null ? code : 128 + constants.signals[signal];
}

/** A process of the program that is under way. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

const progressLines = /^[^\n]+: \d+ % · [^\n]*\n/gm;

/** Flags of a training of small batches on the scenes' model, which takes seconds. */
export const quickTraining = (epochs: number): readonly string[] => [
  ...[
    "--model",
    "R8_Scenes",
    "--batch_size",
    "8",
    "--max_epochs",
    String(epochs),
    "--threads",
    "1",
    "--precision",
    "fp32",
  ],
];

/** Node with the program, as a launcher such as mpirun is told to start it. */
export const programCommand: readonly string[] = [process.execPath, main];

/** Starts `patchdrop …`. */
export function start(args: readonly string[], env: Record<string, string> = {}): Running {
  return startCommand([...programCommand, ...args], env);
}

/** Starts any command, as {@link start} does. */
export function startCommand([command, ...args]: readonly string[], env: Record<string, string> = {}): Running {
  const child = spawn(command, args, {
    env: { ...environment, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: runTimeoutMs,
    killSignal: "SIGKILL",
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) =>
      resolve({ code, signal, stdout, stderr: stderr.replaceAll(progressLines, "") }),
    );
  });
  return { child, ended };
}

/** Runs `patchdrop …` to its end. */
export function patchdrop(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return start(args, env).ended;
}

/** Runs it and fails with what it said unless it exits with 0. */
export async function succeed(args: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const ended = await patchdrop(args, env);
  if (ended.code !== 0)
    throw new Error(`patchdrop ${args.join(" ")} ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
  return ended;
}

/** The command line that runs the program in a shell, quoted. */
export const shellCommand = `'${process.execPath}' '${main}'`;
export const shellEnvironment: NodeJS.ProcessEnv = environment;

/** Resolves as soon as `condition` holds, looking every 2 ms; rejects where it does not within `timeoutMs`. */
export async function until(condition: () => boolean, timeoutMs = runTimeoutMs): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`still not so after ${timeoutMs} ms: ${String(condition)}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
