/** Which files are images by their names, and what is said of the others. */
import { extname } from "node:path";

/** Files that are no images by their names: how many of each kind, in words. */
export type PassedOver = Readonly<Record<string, number>>;

const endings = new Set([".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"]);
/** Those, in words. */
export const imageEndings = [...endings].join(", ");
/** Number of kinds of files that are named where some are passed over. */
const mostKinds = 5;

export function isImageName(file: string): boolean {
  return endings.has(extname(file).toLowerCase());
}

/** Counts a file or folder that is passed over. @param where in words, if it is not where images lie */
export function passOver(counts: Map<string, number>, name: string, where = ""): void {
  const kind = `${extname(name).toLowerCase() || "files or folders without an ending"}${where}`;
  counts.set(kind, 1 + (counts.get(kind) ?? 0));
}

/** "passed over: 12 .bmp, 1 .txt; …", the commonest first; undefined where there is nothing. @param what is not */
export function passedOverText(passedOver: PassedOver, what: string): string | undefined {
  const sorted = Object.entries(passedOver).sort(([, a], [, b]) => b - a);
  if (sorted.length === 0) return undefined;
  const shown = sorted.slice(0, mostKinds).map(([kind, number]) => `${number.toLocaleString("en")} ${kind}`);
  const more = sorted.length > mostKinds ? `, and ${sorted.length - mostKinds} other kinds` : "";
  return `passed over: ${shown.join(", ")}${more}; ${what} ${imageEndings}`;
}
