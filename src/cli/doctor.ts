/** `patchdrop doctor`: what is on this machine, what is missing, and what to do about it. */
import { Command } from "@commander-js/extra-typings";
import { exitCodes } from "../errors.ts";
import type { MachineReport, Report } from "../setup/examine.ts";
import { version } from "../utils/version.ts";

const about = [
  "Report what PatchDrop finds on this machine: libtorch and every place that was tried, the functions that it must export,",
  `processor, memory, GPU. Exit code 0 when training on the CPU would work, else ${exitCodes.input}.`,
].join(" ");

const examples = `
Examples:
  patchdrop doctor
  patchdrop doctor --torch ~/venv/lib/python3.12/site-packages --json`;

/** The subcommand; what it needs is loaded when it runs. */
export function doctorCommand() {
  return new Command("doctor")
    .summary("Report what PatchDrop finds on this machine, what is missing, and what to do about it.")
    .description(about)
    .option("--torch <path>", "examine the PyTorch in this folder")
    .option("--json", "print the report as JSON")
    .addHelpText("after", examples)
    .action(async ({ torch, json }) => {
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
  const verdict = report.ready ? "Training on the CPU will work." : "Training will not work yet.";
  return [...lines, "", ...report.advice.map((sentence) => `→ ${sentence}`), verdict].join("\n");
}

type Row = [label: string, value: string];

function machineRows({ platform, node, processor, features, precision, threads, memory, gpu }: MachineReport): Row[] {
  const gibibytes = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  return [
    ["Node", `${node} on ${platform}`],
    ["processor", `${processor}; ${features.length > 0 ? features.join(" ") : "features unknown"}`],
    ["precision", `${precision} unless told otherwise`],
    ["threads", String(threads)],
    ["memory", `${gibibytes(memory.availableBytes)} of ${gibibytes(memory.totalBytes)} GiB available`],
    ...(gpu.described.length > 0 ? gpu.described : [gpu.devices.join(" ") || "none"]).map((line): Row => ["GPU", line]),
  ];
}

function libtorchRows({ tried, found, probe }: Report): Row[] {
  const rows: Row[] = tried.map(({ source, path, why }) => ["tried", `${source}: ${path} ${why}`]);
  if (found === undefined) return [...rows, ["libtorch", "not found"]];
  rows.push(["libtorch", `${found.version}, ${found.source}: ${found.root}`]);
  rows.push(["CUDA", found.cuda ? "libtorch_cuda is there" : "no libtorch_cuda, or not all that it needs"]);
  if (probe?.loadError !== undefined) rows.push(["loading", probe.loadError]);
  const symbols = probe?.symbols ?? [];
  const missing = symbols.filter(({ present }) => !present);
  if (symbols.length > 0) rows.push(["functions", `${symbols.length - missing.length} of ${symbols.length} present`]);
  for (const { name } of missing) rows.push(["missing", name]);
  return rows;
}
