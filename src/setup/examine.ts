/** What `patchdrop doctor` reports: the machine, the libtorch that would be used, and what to do if something is missing. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import { type Attempt, type FoundLibtorch, searchLibtorch } from "../native/find.ts";
import { type GpuList, isDriverTooOld, listGpus } from "../native/gpus.ts";
import { openMpiVersion } from "../native/mpi.ts";
import { ncclVersion } from "../native/nccl.ts";
import { type Probe, probeCuda, probeLibtorch } from "../native/probe.ts";
import { type CpuFeature, cpuFeatures, defaultPrecision, processorName } from "../utils/cpu.ts";
import { chooseThreads } from "../utils/threads.ts";

export interface MachineReport {
  readonly platform: string;
  readonly node: string;
  readonly processor: string;
  readonly features: readonly CpuFeature[];
  readonly precision: "bf16" | "fp32";
  /** Threads that libtorch will use, and why; see `chooseThreads` of utils/threads.ts. */
  readonly threads: number;
  readonly threadsWhy: string;
  readonly memory: { readonly totalBytes: number; readonly availableBytes: number };
  readonly gpu: GpuReport;
  /** The version of Open MPI, which training on many ranks needs; undefined where there is none. */
  readonly openMpi: string | undefined;
}

export interface GpuReport {
  /** Device files of NVIDIA's driver, e.g. "/dev/nvidia0". */
  readonly devices: readonly string[];
  /** One line per GPU from nvidia-smi (name, memory, driver); empty if it is absent or does not answer. */
  readonly described: readonly string[];
  /** What the driver itself says: the GPUs that a program can use, or why there is none. */
  readonly usable: GpuList;
}

export interface Report {
  readonly machine: MachineReport;
  readonly tried: readonly Attempt[];
  readonly found: FoundLibtorch | undefined;
  readonly probe: Probe | undefined;
  /** Of libtorch_cuda, if it is there. */
  readonly cudaProbe: Probe | undefined;
  /** The version of NCCL, which training on many GPUs needs; undefined where libtorch has no CUDA, or CUDA no NCCL. */
  readonly nccl: string | undefined;
  /** Whether training on the CPU would work. */
  readonly ready: boolean;
  /** Whether it would with `--device cuda` too. */
  readonly cudaReady: boolean;
  /** What to do about what is missing, one sentence each. */
  readonly advice: readonly string[];
}

/** Examines machine and libtorch; takes about a second. It loads libtorch, so call it last in a process. */
export async function examine(options: { torch?: string; env?: NodeJS.ProcessEnv } = {}): Promise<Report> {
  const { found, tried } = searchLibtorch(options);
  const machine = await examineMachine(options.env);
  const probe = found === undefined ? undefined : probeLibtorch(found);
  const ready = isWhole(probe);
  const cudaProbe = ready && found?.cuda ? probeCuda(found) : undefined;
  const cudaReady = isWhole(cudaProbe) && machine.gpu.usable.gpus.length > 0;
  const nccl = found !== undefined && isWhole(cudaProbe) ? ncclVersion(found) : undefined;
  const advice = adviceFor({ machine, found, probe, cudaProbe });
  return { machine, tried, found, probe, cudaProbe, nccl, ready, cudaReady, advice };
}

/** Whether a library loaded and has every function. */
function isWhole(probe: Probe | undefined): boolean {
  return probe !== undefined && probe.loadError === undefined && probe.symbols.every(({ present }) => present);
}

async function examineMachine(env: NodeJS.ProcessEnv = process.env): Promise<MachineReport> {
  const features = cpuFeatures();
  return {
    platform: `${process.platform}-${process.arch}`,
    node: process.versions.node,
    processor: processorName(),
    features,
    precision: defaultPrecision(),
    ...threadsHere(env),
    memory: { totalBytes: os.totalmem(), availableBytes: availableMemory() },
    gpu: { devices: nvidiaDevices(), described: await describeGpus(), usable: listGpus() },
    openMpi: openMpiVersion(),
  };
}

function threadsHere(env: NodeJS.ProcessEnv): Pick<MachineReport, "threads" | "threadsWhy"> {
  const { count: threads, why } = chooseThreads(env);
  return { threads, threadsWhy: why === "" ? "as OMP_NUM_THREADS says" : why };
}

/** Memory that a new process could use without swapping; `os.freemem` omits what the file cache would give back. */
function availableMemory(): number {
  try {
    const kilobytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // Not Linux.
  }
  return os.freemem();
}

function nvidiaDevices(): string[] {
  try {
    return readdirSync("/dev")
      .filter((name) => /^nvidia\d+$/.test(name))
      .map((name) => `/dev/${name}`);
  } catch {
    return [];
  }
}

const smiTimeoutMs = 1000;

function describeGpus(): Promise<string[]> {
  const query = ["--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"];
  return new Promise((resolve) => {
    execFile("nvidia-smi", query, { timeout: smiTimeoutMs }, (error, stdout) => {
      resolve(error === null ? stdout.trim().split("\n") : []);
    });
  });
}

/** What to do, in the order in which it should be done. */
export function adviceFor({ found, probe, cudaProbe, machine }: AdviceInput): string[] {
  if (found === undefined) return ["Run `patchdrop setup` to fetch libtorch, or give a PyTorch with --torch PATH."];
  const advice: string[] = [];
  if (probe?.loadError !== undefined) advice.push(`This libtorch does not load: ${remedyFor(found)}.`);
  const missing = probe?.symbols.filter(({ present }) => !present) ?? [];
  if (missing.length > 0) advice.push(`This libtorch lacks ${missing.length} needed functions: ${remedyFor(found)}.`);
  const { devices, usable } = machine.gpu;
  if (devices.length + usable.gpus.length === 0) return advice;
  if (!found.cuda) {
    advice.push("A GPU is here, but this libtorch cannot use it: run `patchdrop setup --cuda` for --device cuda.");
  } else if (cudaProbe !== undefined && !isWhole(cudaProbe)) {
    advice.push(`This libtorch cannot use the GPU that is here, though it has CUDA's libraries: ${remedyFor(found)}.`);
  }
  if (found.cuda && isDriverTooOld(found.version, usable)) {
    advice.push(
      `The driver supports CUDA ${usable.driver}, but libtorch ${found.version} needs a newer one: update NVIDIA's driver.`,
    );
  }
  return advice;
}

type AdviceInput = Pick<Report, "found" | "probe"> &
  Partial<Pick<Report, "cudaProbe">> & { readonly machine: Pick<MachineReport, "gpu"> };

function remedyFor({ source, root }: FoundLibtorch): string {
  if (source === "cache") return `delete ${root} and run \`patchdrop setup\``;
  return "reinstall it, or run `patchdrop setup --from pip` and give the folder that it prints with --torch";
}
