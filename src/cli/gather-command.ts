/** `patchdrop gather`: the shards of a manifest added up. */
import { Command } from "commander";
import { exitCodes, fault, sentences } from "../errors.ts";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Add up the shards that acquire or predict made of a --manifest, and name what is missing.";

const about = [
  summary,
  "",
  [
    "DIR is the --out of the shards. Without --out, what there is so far is added up. With it, all shards must be there; the folder",
    "gets gathered.json, failed.jsonl (the scenes that could not be read) and, of acquire, patches.parquet, the cells of all scenes.",
    `The exit code is ${exitCodes.input} while shards are missing.`,
  ].join(" "),
].join("\n");

const examples = ["patchdrop gather acquired", "patchdrop gather acquired --out archive"];

/** The subcommand; what it needs is loaded when it runs. */
export function gatherCommand(flags: CommandFlags): Command {
  const command = new Command("gather").summary(summary).description(about).argument("<dir>", "see above");
  addFlags(command, flags.gather);
  return addExamples(command, examples)
    .option("--json", "print the contents of gathered.json")
    .option("--quiet", "print only errors")
    .action(async (dir: string, { json = false, quiet = false, ...given }: Flags) => {
      const [{ parseWith }, { gatherSchema }, { gather, missingFault }, { savingsLines }, { terminalReporter }] =
        await Promise.all([
          import("../options/parse.ts"),
          import("../options/gather-options.ts"),
          import("../shards/gather-shards.ts"),
          import("../acquire/savings.ts"),
          import("./terminal-reporter.ts"),
        ]);
      const { out } = parseWith(gatherSchema, given, "gather");
      const gathered = await gather(dir, out, terminalReporter({ quiet }));
      const { shards, scenes, failed, savings } = gathered;
      if (json) process.stdout.write(`${JSON.stringify(gathered, undefined, 2)}\n`);
      else if (!quiet) {
        const there = shards.all - shards.missing.length;
        const read = `${scenes - failed} of ${scenes} scenes were read, in ${there} of ${shards.all} shards`;
        const lines = [read, ...(savings === null ? [] : savingsLines(savings)), ...(out ? [`see ${out}`] : [])];
        process.stdout.write(`${lines.join("\n")}\n`);
      }
      if (shards.missing.length === 0) return;
      const missing = fault("input", missingFault(dir, shards.all, shards.missing));
      for (const line of sentences(missing)) process.stderr.write(`error: ${line}\n`);
      process.exitCode = missing.exitCode;
    });
}
