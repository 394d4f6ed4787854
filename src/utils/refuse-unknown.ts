/** What a program in JavaScript misspells: no compiler tells it, and an option that nobody knows would change nothing. */
import { fault } from "../errors.ts";
import { didYouMean } from "./closest.ts";
import { kindOf } from "./kind-of.ts";

/**
 * @param known all names that there are
 * @param where whose options they are
 * @throws usage: no options at all; names that are none of them, all at once, with the nearest of those that are
 */
export function refuseUnknown(given: object, known: readonly string[], where: string): void {
  if (typeof given !== "object" || given === null) {
    throw fault("usage", { where, rule: `must be given ${known.join(", ")}`, got: kindOf(given) });
  }
  const unknown = Object.keys(given).filter((name) => !known.includes(name));
  if (unknown.length === 0) return;
  const faults = unknown.map((name) => ({
    where: `${where}: ${name}`,
    rule: "must be an option that there is",
    next: didYouMean(name, known) ?? `the options are ${known.join(", ")}`,
  }));
  throw fault("usage", faults);
}
