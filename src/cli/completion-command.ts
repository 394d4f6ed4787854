/** `patchdrop completion`: the script by which a shell completes command lines, and what that script asks. */
import { Argument, Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { completionsOf } from "./completions.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

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
  return addExamples(command.addArgument(shell), examples).action(async (given: Shell) => {
    const { getCompletionScript } = await import("@pnpm/tabtab");
    const script = await getCompletionScript({ name: "patchdrop", completer: "patchdrop", shell: given });
    process.stdout.write(script);
  });
}

/** What the script calls: the words of the line, and in variables the shell and where the cursor stands. */
export function completionServer(program: Command): Command {
  const command = new Command("completion-server").argument("[words...]");
  return command.action(async (words: string[]) => {
    const { getShellFromEnv, log, logFiles, parseEnv } = await import("@pnpm/tabtab");
    const shell = getShellFromEnv(process.env);
    const { words: current, lastPartial } = parseEnv(process.env);
    // fish leaves out a word that is still empty, and counts one more.
    const before = shell === "fish" && lastPartial === "" ? [...words.slice(1), ""] : words.slice(1, current + 1);
    const found = completionsOf(program, before);
    if (found === "files") logFiles();
    else log([...found], shell);
  });
}
