/**
 * HTML as a value: what goes into a template is escaped unless it is markup already, so that a class name from a data
 * set can't become part of the page, or turn the text behind it about.
 */

import { unseenCharacters } from "../errors.ts";

/** A piece of HTML that is safe to insert as it is. */
export class Markup {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

type Insert = string | number | Markup | readonly Markup[];

/** Template tag: strings and numbers are escaped, markup and lists of markup are inserted as they are. */
export function html(parts: TemplateStringsArray, ...inserts: readonly Insert[]): Markup {
  const texts = inserts.map((insert, i) => inserted(insert) + parts[i + 1]);
  return new Markup(parts[0] + texts.join(""));
}

/** Text for an element or a quoted attribute. */
function escapeHtml(text: string): string {
  const seen = text.replace(unseenCharacters, (character) => ("\t\n\r".includes(character) ? character : "\uFFFD"));
  return seen.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function inserted(insert: Insert): string {
  if (insert instanceof Markup) return insert.toString();
  if (typeof insert === "object") return insert.join("\n");
  return escapeHtml(String(insert));
}
