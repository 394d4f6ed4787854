/** `patchdrop demo`: the browser page, from the package. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Serve the browser page, on this machine alone: what a policy looks at, patch by patch.";

const about = [
  summary,
  "",
  [
    "Prints the address to open, and serves until Ctrl-C. The networks run in the browser: pictures that are dropped on the page stay",
    "there. No libtorch is needed.",
  ].join(" "),
].join("\n");

const examples = ["patchdrop demo", "patchdrop demo --port 0"];

export function demoCommand(allFlags: CommandFlags): Command {
  const command = new Command("demo").summary(summary).description(about);
  addFlags(command, allFlags.demo);
  return addExamples(command, examples).action(async (flags: Flags) => {
    const [{ parseWith }, { demoSchema }, { servePage }] = await Promise.all([
      import("../options/parse.ts"),
      import("../options/demo-options.ts"),
      import("../page/serve-page.ts"),
    ]);
    const { port } = parseWith(demoSchema, flags, "demo");
    const { address } = await servePage(port);
    process.stdout.write(`${address}\n`);
    process.stderr.write("Open this address in a browser; Ctrl-C ends it.\n");
  });
}
