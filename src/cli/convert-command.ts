/** `patchdrop convert`: checkpoints from and to other programs, and what a checkpoint holds. */
import { Command } from "commander";
import type { NetworkListing } from "../checkpoints/convert-checkpoint.ts";
import { fault } from "../errors.ts";
import { addExamples } from "./command-examples.ts";

const summary = "Convert checkpoints between PatchDrop, PyTorch and safetensors, or list what one holds.";

const about = [
  summary,
  "",
  [
    "IN is a run folder (its best checkpoint), a checkpoint folder, a .safetensors file, or a PyTorch file of any name: a",
    "state dict, or the dictionary of the authors' code. PyTorch files are read as data; nothing in them is run.",
  ].join(" "),
  "",
  [
    "OUT ends in .safetensors (one network) or .pth or .pt (one network as a state dict, or, without --network, the whole",
    "checkpoint as the authors' dictionary, with epoch, acc and reward of its test).",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop convert runs/finetune policy.safetensors --network agent",
  "patchdrop convert --list resnet34.pth",
];

interface ConvertFlags {
  network?: string;
  force?: boolean;
  list?: boolean;
  json?: boolean;
}

/** The subcommand; what it needs is loaded when it runs. */
export function convertCommand(): Command {
  const command = new Command("convert")
    .summary(summary)
    .description(about)
    .argument("<in>", "checkpoint to read")
    .argument("[out]", "file to write")
    .option("--network <network>", "write this network alone: agent, resnet_hr, resnet_lr or state_dict")
    .option("--force", "replace OUT if it exists")
    .option("--list", "print names, types, shapes and totals instead of writing")
    .option("--json", "with --list: print JSON");
  return addExamples(command, examples).action(async (from: string, to: string | undefined, flags: ConvertFlags) => {
    const { network, force = false, list = false, json = false } = flags;
    const { convertCheckpoint, listNetworks } = await import("../checkpoints/convert-checkpoint.ts");
    if (list === (to !== undefined)) {
      throw fault("usage", { where: "convert", rule: "needs a file to write, or --list without one" });
    }
    refuseUnused(list ? { network, force } : { json }, list);
    if (to !== undefined) {
      const written = convertCheckpoint(from, to, { network, force });
      process.stdout.write(`${to}\n${written.map((one) => `  ${totals(one)}\n`).join("")}`);
      return;
    }
    const { openCheckpoint } = await import("../checkpoints/open-checkpoint.ts");
    const { path, networks } = openCheckpoint(from);
    const listed = listNetworks({ networks });
    const text = json ? JSON.stringify({ path, networks: listed }, null, 2) : [path, ...listed.map(asText)].join("\n");
    process.stdout.write(`${text}\n`);
  });
}

/** @param flags those that change nothing with `--list`, or without it */
function refuseUnused(flags: Readonly<Record<string, string | boolean | undefined>>, list: boolean): void {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined && value !== false);
  const rule = list ? "must be left out with --list" : "needs --list";
  if (given.length === 0) return;
  throw fault(
    "usage",
    given.map(([flag, value]) => ({ where: `--${flag}`, rule, got: value === true ? undefined : value })),
  );
}

function totals({ name, tensors, elements, bytes }: NetworkListing): string {
  const count = (value: number) => value.toLocaleString("en");
  return `${name}: ${count(tensors.length)} tensors, ${count(elements)} numbers, ${count(bytes)} bytes`;
}

/** The totals, then a line for each tensor, in columns. */
function asText(network: NetworkListing): string {
  // Names come from the file: control characters are escaped, so that none reaches the terminal.
  const names = network.tensors.map(({ name }) => JSON.stringify(name).slice(1, -1));
  const width = Math.max(...names.map((name) => name.length));
  const lines = network.tensors.map(
    ({ dtype, shape }, i) => `  ${names[i].padEnd(width)}  ${dtype.padEnd(4)}  [${shape.join(", ")}]`,
  );
  return [totals(network), ...lines].join("\n");
}
