/** What names the networks that predict, in every line: the same for a checkpoint and for what was exported of it. */
import { sha256 } from "../utils/sha256.ts";

const shortHash = 12;

/**
 * Begins the SHA-256 of what `sha256sum` prints of the networks' files, sorted by name.
 * @param files SHA-256 of each network's file, by the network's name
 */
export function networksHash(files: ReadonlyMap<string, string>): string {
  const names = [...files.keys()].sort();
  return sha256(...names.map((name) => `${files.get(name)}  ${name}.safetensors\n`)).slice(0, shortHash);
}
