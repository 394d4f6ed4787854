/** `patchdrop doctor`: what is on this machine, what is missing, and what to do about it. */
import { Command } from "commander";
import { exitCodes } from "../errors.ts";
import type { MachineReport, Report } from "../setup/examine.ts";
import { version } from "../utils/version.ts";
import { addExamples } from "./command-examples.ts";

const about = [
  "Report what PatchDrop finds on this machine: libtorch, every place that was tried, the functions that it must export,",
  `processor, memory, GPU. Exit code 0 if training on the CPU would work, else ${exitCodes.input}.`,
].join(" ");

const examples = ["patchdrop doctor", "patchdrop doctor --torch ~/venv/lib/python3.12/site-packages --json"];

/** The subcommand; what it needs is loaded when it runs. */
export function doctorCommand(): Command {
  const command = new Command("doctor")
    .summary("Report what PatchDrop finds on this machine, what is missing, and what to do about it.")
    .description(about)
    .option("--torch <folder>", "examine the PyTorch in this folder")
    .option("--json", "print the report as JSON");
  return addExamples(command, examples).action(async ({ torch, json = false }: { torch?: string; json?: boolean }) => {
    const { examine } = await import("../setup/examine.ts");
    const report = await examine({ torch });
    const text = json ? JSON.stringify({ version: version(), ...report }, undefined, 2) : formatReport(report);
    process.stdout.write(`${text}\n`);
    if (!report.ready) process.exitCode = exitCodes.input;
  });
}

/** The report as aligned lines, the advice and the verdict last. */
export function formatReport(report: Report): string {
  const rows = [["PatchDrop", version()], ...machineRows(report.machine), ...libtorchRows(report)];
  const width = Math.max(...rows.map(([label]) => label.length));
  const lines = rows.map(([label, value]) => `${label.padEnd(width)}  ${value}`);
  return [...lines, "", ...report.advice.map((sentence) => `→ ${sentence}`), verdict(report)].join("\n");
}

function verdict({ ready, cudaReady }: Report): string {
  if (!ready) return "Training will not work yet.";
  return cudaReady ? "Training will work, on the CPU and with --device cuda." : "Training on the CPU will work.";
}

type Row = [label: string, value: string];

function machineRows({
  platform,
  node,
  processor,
  features,
  precision,
  threads,
  threadsWhy,
  memory,
  gpu,
  openMpi,
}: MachineReport): Row[] {
  return [
    ["Node", `${node} on ${platform}`],
    ["processor", `${processor}; ${features.length > 0 ? features.join(" ") : "features unknown"}`],
    ["precision", `${precision} by default`],
    ["threads", `${threads}, ${threadsWhy}`],
    ["memory", `${gibibytes(memory.availableBytes)} of ${gibibytes(memory.totalBytes)} GiB available`],
    ...gpuLines(gpu).map((line): Row => ["GPU", line]),
    ["many ranks", openMpi === undefined ? "not here: no Open MPI" : `by mpirun, Open MPI ${openMpi}`],
  ];
}

const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(1);

/** What the driver says; if it says nothing, what else can be seen of a GPU, and why it cannot be used. */
function gpuLines({ devices, described, usable: { gpus, driver, why } }: MachineReport["gpu"]): string[] {
  if (gpus.length > 0) {
    return gpus.map(({ name, memoryBytes, computeCapability }, number) => {
      const use = `--device cuda:${number}`;
      return `${name}, ${gibibytes(memoryBytes)} GiB, compute ${computeCapability}, driver for CUDA ${driver}: ${use}`;
    });
  }
  const seen = described.length > 0 ? described : [devices.join(" ")].filter((line) => line !== "");
  return seen.length > 0 ? seen.map((line) => `${line} (not usable: ${why})`) : [`none: ${why}`];
}

function libtorchRows(report: Report): Row[] {
  const { tried, found, probe } = report;
  const rows: Row[] = tried.map(({ source, path, why }) => ["tried", `${source}: ${path} ${why}`]);
  if (found === undefined) return [...rows, ["libtorch", "not found"]];
  rows.push(["libtorch", `${found.version}, ${found.source}: ${found.root}`]);
  rows.push(["CUDA", found.cuda ? "libtorch_cuda is there" : "no libtorch_cuda, or some of its libraries are missing"]);
  if (probe?.loadError !== undefined) rows.push(["loading", probe.loadError]);
  const symbols = probe?.symbols ?? [];
  const missing = symbols.filter(({ present }) => !present);
  if (symbols.length > 0) rows.push(["functions", `${symbols.length - missing.length} of ${symbols.length} present`]);
  for (const { name } of missing) rows.push(["missing", name]);
  return [...rows, ...cudaRows(report)];
}

function cudaRows({ found, cudaProbe, nccl }: Report): Row[] {
  if (cudaProbe === undefined) {
    return found?.cuda === false
      ? [["many GPUs", "not here: NCCL comes with CUDA, which this libtorch does not have"]]
      : [];
  }
  const { loadError, symbols } = cudaProbe;
  if (loadError !== undefined) return [["CUDA loading", loadError]];
  const missing = symbols.filter(({ present }) => !present);
  const present = `${symbols.length - missing.length} of ${symbols.length} present`;
  const many =
    nccl === undefined
      ? "not here: this libtorch_cuda has no NCCL; use that of `patchdrop setup --cuda`, without --torch"
      : `by NCCL ${nccl}, which comes with it`;
  return [["CUDA functions", present], ...missing.map(({ name }): Row => ["CUDA missing", name]), ["many GPUs", many]];
}
