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
  for (const [name, entry] of Object.entries(schema.shape)) command.addOption(flag(name, describeOption(entry)));
  return command;
}

function flag(name: string, option: DescribedOption): Option {
  const { type, placeholder, description } = option;
  if (type === "switch")
    return option.default === true ? turnedOff(name, option) : new Option(`--${name}`, description);
  const withValue = new Option(`--${name} <${placeholder}>`, description + aside(option));
  return withValue.argParser((text: string) => (type === "number" ? numberOf(text) : text));
}

/** A switch that is on by default is turned off by --no-…, with hyphens throughout. */
function turnedOff(name: string, { description, whenOff = `turn off: ${description}` }: DescribedOption): Option {
  const option = new Option(`--no-${name.replaceAll("_", "-")}`, whenOff);
  option.attributeName = () => name;
  return option;
}

/**
 * What follows the description. Defaults are only shown here; the schema applies them, so that a value that was not given
 * does not look as if it had been.
 */
function aside({ required, default: value, modelDefaults }: DescribedOption): string {
  if (required) return " (required)";
  if (modelDefaults !== undefined) return ` (default: ${modelDefaultsText(modelDefaults)})`;
  return value === undefined ? "" : ` (default: ${value})`;
}

/** A number, or the text itself, which the schema then refuses by name. */
function numberOf(text: string): number | string {
  const value = Number(text);
  return text.trim() === "" || Number.isNaN(value) ? text : value;
}
