/**
 * Files about a checkpoint's weights, beside them: within the checkpoint's folder, or, of a checkpoint that is one file, as `<file>.<name>`.
 * Each is JSON that names the weights by their hash, holds for no others, and has a checksum.
 */
import { statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { fault } from "../errors.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { isJsonObject } from "../files/json.ts";
import { isThere, readBytes } from "../files/read.ts";
import { sha256 } from "../utils/sha256.ts";
import { parseAs, readJson, readState, verifyChecksum, withChecksum } from "./checkpoint.ts";
import { networksHash } from "./networks-hash.ts";

/** The fields that each such file has besides its own, for its schema. */
export const aboutWeights = {
  format: z.literal(1),
  /** SHA-256, see `weightsHash`. */
  checkpoint: z.string().regex(/^[0-9a-f]{64}$/),
  sha256: z.string(),
};

interface AboutWeights {
  readonly format: 1;
  readonly checkpoint: string;
  readonly sha256?: string | undefined;
}

/** One kind of such files. */
export interface BesideWeights<T extends AboutWeights> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
  readonly made: "calibrated for" | "measured with";
  /** What to do about one that cannot be used. */
  readonly again: string;
  /** Files of 0.1 have no checksum. */
  readonly mayLackChecksum?: boolean;
}

/** What such a file says itself. */
type Own<T extends AboutWeights> = Omit<T, keyof AboutWeights>;

/**
 * What lies beside a checkpoint, and the hash of the weights that it is about; undefined where nothing does.
 * @param path the checkpoint's folder or file, as `openCheckpoint` gives it
 * @throws input: a file that is damaged, or about other weights; system
 */
export function readBesideWeights<T extends AboutWeights>(
  path: string,
  kind: BesideWeights<T>,
): { readonly own: Own<T>; readonly checkpoint: string } | undefined {
  const { name, schema, made, again, mayLackChecksum = false } = kind;
  const file = besideWeights(path, name);
  if (!isThere(file)) return undefined;
  const value = readJson(file, again);
  const isOld = mayLackChecksum && !(isJsonObject(value) && "sha256" in value);
  if (!isOld) verifyChecksum(value, file, again);
  const { format: _, checkpoint, sha256: __, ...own } = parseAs(schema, value, file);
  if (checkpoint === weightsHash(path)) return { own, checkpoint };
  throw fault("input", { where: file, rule: `must have been ${made} the weights beside it`, next: again });
}

/** Puts it beside a checkpoint, in place of what was there, and returns the file. @throws system */
export function writeBesideWeights<T extends AboutWeights>(path: string, kind: BesideWeights<T>, own: Own<T>): string {
  const file = besideWeights(path, kind.name);
  const stored = withChecksum({ format: 1, ...own, checkpoint: weightsHash(path) });
  writeFileAtomic(file, new TextEncoder().encode(`${JSON.stringify(stored, null, 2)}\n`));
  return file;
}

/** Where the file of that name lies. */
export function besideWeights(path: string, name: string): string {
  return statSync(path).isDirectory() ? join(path, name) : `${path}.${name}`;
}

/** Names the weights: the networks of a checkpoint's folder, or the bytes of a checkpoint in one file. */
export function weightsHash(path: string): string {
  if (!statSync(path).isDirectory()) return sha256(readBytes(path));
  const files = Object.entries(readState(path).files).filter(([name]) => name !== "optimizer.safetensors");
  return networksHash(new Map(files.map(([name, file]) => [name.replace(".safetensors", ""), file.sha256])));
}
