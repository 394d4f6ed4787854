/** Brings what a user may write in more than one way into the one form that the commands' parser reads. */
import type { Command } from "commander";

/**
 * `words` as `program` takes them: `help COMMAND` becomes `COMMAND --help`, flags get their underscores, and `--help` is
 * dropped after a command that does not exist, so that the parser refuses it instead of printing the program's help.
 */
export function understood(program: Command, words: readonly string[]): string[] {
  const named = withUnderscores(helpAsFlag(words), program);
  return namesNoCommand(program, named) ? named.filter((word) => word !== "--help" && word !== "-h") : named;
}

/** The command and all below it. */
export function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

function helpAsFlag(words: readonly string[]): readonly string[] {
  const first = words.findIndex((word) => !word.startsWith("-"));
  return words[first] === "help" ? [...words.toSpliced(first, 1), "--help"] : words;
}

function longFlags(program: Command): Set<string> {
  return new Set(withSubcommands(program).flatMap(({ options }) => options.flatMap(({ long }) => long ?? [])));
}

/** Flags may be written with hyphens or, as in the authors' code, with underscores. */
export function withUnderscores(words: readonly string[], program: Command): string[] {
  const known = longFlags(program);
  return words.map((word) => {
    const [, name, value = ""] = /^--([a-z0-9][a-z0-9_-]*)(=.*)?$/i.exec(word) ?? [];
    if (name === undefined) return word;
    const flag = `--${name.replaceAll("-", "_")}`;
    return known.has(flag) ? `${flag}${value}` : word;
  });
}

/** Whether the words name a command that does not exist. No flag that may precede a command takes a value. */
function namesNoCommand(program: Command, words: readonly string[]): boolean {
  let command: Command | undefined = program;
  for (const word of words.filter((one) => !one.startsWith("-"))) {
    if (command.commands.length === 0) return false;
    command = command.commands.find((one) => one.name() === word);
    if (command === undefined) return true;
  }
  return false;
}
