/** Turns a schema of options into flags, so that help, defaults and checks have one source. */
import { type Command, Option } from "commander";
import type { z } from "zod";
import { type DescribedOption, describeOption, modelDefaultsText } from "../options/option.ts";

/** What the command line gives to an action: how to print, and the options, which nothing has checked yet. */
export interface Flags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly [option: string]: unknown;
}

/** Adds a flag for each entry of the schema; values reach the action unchecked, as text, numbers or booleans. */
export function addFlags(command: Command, schema: z.ZodObject): Command {
  for (const [name, entry] of Object.entries(schema.shape)) {
    command.addOption(flag(name, describeOption(entry)));
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
  return withValue.argParser((text: string) => (type === "number" ? numberOf(text) : text));
}

/** A switch that is on by default is turned off by --no-…, with hyphens throughout. */
function turnedOff(name: string, { description, whenOff = `turn off: ${description}` }: DescribedOption): Option {
  const option = new Option(`--no-${name.replaceAll("_", "-")}`, whenOff);
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
