#!/usr/bin/env node
/** The program `patchdrop`: its subcommands, and how it ends. Heavy modules are loaded by the commands that need them. */
import { Command } from "commander";
import { version } from "../utils/version.ts";
import { acquireCommand } from "./acquire-command.ts";
import { understood, withSubcommands } from "./arguments.ts";
import { convertCommand } from "./convert-command.ts";
import { dataCommand } from "./data-command.ts";
import { doctorCommand } from "./doctor-command.ts";
import { evalCommand } from "./eval-command.ts";
import { finish } from "./exit.ts";
import { exportCommand } from "./export-command.ts";
import { modelsCommand } from "./models-command.ts";
import { predictCommand } from "./predict-command.ts";
import { quickstartCommand } from "./quickstart-command.ts";
import { reportCommand } from "./report-command.ts";
import { runCommand } from "./run-command.ts";
import { setupCommand } from "./setup-command.ts";
import { stageCommands } from "./stages-command.ts";

const program = new Command("patchdrop")
  .description("Learns from a low-resolution image which high-resolution patches are worth acquiring.")
  .version(version(), "-V, --version", "print the version")
  .option("--debug", "print the stack of an error")
  .helpOption("-h, --help", "print help")
  .helpCommand("help [command]", "print the help of a command")
  .showSuggestionAfterError(true)
  .addHelpText(
    "after",
    `
The four trainings, in order:
  classifier_training  the classifier on high-resolution images, and with --stream_id LR on low-resolution ones
  pretrain             the policy, judged by the frozen classifier
  finetune             policy and classifier together
  finetune2stream      the same, with the low-resolution classifier beside

Examples:
  patchdrop quickstart
  patchdrop classifier_training --data_dir data/cifar10 --cv_dir runs/hr`,
  );

for (const command of stageCommands()) program.addCommand(command);
program.addCommand(evalCommand());
program.addCommand(predictCommand());
program.addCommand(acquireCommand());
program.addCommand(exportCommand());
program.addCommand(reportCommand());
program.addCommand(runCommand());
program.addCommand(quickstartCommand());
program.addCommand(modelsCommand());
program.addCommand(dataCommand());
program.addCommand(convertCommand());
program.addCommand(setupCommand());
program.addCommand(doctorCommand());

// A reader that goes away (`| head`) ends the program quietly, as it does for any Unix tool.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 5));

for (const command of withSubcommands(program)) command.exitOverride();
try {
  await program.parseAsync(understood(program, process.argv.slice(2)), { from: "user" });
} catch (error) {
  finish(error, process.argv.includes("--debug"));
}
