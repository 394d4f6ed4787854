/** A name for the weights of a checkpoint: the same for a run and for what was exported of it. */
import { sha256 } from "../utils/sha256.ts";

/** Characters of a hash that are printed. */
export const shortLength = 12;

/**
 * SHA-256 of what `sha256sum` prints of the networks' files, sorted by name.
 * @param files SHA-256 of each network's file, by the network's name
 */
export function networksHash(files: ReadonlyMap<string, string>): string {
  const names = [...files.keys()].sort();
  return sha256(...names.map((name) => `${files.get(name)}  ${name}.safetensors\n`));
}

/** Its beginning, to print. */
export function shortHash(files: ReadonlyMap<string, string>): string {
  return networksHash(files).slice(0, shortLength);
}
