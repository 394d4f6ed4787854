/** Turns described options into flags, so that help, defaults and checks have one source: the schemas. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Command, Option } from "commander";
import type { CommandOptions } from "../options/command-schemas.ts";
import { type DescribedOption, type DescribedOptions, modelDefaultsText } from "../options/described-option.ts";
import type { KnownValues } from "./describe-flags.ts";

/** Columns of every help, whatever the terminal has. */
export const helpWidth = 80;

/** The longest flags leave less beside them than Commander would wrap, and descriptions have choices and defaults in them. */
export const helpStyle = {
  helpWidth,
  minWidthToWrap: 20,
  optionDescription: ({ description }: Option) => description,
};

/** What the command line gives to an action: how to print, and the options, which nothing has checked yet. */
export interface Flags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly [option: string]: unknown;
}

/** What the flags of all commands are made of. */
export type CommandFlags = CommandOptions & { readonly values: KnownValues };

/** Where a build writes them down (scripts/write-flags.mjs): help and completion then need no schema, and half the time. */
const written = fileURLToPath(new URL("flags.json", import.meta.url));

/** As the build has them, or, where the program runs from its sources, as the schemas say. */
export async function commandFlags(): Promise<CommandFlags> {
  if (existsSync(written)) return JSON.parse(readFileSync(written, "utf8"));
  return (await import("./describe-flags.ts")).describeFlags();
}

/**
 * Adds a flag for each option; values reach the action unchecked, as text, numbers or booleans.
 * @param areHidden whether the help passes over them
 */
export function addFlags(command: Command, options: DescribedOptions, areHidden = false): Command {
  for (const [name, option] of Object.entries(options)) {
    command.addOption(flag(name, option).hideHelp(areHidden));
    // Of a switch that is on by default, Commander would say that it had been given.
    command.setOptionValue(name, undefined);
  }
  return command;
}

function flag(name: string, option: DescribedOption): Option {
  const { type, description } = option;
  if (type === "switch")
    return option.default === true ? turnedOff(name, option) : new Option(`--${name}`, description);
  const withValue = new Option(`--${name} <${shownPlaceholder(option)}>`, description + aside(option));
  // For completion: Commander's own check would end the program at the first fault.
  if (option.choices !== undefined) withValue.argChoices = [...option.choices];
  return withValue.argParser((text: string, before: unknown) => {
    if (option.repeats && before !== undefined) return `${before},${text}`;
    return type === "number" ? numberOf(text) : text;
  });
}

/** A switch that is on by default is turned off by --no_…, which Commander knows with a hyphen only. */
function turnedOff(name: string, { description, whenOff = `turn off: ${description}` }: DescribedOption): Option {
  const option = new Option(`--no_${name}`, whenOff);
  option.negate = true;
  option.attributeName = () => name;
  return option;
}

/** A longer list of choices would leave no room for the descriptions: it goes behind its own. */
const longestPlaceholder = 20;
const isLong = ({ placeholder }: DescribedOption) => placeholder.length > longestPlaceholder;

function shownPlaceholder(option: DescribedOption): string {
  return isLong(option) ? "name" : option.placeholder;
}

/**
 * What follows the description. Defaults are only shown here; the schema applies them, so that a value that was not given
 * does not look as if it had been.
 */
function aside(option: DescribedOption): string {
  const { required, default: value, modelDefaults, placeholder } = option;
  const notes = [
    isLong(option) ? placeholder.replaceAll("|", ", ") : undefined,
    required ? "required" : undefined,
    modelDefaults === undefined ? undefined : `default: ${modelDefaultsText(modelDefaults)}`,
    value === undefined ? undefined : `default: ${value}`,
  ].filter((note) => note !== undefined);
  return notes.length === 0 ? "" : ` (${notes.join("; ")})`;
}

/** A number, or the text itself, which the schema then refuses by name. */
function numberOf(text: string): number | string {
  const value = Number(text);
  return text.trim() === "" || Number.isNaN(value) ? text : value;
}
