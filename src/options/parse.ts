/** Checks what a command line or a file gives against a schema, and puts everything that is wrong into words. */
import { z } from "zod";
import { type Fault, fault } from "../errors.ts";
import { didYouMean } from "../utils/closest.ts";

/**
 * The options of `command` as its schema gives them; `prefix` precedes each name in an error.
 * @throws kind "usage" with all faults at once, each naming the flag, the rule and the value
 */
export function parseWith<T>(schema: z.ZodType<T>, given: Record<string, unknown>, command: string, prefix = "--"): T {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const help = `see \`patchdrop ${command} --help\``;
  const unknown = `must be an option of ${command}`;
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
  const nearest = ({ where, rule }: Fault) =>
    rule === unknown ? didYouMean(where.slice(prefix.length), known) : undefined;
  // A program in JavaScript may give none at all.
  const named = given instanceof Object ? prefix : "options";
  const faults = faultsOf(result.error, given, named, unknown);
  throw fault(
    "usage",
    faults.map((one) => ({ ...one, next: nearest(one) ?? help })),
  );
}

/** What a schema found wrong in `given`, in words; `unknown` is the rule that a key outside the schema broke. */
export function faultsOf(error: z.ZodError, given: unknown, prefix: string, unknown: string): Fault[] {
  return error.issues.flatMap((issue) => {
    const place = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        where: `${prefix}${[...issue.path, key].join(".")}`,
        rule: unknown,
        got: at(given, [...issue.path, key]),
      }));
    }
    const found = at(given, issue.path);
    // A switch that is on has no value to show.
    const shown = issue.code === "custom" && found === true ? undefined : found;
    return [{ where: `${prefix}${place}`, rule: ruleOf(issue, found), got: shown === null ? "nothing" : shown }];
  });
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  const inside = (outer: unknown, key: PropertyKey): unknown =>
    typeof outer === "object" && outer !== null ? Reflect.get(outer, key) : undefined;
  return path.reduce(inside, value);
}

const kinds: Record<string, string> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  record: "keys with values",
  object: "keys with values",
};

/** What must hold, in words: the schema's own, where it has some. */
function ruleOf(issue: z.core.$ZodIssue, given: unknown): string {
  if (issue.code === "invalid_key") return issue.issues[0].message;
  if (given === undefined) return "must be given";
  if (issue.message.startsWith("must ")) return issue.message;
  if (issue.code === "invalid_type") return `must be ${kinds[issue.expected] ?? issue.expected}`;
  if (issue.code === "too_small") return `must be ${issue.inclusive ? "at least" : "above"} ${issue.minimum}`;
  if (issue.code === "too_big") return `must be ${issue.inclusive ? "at most" : "below"} ${issue.maximum}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.join(", ")}`;
  return issue.message;
}
