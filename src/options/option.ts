/**
 * What an option says about itself besides its checks: what stands for its value in the help, what its --no_… does, and a
 * default that depends on the model. Schemas are made with the functions at the top; those below read all this back.
 */
import { z } from "zod";
import type { DescribedOption, DescribedOptions, ModelDefaults } from "./described-option.ts";

interface OptionMetadata {
  /** What stands for a text in the help: the "folder" of `--data_dir <folder>`. */
  readonly placeholder?: string;
  readonly modelDefaults?: ModelDefaults;
  readonly whenOff?: string;
  readonly repeats?: boolean;
}

const metadata = z.registry<OptionMetadata>();

/** A text that the help shows as `<placeholder>`; an empty one is a shell's variable that was not set. */
export function text(placeholder: string, description: string): z.ZodString {
  return shownAs(placeholder, z.string().min(1, "must not be empty").describe(description));
}

/** The schema, whose value the help shows as `<placeholder>`. */
export function shownAs<T extends z.ZodType>(placeholder: string, schema: T): T {
  metadata.add<z.core.$ZodType>(schema, { placeholder });
  return schema;
}

/** As {@link shownAs}; where it is given several times, all count, as if there were commas between them. */
export function repeatable<T extends z.ZodType>(placeholder: string, schema: T): T {
  metadata.add<z.core.$ZodType>(schema, { placeholder, repeats: true });
  return schema;
}

export const folder = (description: string) => text("folder", description);
export const file = (description: string) => text("file", description);
/** A file that is written over whatever has its name: by the ending, that is nothing but an earlier one. */
const fileEndingIn = (ending: RegExp, rule: string) => (description: string) =>
  shownAs("file", z.string().regex(ending, rule).describe(description));
export const svgFile = fileEndingIn(/\.svg$/i, "must end in .svg, as the chart is one");
export const htmlFile = fileEndingIn(/\.html$/i, "must end in .html, as the page is one");

/** A run folder or a checkpoint. */
export const checkpoint = (description: string) => text("run", description);

/** A whole number. */
export const whole = (minimum: number, maximum = Number.MAX_SAFE_INTEGER) => z.number().int().min(minimum).max(maximum);

/** Whole numbers that differ, with commas between them, `fewest` or more. @param rule what is said of any other text */
export function distinctNumbers(
  placeholder: string,
  rule: string,
  { minimum = 0, maximum = Number.MAX_SAFE_INTEGER, fewest = 1 },
) {
  const areTaken = (numbers: readonly number[]) =>
    numbers.length >= fewest &&
    new Set(numbers).size === numbers.length &&
    numbers.every((number) => number >= minimum && number <= maximum && Number.isSafeInteger(number));
  const list = z
    .string()
    .regex(/^(0|[1-9]\d*)(,(0|[1-9]\d*))*$/, rule)
    .transform((text) => text.split(",").map(Number))
    .refine(areTaken, rule);
  return shownAs(placeholder, list);
}

/** A switch that is on by default. @param whenOff what its `--no_…` does, for the help */
export function onByDefault(description: string, whenOff: string): z.ZodDefault<z.ZodBoolean> {
  const option = z.boolean().default(true).describe(description);
  metadata.add<z.core.$ZodType>(option, { whenOff });
  return option;
}

/** The name of one of the entries of a table, each of which says what it is. */
export function oneOf<T extends Readonly<Record<string, { readonly words: string }>>>(what: string, table: T) {
  const names = Object.keys(table) as (keyof T & string)[];
  const words = names.map((name) => `${name}, ${table[name].words}`);
  return z.enum(names).describe(`${what}: ${words.join("; ")}`);
}

/** An option whose default depends on the model: absent among the parsed options until the model is known. */
export function byModel<T extends z.ZodType>(schema: T, defaults: ModelDefaults<z.infer<T>>): z.ZodOptional<T> {
  const option = schema.optional();
  metadata.add<z.core.$ZodType>(option, { modelDefaults: defaults });
  return option;
}

/** Reads a schema's entry. An outer schema counts before the one that it wraps. */
export function describeOption(entry: z.core.$ZodType): DescribedOption {
  const layers = layersOf(entry);
  const innermost = layers[layers.length - 1];
  return {
    type: typeOf(innermost),
    placeholder: first(layers, (layer) => metadata.get(layer)?.placeholder) ?? placeholderOf(innermost),
    choices: innermost instanceof z.ZodEnum ? innermost.options.map(String) : undefined,
    description: first(layers, (layer) => z.globalRegistry.get(layer)?.description) ?? "",
    required: !z.safeParse(entry, undefined).success,
    default: first(layers, (layer) => (layer instanceof z.ZodDefault ? layer.def.defaultValue : undefined)),
    modelDefaults: first(layers, (layer) => metadata.get(layer)?.modelDefaults),
    repeats: first(layers, (layer) => metadata.get(layer)?.repeats),
    whenOff: first(layers, (layer) => metadata.get(layer)?.whenOff),
  };
}

/** What a command with this schema takes, in its order. */
export function describeOptions(schema: z.ZodObject): DescribedOptions {
  return Object.fromEntries(Object.entries(schema.shape).map(([name, entry]) => [name, describeOption(entry)]));
}

/** The defaults for `model`, of those options of a schema's shape whose default depends on it. */
export function defaultsFor(model: string, shape: Readonly<Record<string, z.core.$ZodType>>): Record<string, unknown> {
  const defaults = Object.entries(shape).map(([name, entry]) => [name, describeOption(entry).modelDefaults] as const);
  return Object.fromEntries(
    defaults.flatMap(([name, own]) =>
      own === undefined ? [] : [[name, Object.hasOwn(own, model) ? own[model] : own.any]],
    ),
  );
}

/** The schema and what it wraps: what may be absent, has a default, or becomes something else. */
function layersOf(schema: z.core.$ZodType): z.core.$ZodType[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault) return [schema, ...layersOf(schema.unwrap())];
  return schema instanceof z.ZodPipe ? [schema, ...layersOf(schema.in)] : [schema];
}

function first<T>(layers: readonly z.core.$ZodType[], read: (layer: z.core.$ZodType) => T): T | undefined {
  return layers.map(read).find((value) => value !== undefined);
}

/** Of a number or a text, a text that is a number is the number. */
function typeOf(schema: z.core.$ZodType): DescribedOption["type"] {
  if (schema instanceof z.ZodBoolean) return "switch";
  const kinds = schema instanceof z.ZodUnion ? schema.options : [schema];
  return kinds.some((kind) => kind instanceof z.ZodNumber) ? "number" : "text";
}

function placeholderOf(schema: z.core.$ZodType): string {
  if (schema instanceof z.ZodEnum) return schema.options.join("|");
  return schema instanceof z.ZodNumber ? "n" : "text";
}
