/** `patchdrop eval`: a run against its baselines, as a table or as JSON. */
import { Command } from "@commander-js/extra-typings";
import { evalSchema, parseWith } from "../run/options.ts";
import { addFlags } from "./flags.ts";

export function evalCommand(): Command {
  const command = new Command("eval").description(
    "Print accuracy, patches, distinct policies and reward of a run, beside baselines with as many patches.",
  );
  addFlags(command, evalSchema);
  command
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  patchdrop eval --load runs/finetune --ckpt_lr_cl runs/lr\n  patchdrop eval --load runs/hr --json",
    )
    .action(async (flags) => {
      const { json = false, ...given } = flags as Record<string, unknown> & { json?: boolean };
      const options = parseWith(evalSchema, given, "eval");
      const [{ evaluateRun }, { terminalReporter }] = await Promise.all([
        import("../stages/evaluate-run.ts"),
        import("./reporter.ts"),
      ]);
      const evaluation = await evaluateRun(options, terminalReporter({ quiet: false }));
      if (json) {
        process.stdout.write(`${JSON.stringify(evaluation, null, 2)}\n`);
        return;
      }
      const { textTable } = await import("../report/table.ts");
      const { checkpoint, dataset, split, images } = evaluation;
      process.stdout.write(`${checkpoint}\n${dataset}, ${split}, ${images} images\n\n${textTable(evaluation)}\n`);
    });
  return command as unknown as Command;
}
