/** The program's subcommands. None of them loads what only its action needs. */
import { Command } from "commander";
import { fault, oneLine } from "../errors.ts";
import { didYouMean } from "../utils/closest.ts";
import { version } from "../utils/version.ts";
import { acquireCommand } from "./acquire-command.ts";
import { withSubcommands } from "./arguments.ts";
import { addExamples } from "./command-examples.ts";
import { completionCommand, completionServer } from "./completion-command.ts";
import { convertCommand } from "./convert-command.ts";
import { dataCommand } from "./data-command.ts";
import { demoCommand } from "./demo-command.ts";
import { doctorCommand } from "./doctor-command.ts";
import { evalCommand } from "./eval-command.ts";
import { exportCommand } from "./export-command.ts";
import { letFirstSpeak } from "./failure.ts";
import { type CommandFlags, helpStyle } from "./flags.ts";
import { gatherCommand } from "./gather-command.ts";
import { headroomCommand } from "./headroom-command.ts";
import { modelsCommand } from "./models-command.ts";
import { orderCommand } from "./order-command.ts";
import { predictCommand } from "./predict-command.ts";
import { profileCommand } from "./profile-command.ts";
import { quickstartCommand } from "./quickstart-command.ts";
import { reportCommand } from "./report-command.ts";
import { runCommand } from "./run-command.ts";
import { setupCommand } from "./setup-command.ts";
import { stageCommandNames, stageCommands } from "./stages-command.ts";

const about =
  "Train and use policies that look at a low-resolution image and decide which high-resolution patches are worth acquiring.";

const examples = ["patchdrop quickstart", "patchdrop classifier_training --data_dir data/cifar10 --cv_dir runs/hr"];

/** What many ranks do as one. */
const manyRanked: readonly string[] = [...stageCommandNames, "run", "eval"];

/** `patchdrop` with all its subcommands, which throw instead of ending the process. */
export function patchdropProgram(flags: CommandFlags): Command {
  const program = new Command("patchdrop")
    .description(about)
    .version(version(), "-V, --version", "print the version")
    .option("--debug", "print the stack of an error")
    .commandsGroup("To begin with:")
    .helpCommand("help [command]", "print the help of a command")
    .showSuggestionAfterError(true);
  for (const [heading, commands] of groups(flags)) {
    for (const command of commands) {
      command.hook("preAction", (_, action) => mustBeAlone(command.name(), action.opts().dry_run === true));
      program.addCommand(command.helpGroup(heading));
    }
  }
  program.addCommand(completionServer(program, flags), { hidden: true });
  for (const command of withSubcommands(program)) {
    command.exitOverride().helpOption("-h, --help", "print help").configureHelp(helpStyle);
    command.configureOutput({
      outputError(text, write) {
        letFirstSpeak();
        write(inOneLine(text, command));
      },
    });
  }
  return addExamples(program, examples);
}

/** Many processes that write one file would be in each other's way. @throws usage: a command that ranks do not share */
async function mustBeAlone(command: string, isPlan: boolean): Promise<void> {
  if (manyRanked.includes(command) && !isPlan) return;
  const { launchOf } = await import("../distributed/launch.ts");
  const launch = launchOf();
  if (launch === undefined) return;
  const next = `start it without ${launch.by}; ${manyRanked.join(", ")} go on many ranks`;
  const where = isPlan ? `${command} --dry_run` : command;
  throw fault("usage", { where, rule: "is one process's work", got: `${launch.size} ranks`, next });
}

/** Commander's error in one line with what to do, and a suggestion also of options that a command's help passes over. */
function inOneLine(text: string, command: Command): string {
  const one = oneLine(text.trim().replaceAll("\n", " ")).replace("(Did", "(did");
  const error = one.replace(/(too many arguments) for .*/, `$1, got ${oneLine(command.args.join(" "))}`);
  const [, unknown] = /unknown option '(--[^']+)'$/.exec(error) ?? [];
  const flags = command.options.flatMap(({ long }) => long ?? []);
  const meant = unknown === undefined ? undefined : didYouMean(unknown, flags);
  const suggestion = meant === undefined ? "" : ` (${meant})`;
  return `${error}${suggestion}; see \`${lineOf(command)} --help\`\n`;
}

/** "patchdrop data check" */
function lineOf(command: Command): string {
  return command.parent === null ? command.name() : `${lineOf(command.parent)} ${command.name()}`;
}

/** The commands in the order of use, as the help lists them. */
function groups(flags: CommandFlags): readonly (readonly [heading: string, commands: readonly Command[]])[] {
  return [
    [
      "To begin with:",
      [setupCommand(), doctorCommand(), quickstartCommand(flags), demoCommand(flags), completionCommand()],
    ],
    ["Data and models:", [dataCommand(flags), modelsCommand()]],
    ["The four trainings, in order:", stageCommands(flags)],
    ["All trainings of an experiment file:", [runCommand(flags)]],
    ["Evaluating runs:", [headroomCommand(flags), evalCommand(flags), profileCommand(flags), reportCommand(flags)]],
    [
      "Using runs:",
      [
        predictCommand(flags),
        acquireCommand(flags),
        gatherCommand(flags),
        orderCommand(flags),
        exportCommand(flags),
        convertCommand(),
      ],
    ],
  ];
}
