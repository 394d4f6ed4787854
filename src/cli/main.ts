#!/usr/bin/env node
/** The program `patchdrop`: its subcommands, and how it ends. Heavy modules are loaded by the commands that need them. */
import { Command } from "commander";
import { version } from "../utils/version.ts";
import { acquireCommand } from "./acquire-command.ts";
import { understood, withSubcommands } from "./arguments.ts";
import { convertCommand } from "./convert-command.ts";
import { dataCommand } from "./data-command.ts";
import { demoCommand } from "./demo-command.ts";
import { doctorCommand } from "./doctor-command.ts";
import { evalCommand } from "./eval-command.ts";
import { finish, signalExitCode } from "./exit.ts";
import { exportCommand } from "./export-command.ts";
import { headroomCommand } from "./headroom-command.ts";
import { modelsCommand } from "./models-command.ts";
import { predictCommand } from "./predict-command.ts";
import { quickstartCommand } from "./quickstart-command.ts";
import { reportCommand } from "./report-command.ts";
import { runCommand } from "./run-command.ts";
import { setupCommand } from "./setup-command.ts";
import { stageCommands } from "./stages-command.ts";

const program = new Command("patchdrop")
  .description(
    "Train and use policies that look at a low-resolution image and decide which high-resolution patches are worth acquiring.",
  )
  .version(version(), "-V, --version", "print the version")
  .option("--debug", "print the stack of an error")
  .commandsGroup("To begin with:")
  .helpCommand("help [command]", "print the help of a command")
  .showSuggestionAfterError(true)
  .addHelpText(
    "after",
    `
Examples:
  patchdrop quickstart
  patchdrop classifier_training --data_dir data/cifar10 --cv_dir runs/hr`,
  );

/** The commands in the order of use, as the help lists them. */
const groups: readonly (readonly [heading: string, commands: readonly Command[]])[] = [
  ["To begin with:", [setupCommand(), doctorCommand(), quickstartCommand(), demoCommand()]],
  ["Data and models:", [dataCommand(), modelsCommand()]],
  ["The four trainings, in order:", stageCommands()],
  ["All trainings of an experiment file:", [runCommand()]],
  ["Evaluating runs:", [headroomCommand(), evalCommand(), reportCommand()]],
  ["Using runs:", [predictCommand(), acquireCommand(), exportCommand(), convertCommand()]],
];
for (const [heading, commands] of groups) {
  for (const command of commands) program.addCommand(command.helpGroup(heading));
}

// A reader that goes away (`| head`) ends the program quietly, as it does for any Unix tool.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 5));
// A terminal that was closed must not keep a run from saving.
process.stderr.on("error", () => undefined);
// Node would open its debugger, to whoever is on this machine. A command that can stop in an orderly way takes this over.
process.on("SIGUSR1", () => process.exit(signalExitCode("SIGUSR1")));

for (const command of withSubcommands(program)) command.exitOverride().helpOption("-h, --help", "print help");
try {
  await program.parseAsync(understood(program, process.argv.slice(2)), { from: "user" });
} catch (error) {
  finish(error, process.argv.includes("--debug"));
}
