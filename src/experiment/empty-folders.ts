/** Folders that work made and then had nothing for. */
import { existsSync, readdirSync, rmdirSync } from "node:fs";
import path from "node:path";

/** Does the work; where it fails, `folder` and those around it that were not there before are removed if they are empty. */
export async function withoutEmptyFolders<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const missing = missingFolders(path.resolve(folder));
  try {
    return await work();
  } catch (error) {
    for (const one of missing) if (existsSync(one) && readdirSync(one).length === 0) rmdirSync(one);
    throw error;
  }
}

/** Innermost first. */
function missingFolders(folder: string): string[] {
  return existsSync(folder) ? [] : [folder, ...missingFolders(path.dirname(folder))];
}
