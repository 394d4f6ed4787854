/** Finding and making elements, with types. */

/** The element of that id, which index.html has. */
export function byId<K extends keyof HTMLElementTagNameMap>(id: string, tag: K): HTMLElementTagNameMap[K] {
  const found = document.getElementById(id);
  if (found?.localName !== tag) throw new Error(`the page has no ${tag} with the id ${id}`);
  return found as HTMLElementTagNameMap[K];
}

/** An element with attributes; texts among its children become text, never markup. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** A text that only screen readers have. */
export function unseen(text: string): HTMLElement {
  return make("span", { class: "unseen" }, text);
}

/** 0.876 is "88 %"; what is neither none nor all does not look like it. */
export function percent(share: number): string {
  const rounded = Math.round(share * 100);
  if (rounded === 0 && share > 0) return "<\u20091\u00a0%";
  if (rounded === 100 && share < 1) return ">\u200999\u00a0%";
  return `${rounded}\u00a0%`;
}

/** 1024 is "1,024". */
export function whole(count: number): string {
  return count.toLocaleString("en");
}

/** "1 patch", "2 patches". */
export function patchesOf(count: number): string {
  return count === 1 ? "1 patch" : `${count} patches`;
}
