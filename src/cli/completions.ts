/** What a command line can go on with: commands, flags, and the values of a flag. */
import type { Command, Option } from "commander";

export interface Completion {
  readonly name: string;
  readonly description: string;
}

/** @param words those behind the program's name, the one that is being typed last; it may be empty */
export function completionsOf(program: Command, words: readonly string[]): readonly Completion[] | "files" {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  // `help COMMAND` goes on as `COMMAND` does.
  const { command, open } = readWords(program, before[0] === "help" ? before.slice(1) : before);
  if (command === undefined) return [];
  const candidates = open === undefined ? nextWords(command, typed) : valuesOf(open);
  return candidates === "files" ? candidates : candidates.filter(({ name }) => name.startsWith(typed));
}

interface Read {
  /** None where a word names no command. */
  readonly command: Command | undefined;
  /** The flag that the next word is the value of. */
  readonly open: Option | undefined;
}

function readWords(program: Command, words: readonly string[]): Read {
  let command: Command | undefined = program;
  let open: Option | undefined;
  for (const word of words) {
    if (open !== undefined) open = undefined;
    else if (word.startsWith("-")) open = command.options.find((option) => option.long === word && option.required);
    else if (command.commands.length > 0) command = command.commands.find((one) => one.name() === word);
    if (command === undefined) break;
  }
  return { command, open };
}

function nextWords(command: Command, typed: string): readonly Completion[] | "files" {
  const help = command.createHelp();
  if (typed.startsWith("-")) {
    return [...command.options.flatMap(flagOf), { name: "--help", description: "print help" }];
  }
  const commands = help.visibleCommands(command);
  if (commands.length > 0) {
    return commands.map((one) => ({ name: one.name(), description: help.subcommandDescription(one) }));
  }
  const [argument] = command.registeredArguments;
  return argument === undefined ? [] : (named(argument.argChoices) ?? "files");
}

function valuesOf({ argChoices, flags }: Option): readonly Completion[] | "files" {
  return named(argChoices) ?? (/<(folder|file|run|run,run,…|source)>$/.test(flags) ? "files" : []);
}

function named(choices: readonly string[] | undefined): readonly Completion[] | undefined {
  return choices?.map((name) => ({ name, description: "" }));
}

/** Its first words: a line of a terminal has room for no more. */
function flagOf({ long, description }: Option): readonly Completion[] {
  return long === null || long === undefined ? [] : [{ name: long, description: description.split(/[;:(]/)[0].trim() }];
}
