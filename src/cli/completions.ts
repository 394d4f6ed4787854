/** What a command line can go on with: commands, flags, and the values of a flag. */
import type { Argument, Command, Option } from "commander";
import { withUnderscores } from "./arguments.ts";
import type { KnownValues } from "./describe-flags.ts";

export interface Completion {
  readonly name: string;
  readonly description: string;
}

export interface Completions {
  readonly names: readonly Completion[];
  /** Whether the path of a file or of a folder may come, too. */
  readonly files: boolean;
}

const nothing: Completions = { names: [], files: false };

/** @param words those behind the program's name, the one that is being typed last; it may be empty */
export function completionsOf(program: Command, words: readonly string[], values: KnownValues): Completions {
  const whole = withoutBreaks(words);
  const last = whole.at(-1) ?? "";
  // `--flag=value` goes on as `--flag value` does.
  const [, flag, typed = last] = /^(--[^=]+)=(.*)$/.exec(last) ?? [];
  const before = withUnderscores([...whole.slice(0, -1), ...(flag === undefined ? [] : [flag])], program);
  // `help COMMAND` goes on as `COMMAND` does.
  const { command, open } = readWords(program, before[0] === "help" ? before.slice(1) : before);
  if (command === undefined || (flag !== undefined && open === undefined)) return nothing;
  const { names, files } = open === undefined ? nextWords(command, typed, values) : valuesOf(open, values);
  const fitting = names.filter(({ name }) => name.startsWith(typed));
  return {
    names: flag === undefined ? fitting : fitting.map((one) => ({ ...one, name: `${flag}=${one.name}` })),
    // What goes on as `patchdrop:NAME` is no file, though a shell may look for one behind the colon.
    files: files && !(typed.includes(":") && fitting.length > 0),
  };
}

/** Bash makes words of their own of : and =. */
function withoutBreaks(words: readonly string[]): string[] {
  const isBreak = (word: string | undefined) => word === ":" || word === "=";
  const whole: string[] = [];
  for (const [i, word] of words.entries()) {
    if (isBreak(word) || isBreak(words[i - 1])) whole.push((whole.pop() ?? "") + word);
    else whole.push(word);
  }
  return whole;
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

function nextWords(command: Command, typed: string, values: KnownValues): Completions {
  const help = command.createHelp();
  if (typed.startsWith("-")) {
    return { names: [...command.options.flatMap(flagOf), { name: "--help", description: "print help" }], files: false };
  }
  const commands = help.visibleCommands(command);
  if (commands.length > 0) {
    const names = commands.map((one) => ({ name: one.name(), description: help.subcommandDescription(one) }));
    return { names, files: false };
  }
  const [argument] = command.registeredArguments;
  return argument === undefined ? nothing : argumentsOf(argument, values);
}

function argumentsOf(argument: Argument, values: KnownValues): Completions {
  const { argChoices } = argument;
  return { names: named(argChoices ?? values[argument.name()]), files: argChoices === undefined };
}

function valuesOf({ argChoices, flags }: Option, values: KnownValues): Completions {
  const [, placeholder = ""] = /<(.*)>$/.exec(flags) ?? [];
  const files = ["folder", "file", "run", "source"].includes(placeholder);
  return { names: named(argChoices ?? values[placeholder]), files };
}

function named(names: readonly string[] = []): readonly Completion[] {
  return names.map((name) => ({ name, description: "" }));
}

/** Its first words: a line of a terminal has room for no more. */
function flagOf({ long, description }: Option): readonly Completion[] {
  return long === null || long === undefined ? [] : [{ name: long, description: description.split(/[;:(]/)[0].trim() }];
}
