/** `patchdrop demo`: the browser page, from the package. */
import { Command } from "commander";
import { demoSchema } from "../options/demo-options.ts";
import { parseWith } from "../options/parse.ts";
import { addFlags, type Flags } from "./flags.ts";

const summary = "Serve the browser page, on this machine alone: what a policy looks at, patch by patch.";

const about = [
  summary,
  "",
  [
    "Prints the address to open, and serves until Ctrl-C. The networks run in the browser: pictures that are dropped on the page stay",
    "there. No libtorch is needed.",
  ].join(" "),
].join("\n");

const examples = `
Examples:
  patchdrop demo
  patchdrop demo --port 0`;

/** The subcommand; what it needs is loaded when it runs. */
export function demoCommand(): Command {
  const command = new Command("demo").summary(summary).description(about);
  return addFlags(command, demoSchema)
    .addHelpText("after", examples)
    .action(async (flags: Flags) => {
      const { port } = parseWith(demoSchema, flags, "demo");
      const { servePage } = await import("../page/serve-page.ts");
      const { address } = await servePage(port);
      process.stdout.write(`${address}\n`);
      process.stderr.write("Open this address in a browser; Ctrl-C ends it.\n");
    });
}
