/**
 * Which files the arguments of `patchdrop predict` mean: a file; a folder, for the images below it; a pattern of `*`,
 * `?` and `**`, for the images that match it (Node 20 has no glob of its own); `-`, for a list of paths. No image is
 * opened: whether a named file can be read shows when its turn comes.
 */

import type { Dirent } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { isAbsolute, join, sep } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { imageEndings, isImageName, passedOverText, passOver } from "../data/image-names.ts";
import { fault } from "../errors.ts";

/**
 * Paths in the order of the arguments, each once; those of a folder or pattern sorted. There, what counts as an image its name
 * says, and hidden files never do; a file that is named may end as it likes.
 * @param list has the paths that `-` stands for, one a line
 * @param note hears what a folder or pattern has that is no image by its name
 * @throws input: a folder, pattern or list without images; system: a folder that can't be read
 */
export async function findImages(
  args: readonly string[],
  list: Readable,
  note: (text: string) => void = () => {},
): Promise<string[]> {
  const found = new Set<string>();
  for (const argument of args) {
    for await (const path of argument === "-" ? linesOf(list) : await pathsOf(argument, note)) found.add(path);
  }
  return [...found];
}

async function* linesOf(list: Readable): AsyncGenerator<string> {
  let isEmpty = true;
  for await (const line of createInterface({ input: list, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === "") continue;
    isEmpty = false;
    yield line;
  }
  if (!isEmpty) return;
  throw fault("input", { where: "-", rule: "must have the path of at least one image, one a line", got: "nothing" });
}

async function pathsOf(argument: string, note: (text: string) => void): Promise<readonly string[]> {
  const search = await searchFor(argument);
  return search === undefined ? [argument] : imagesOf(argument, search, note);
}

/** A folder, and the segments of a pattern that is looked for below it. */
interface Search {
  readonly root: string;
  readonly segments: readonly string[];
}

/** Undefined where the argument is the path of a file. */
async function searchFor(argument: string): Promise<Search | undefined> {
  const there = await stat(argument).catch(() => undefined);
  if (there?.isDirectory()) return { root: argument, segments: ["**"] };
  if (there !== undefined || !isPattern(argument)) return undefined;
  const segments = argument.split(sep).filter((segment) => segment !== "");
  const plain = segments.findIndex(isPattern);
  const root = join(isAbsolute(argument) ? sep : "", ...segments.slice(0, plain));
  return { root, segments: segments.slice(plain) };
}

function isPattern(text: string): boolean {
  return /[*?]/.test(text);
}

async function imagesOf(argument: string, { root, segments }: Search, note: (text: string) => void): Promise<string[]> {
  const whole = segments.at(-1) === "**" ? [...segments, "*"] : segments;
  const found = new Set<string>();
  for await (const path of walk(root, whole)) found.add(path);
  const passedOver = new Map<string, number>();
  const sorted = [...found].sort();
  for (const path of sorted) if (!isImageName(path)) passOver(passedOver, path);
  const text = passedOverText(Object.fromEntries(passedOver), "images end in");
  if (text !== undefined) note(`${argument}: ${text}`);
  const images = sorted.filter(isImageName);
  if (images.length > 0) return images;
  const next = `their names end in ${imageEndings}`;
  throw fault("input", { where: argument, rule: "must stand for at least one image", next });
}

/** The paths below a folder that match a pattern's segments. Links to folders are not followed by `**`. */
async function* walk(folder: string, [segment, ...rest]: readonly string[]): AsyncGenerator<string> {
  const entries = await entriesOf(folder);
  if (segment === "**") {
    yield* walk(folder, rest);
    for (const entry of entries) {
      if (entry.isDirectory() && !entry.name.startsWith(".")) yield* walk(join(folder, entry.name), [segment, ...rest]);
    }
    return;
  }
  const pattern = patternOf(segment);
  for (const entry of entries) {
    if (!pattern.test(entry.name)) continue;
    const path = join(folder, entry.name);
    if (rest.length > 0) yield* walk(path, rest);
    else if (!entry.isDirectory()) yield path;
  }
}

/** One segment of a pattern; its `*` and `?` do not stand for the dot of a hidden name. */
function patternOf(segment: string): RegExp {
  const literal = segment.replace(/[\\^$+.()|[\]{}]/g, "\\$&");
  const visible = isPattern(segment[0]) ? "(?!\\.)" : "";
  return new RegExp(`^${visible}${literal.replaceAll("*", ".*").replaceAll("?", ".")}$`, "su");
}

/** Nothing where the path is no folder, as of a file that a pattern passes. */
async function entriesOf(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder === "" ? "." : folder, { withFileTypes: true });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw fault("system", { where: folder, rule: "must be a folder that can be read", got: message }, error);
  }
}
