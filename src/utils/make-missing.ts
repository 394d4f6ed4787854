/**
 * What there is of a path, and making the folders that are missing. Node's own recursion says of a read-only file system that
 * the folder is not there, and does not end in one that says so of a new folder, as /proc does.
 */
import { existsSync, mkdirSync, realpathSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

/** The folder, or the nearest above it that is there. */
export function nearestExisting(path: string): string {
  let at = resolve(path);
  while (!existsSync(at)) at = dirname(at);
  return at;
}

/** Where a path leads, links followed, whether or not there is something at its end: of one file there is one answer. */
export function realPlace(path: string): string {
  const there = nearestExisting(path);
  return join(realpathSync.native(there), relative(there, resolve(path)));
}

/** Makes a folder and those above it, where they are missing; returns those, the outermost first. Throws what Node throws. */
export function makeMissing(path: string): readonly string[] {
  const missing: string[] = [];
  for (let at = resolve(path); !existsSync(at); at = dirname(at)) missing.push(at);
  if (missing.length === 0) mkdirSync(path, { recursive: true }); // refuses what is there and no folder
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder);
    } catch (error) {
      // Another process may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    }
  }
  return missing;
}
