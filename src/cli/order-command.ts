/** `patchdrop order`: the cheapest orders that a seller's rules allow for what was chosen. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Plan the cheapest orders that a seller's rules allow for the chosen cells of a scene.";

const about = [
  summary,
  "",
  [
    "DIR is a folder that `patchdrop acquire` wrote. Each order becomes a GeoJSON file with its price, beside a summary,",
    "orders.json, which also says what the whole scene would cost.",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop order acquired --rules single-999 --price_per_km2 12",
  "patchdrop order acquired --rules seller.json --price_per_km2 12 --value_per_cell 0.05 --out orders --json",
];

/** The subcommand; what it needs is loaded when it runs. */
export function orderCommand(flags: CommandFlags): Command {
  const command = new Command("order").summary(summary).description(about).argument("<dir>", "see above");
  addFlags(command, flags.order);
  return addExamples(command, examples)
    .option("--json", "print the contents of orders.json")
    .option("--quiet", "print only errors")
    .action(async (folder: string, { json = false, quiet = false, ...given }: Flags) => {
      const [{ parseOrderOptions }, { orderRun, orderLines }, { terminalReporter }] = await Promise.all([
        import("../options/order-options.ts"),
        import("../order/order-run.ts"),
        import("./terminal-reporter.ts"),
      ]);
      const options = parseOrderOptions(given);
      const { summary, out } = await orderRun(folder, options, terminalReporter({ quiet }));
      if (json) process.stdout.write(`${JSON.stringify(summary, undefined, 2)}\n`);
      else if (!quiet) process.stdout.write(`${[...orderLines(summary), `see ${out}`].join("\n")}\n`);
    });
}
