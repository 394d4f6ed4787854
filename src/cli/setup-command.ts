/** `patchdrop setup`: fetches libtorch once, or says which one is used. */
import { Command } from "commander";
import type { SetupProgress } from "../setup/pip.ts";
import { stopSignals } from "../utils/reporter.ts";
import { addExamples } from "./command-examples.ts";
import { endBy } from "./exit.ts";

const summary = "Fetch libtorch (PyTorch's C++ library), once, into the user's cache.";

const about = [
  summary,
  "",
  [
    "If a suitable PyTorch is already here (--torch, PATCHDROP_TORCH, the active Python, the cache), nothing is",
    "downloaded. Otherwise pip fetches PyTorch's wheel (0.5 GB; 3 GB with --cuda), or, if there is no pip,",
    "PyTorch's own archive is downloaded. A wheel that is known here by its checksum must have it. The cache is $PATCHDROP_CACHE, else the platform's own place (~/.cache/patchdrop).",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop setup                              # what most other commands need",
  "patchdrop setup --cuda                       # also for --device cuda",
  "patchdrop setup --from libtorch-2.15.0.zip   # on a machine without a network",
];

interface SetupFlags {
  from?: string;
  cuda?: boolean;
  torch?: string;
  torch_version?: string;
}

/** The subcommand; what it needs is loaded when it runs. */
export function setupCommand(): Command {
  const command = new Command("setup")
    .summary(summary)
    .description(about)
    .option("--from <source>", "pip, archive, a zip file, a folder, or an http(s) address (default: whichever works)")
    .option("--cuda", "with libtorch_cuda and the NVIDIA libraries that it needs")
    .option(
      "--torch_version <version>",
      "PyTorch version to fetch (default: any suitable one that is here, else 2.15.0)",
    )
    .option("--torch <folder>", "use the PyTorch in this folder, and only check it");
  return addExamples(command, examples).action(async ({ torch_version: torchVersion, ...options }: SetupFlags) => {
    const { setupLibtorch } = await import("../setup/setup.ts");
    // In an orderly way, so that pip ends too; what was fetched so far is removed by the next setup.
    for (const signal of stopSignals) process.on(signal, () => endBy(signal));
    const show = progressPrinter(process.stderr);
    const { found, fetched, shadowedBy } = await setupLibtorch({
      ...options,
      version: torchVersion,
      onProgress: show.update,
    });
    show.end();
    const how = fetched ? "fetched" : `already there (${found.source})`;
    process.stdout.write(`libtorch ${found.version}${found.cuda ? " with CUDA" : ""}, ${how}: ${found.root}\n`);
    if (shadowedBy !== undefined) {
      const first = `${shadowedBy.version} (${shadowedBy.source}: ${shadowedBy.root})`;
      process.stdout.write(
        `Commands will use ${first}, which comes first; to use this one, set PATCHDROP_TORCH=${found.root}\n`,
      );
    }
  });
}

const lineEveryMs = 15_000;
const redrawEveryMs = 100;

/** Progress as one line that is redrawn on a terminal; elsewhere one line per step, and one every 15 seconds within it. */
export function progressPrinter(stream: Pick<NodeJS.WriteStream, "isTTY" | "write">) {
  let lastStep = "";
  let lastAt = 0;
  let lastDone: number | undefined;
  const update = ({ step, done, total }: SetupProgress): void => {
    const now = performance.now();
    const isNew = step !== lastStep;
    const isLast = done !== undefined && done === total && done !== lastDone;
    if (!isNew && !isLast && now - lastAt < (stream.isTTY ? redrawEveryMs : lineEveryMs)) return;
    const share = done === undefined || !total ? "" : ` ${Math.floor((100 * done) / total)} %`;
    // A new step keeps the line of the one before; `\x1b[K` clears the rest of a longer text.
    if (stream.isTTY) stream.write(`${isNew && lastStep !== "" ? "\n" : "\r"}setup: ${step}${share}\x1b[K`);
    else stream.write(`setup: ${step}${share}\n`);
    [lastStep, lastAt, lastDone] = [step, now, done];
  };
  const end = (): void => {
    if (stream.isTTY && lastStep !== "") stream.write("\n");
  };
  return { update, end };
}
