/** Files that stand beside another one and are named after it: temporary ones, locks. */
import { lstatSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { nearestExisting } from "../utils/make-missing.ts";
import { sha256 } from "../utils/sha256.ts";

/** In bytes: the least that file systems in common use take for a name (eCryptfs; most take 255). */
const longestName = 143;

/**
 * The place beside `path` whose name is that of `path` between `before` and `after`. It fits wherever the name of `path` does: of a long one,
 * a hash stands for the end.
 */
export function placeBeside(path: string, before: string, after: string): string {
  const room = longestName - Buffer.byteLength(before + after);
  return join(dirname(path), `${before}${shortened(basename(path), room)}${after}`);
}

function shortened(name: string, mostBytes: number): string {
  if (Buffer.byteLength(name) <= mostBytes) return name;
  const end = `~${sha256(name).slice(0, 16)}`;
  let begin = "";
  for (const character of name) {
    if (Buffer.byteLength(begin + character + end) > mostBytes) break;
    begin += character;
  }
  return begin + end;
}

/**
 * Whether the file system refuses the name, or the path, as too long; whether something lies there does not matter, nor whether its
 * folder does. Only a look at it tells: how long a name may be, Node does not say.
 */
export function isTooLong(path: string): boolean {
  return [path, join(nearestExisting(dirname(path)), basename(path))].some((place) => {
    try {
      lstatSync(place);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === "ENAMETOOLONG";
    }
  });
}
