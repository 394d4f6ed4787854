/** `patchdrop completion`: the script by which a shell completes command lines, and what that script asks. */
import { Argument, Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { completionScripts, type Shell, shells } from "./completion-scripts.ts";
import { completionsOf } from "./completions.ts";
import type { CommandFlags } from "./flags.ts";

const summary = "Print a script that completes commands, flags and their values in a shell.";

const about = [
  summary,
  "",
  [
    "Put the example of your shell into ~/.bashrc, ~/.zshrc (behind compinit) or ~/.config/fish/config.fish. The script",
    "asks the program that PATH has under the name patchdrop.",
  ].join(" "),
].join("\n");

const examples = [
  "source <(patchdrop completion bash)",
  "source <(patchdrop completion zsh)",
  "patchdrop completion fish | source",
];

export function completionCommand(): Command {
  const command = new Command("completion").summary(summary).description(about);
  const shell = new Argument("<shell>", "bash, zsh or fish").choices(shells);
  return addExamples(command.addArgument(shell), examples).action((given: Shell) => {
    process.stdout.write(completionScripts[given]);
  });
}

/** What the scripts ask: the words of the line, as {@link completionScripts} says. */
export function completionServer(program: Command, { values }: CommandFlags): Command {
  const command = new Command("completion-server").argument("[words...]");
  return command.action((words: string[]) => {
    const { names, files } = completionsOf(program, words, values);
    const lines = names.map(({ name, description }) => `${name}\t${description}\n`);
    process.stdout.write(lines.join("") + (files ? "files\n" : ""));
  });
}
