/**
 * Makes folders. Node's own recursion says of a read-only file system that the folder is not there, and does not end in one
 * that says so of a new folder, as /proc does.
 */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** The folder, or the nearest above it that is there. */
export function nearestExisting(path: string): string {
  let at = resolve(path);
  while (!existsSync(at)) at = dirname(at);
  return at;
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
