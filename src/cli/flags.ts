/** Turns a schema of options into flags, so that help, defaults and checks have one source. */
import { type Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { z } from "zod";

type Shape = Record<string, z.ZodType>;

/** What a schema's entry says about its flag. */
interface Described {
  type: "string" | "number" | "boolean" | "enum";
  choices: readonly string[];
  default: unknown;
  description: string;
}

/** Adds a flag for each entry of the schema; values reach the action unchecked, as text, numbers or booleans. */
export function addFlags<C extends Command>(command: C, schema: z.ZodObject): C {
  for (const [name, entry] of Object.entries(schema.shape as Shape)) command.addOption(flag(name, describe(entry)));
  return command;
}

function flag(name: string, { type, choices, default: value, description }: Described): Option {
  if (type === "boolean") return value === true ? turnedOff(name, description) : new Option(`--${name}`, description);
  const option = new Option(`--${name} <${placeholder(name, { type, choices, description })}>`, description);
  // Shown, and applied by the schema: a value that was not given must not look as if it had been.
  if (value !== undefined) option.description = `${description} (default: ${String(value)})`;
  return option.argParser((text: string) => (type === "number" ? numberOf(text) : text));
}

/** A switch that is on by default is turned off by --no-…, whose words are joined as that one is, with hyphens. */
function turnedOff(name: string, description: string): Option {
  const option = new Option(`--no-${name.replaceAll("_", "-")}`, `turn off: ${description}`);
  option.attributeName = () => name;
  return option;
}

/** What stands for the flag's value in the help. */
function placeholder(name: string, { type, choices, description }: Omit<Described, "default">): string {
  if (type === "number") return "n";
  if (type === "enum") return choices.join("|");
  if (name === "bands" || name === "scale") return name === "bands" ? "r,g,b" : "black,white";
  if (name.endsWith("_dir") || description.startsWith("folder ") || ["torch", "overlay", "masked"].includes(name))
    return "folder";
  return name === "load" || name.startsWith("ckpt_")
    ? "run"
    : ["pretrained", "out", "chart"].includes(name)
      ? "file"
      : "name";
}

/** A number, or the text itself, which the schema then refuses by name. */
function numberOf(text: string): number | string {
  const value = Number(text);
  return text.trim() === "" || Number.isNaN(value) ? text : value;
}

/** Reads a flag's value where there is no schema to check it; Commander words the refusal. */
export function wholeNumber(minimum: number): (text: string) => number {
  return (text) => {
    const value = numberOf(text);
    if (Number.isSafeInteger(value) && (value as number) >= minimum) return value as number;
    throw new InvalidArgumentError(`It must be a whole number of at least ${minimum}.`);
  };
}

interface Definition {
  type: string;
  innerType?: z.ZodType;
  defaultValue?: unknown;
  entries?: Record<string, string>;
}

function describe(entry: z.ZodType): Described {
  let inner = entry;
  let description = entry.description;
  let value: unknown;
  let definition = inner.def as unknown as Definition;
  while (definition.innerType !== undefined) {
    if (definition.type === "default") value = definition.defaultValue;
    inner = definition.innerType;
    description ??= inner.description;
    definition = inner.def as unknown as Definition;
  }
  const choices = Object.values(definition.entries ?? {});
  return { type: definition.type as Described["type"], choices, default: value, description: description ?? "" };
}
