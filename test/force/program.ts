/** The built program as a process that can be cut. */
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findLibtorch } from "../../src/native/find.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const main = join(root, "dist", "cli", "main.js");

const newest = (folder: string) =>
  Math.max(
    ...readdirSync(folder, { recursive: true, encoding: "utf8" }).map((name) => statSync(join(folder, name)).mtimeMs),
  );

/** Tells one build from another. Throws where a source is newer than the build. */
export function buildStamp(): string {
  const builtMs = statSync(main).mtimeMs;
  if (builtMs < newest(join(root, "src"))) throw new Error("dist/ is older than src/: npm run build");
  return String(Math.round(builtMs));
}

export interface Ended {
  /** Null where a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Open MPI asks whoever is root whether it is meant. */
const rootMay = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };
const environment = { ...process.env, ...rootMay, PATCHDROP_TORCH: findLibtorch().root };
const program = [process.execPath, main];

/** Starts `patchdrop …`; `limitMs` after that it is killed. */
export function start(args: readonly string[], limitMs?: number): Started {
  return startCommand([...program, ...args], limitMs);
}

/** Starts `mpirun … patchdrop …`, whose children are the ranks. */
export function startRanks(ranks: number, args: readonly string[]): Started {
  return startCommand(["mpirun", "--oversubscribe", "--bind-to", "none", "-n", String(ranks), ...program, ...args]);
}

function startCommand([command, ...args]: readonly string[], limitMs = 600_000): Started {
  const began = performance.now();
  const options = { env: environment, timeout: limitMs, killSignal: "SIGKILL" } as const;
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, stdout, stderr, ms: performance.now() - began }));
  });
  return { child, ended };
}

/** Runs it to its end. Throws what it said unless it exits with 0. */
export async function succeed(args: readonly string[]): Promise<Ended> {
  const ended = await start(args).ended;
  if (ended.code === 0) return ended;
  throw new Error(`patchdrop ${args.join(" ")} ended with ${ended.code ?? ended.signal}: ${ended.stderr}`);
}
