/** JSON values as types, the check that writing one as text loses nothing, and JSON as Python writes it. */

import { fault } from "../errors.ts";

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: JsonValue;
}

/** Throws "internal" for a number that JSON cannot hold (it would silently become null); `where` names the value. */
export function assertJson(value: JsonValue, where: string): void {
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw fault("internal", { where, rule: "must be finite to be saved as JSON", got: value });
  }
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) assertJson(item, `${where}.${key}`);
}

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Nested objects as dotted names: those of `{ a: { b: 1 } }` are "a.b". */
export function flat(value: JsonObject, prefix = ""): [string, JsonValue][] {
  return Object.entries(value).flatMap(([name, item]): [string, JsonValue][] =>
    isJsonObject(item) ? flat(item, `${prefix}${name}.`) : [[`${prefix}${name}`, item]],
  );
}

/** What {@link flat} gives of a plain object, with the values as texts. */
export function flatTexts(value: object): Map<string, string> {
  const text = (item: JsonValue) => (typeof item === "string" ? item : JSON.stringify(item));
  return new Map(flat(toJson(value)).map(([name, item]) => [name, text(item)]));
}

/** A plain object as JSON holds it: entries that are undefined are left out. */
export function toJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

/**
 * JSON as Python writes it: a byte order mark may stand before it, and its `json.dump` has NaN, Infinity and -Infinity, which
 * become null. Texts are stepped over; one that does not end is left to the parser.
 * @throws SyntaxError
 */
export function parsePythonJson(text: string): unknown {
  const textOrNumber = /"(?:[^"\\]|\\.?)*"?|-?\b(?:NaN|Infinity)\b/gs;
  const json = text.replace(/^\ufeff/, "").replace(textOrNumber, (found) => (found[0] === '"' ? found : "null"));
  return JSON.parse(json);
}
