/**
 * A checkpoint: a folder with one `<network>.safetensors` for each network, `optimizer.safetensors`, and `state.json`,
 * which holds the rest and the size and SHA-256 of each file. A network's file loads in PyTorch with
 * `load_state_dict(safetensors.torch.load_file(path))`. The run's configuration is in `state.json` too, so that the
 * folder can be moved or sent alone.
 */

import { join } from "node:path";
import { z } from "zod";
import { type Fault, fault } from "../errors.ts";
import { writeFolderAtomic } from "../files/atomic.ts";
import { assertJson, isJsonObject, type JsonObject } from "../files/json.ts";
import { readBytesIfAny } from "../files/read.ts";
import { decodeSafetensors, encodeSafetensors, type StateDict } from "../formats/safetensors.ts";
import { sha256 } from "../utils/sha256.ts";
import { type SavedConfig, savedConfigSchema } from "./run-config.ts";

/** A checkpoint as it was read. */
export interface Checkpoint {
  /** The folder that it was read from. */
  readonly path: string;
  /** By the reference's names: `agent`, `resnet_hr`, `resnet_lr`. */
  readonly networks: ReadonlyMap<string, StateDict>;
  readonly optimizer: StateDict;
  /** What the stage saved: epoch, step, metrics. */
  readonly progress: JsonObject;
  readonly config: SavedConfig;
}

/** What a stage saves. */
export interface CheckpointContents {
  readonly networks: ReadonlyMap<string, StateDict>;
  readonly optimizer: StateDict;
  readonly progress: JsonObject;
}

/** What the run folder adds. */
export interface CheckpointRecord {
  /** Counts the saves of a run: a later checkpoint has a larger number. */
  readonly sequence: number;
  /** Bytes of each log when the checkpoint was made, by file name. */
  readonly logs: Readonly<Record<string, number>>;
  /** SHA-256 of these bytes, by file name; none of before 0.2.0. */
  readonly logHashes?: Readonly<Record<string, string>> | undefined;
  readonly config: SavedConfig;
}

export const stateName = "state.json";
const optimizerName = "optimizer";
const fileEnding = ".safetensors";
/** Names of networks become names of files. */
const networkPattern = /^[a-z][\w-]*$/i;

const hash = z.string().regex(/^[0-9a-f]{64}$/);
const logName = z.string().regex(/^[\w-][\w.-]*$/);

const stateSchema = z.object({
  format: z.literal(1),
  sequence: z.int().nonnegative(),
  files: z.record(
    z.string().regex(/^[a-z][\w-]*\.safetensors$/i),
    z.object({ bytes: z.int().nonnegative(), sha256: hash }),
  ),
  logs: z.record(logName, z.int().nonnegative()),
  logHashes: z.record(logName, hash).optional(),
  progress: z.custom<JsonObject>(isJsonObject, "must be an object"),
  config: savedConfigSchema,
});
export type State = z.infer<typeof stateSchema>;

/**
 * The reference's name of a checkpoint, `ckpt_E_<epoch>_A_<accuracy>_R_<reward>`: numbers of the test after that epoch, and
 * none where there was no test. `S_<step>` marks a checkpoint that was made within an epoch.
 */
export function checkpointName({ epoch, step, tested }: NamedCheckpoint): string {
  const within = step > 0 ? `_S_${step}` : "";
  if (tested === undefined) return `ckpt_E_${epoch}${within}`;
  return `ckpt_E_${epoch}_A_${tested.accuracy.toFixed(3)}_R_${(tested.reward ?? 0).toFixed(2)}${within}`;
}

export interface NamedCheckpoint {
  readonly epoch: number;
  /** Steps of the epoch after it that are done. */
  readonly step: number;
  readonly tested?: { readonly accuracy: number; readonly reward?: number | undefined } | undefined;
}

/**
 * Writes the folder `path`, which must not exist; it appears whole or not at all. An optimizer that holds nothing is left out.
 * Throws "system".
 */
export function writeCheckpoint(path: string, contents: CheckpointContents, record: CheckpointRecord): void {
  assertJson(contents.progress, "progress");
  const bad = [...contents.networks.keys()].find((name) => !networkPattern.test(name) || name === optimizerName);
  if (bad !== undefined)
    throw fault("internal", { where: "checkpoint", rule: "a network's name must name a file", got: bad });
  const files = new Map<string, Uint8Array>();
  const optimizer = contents.optimizer.size === 0 ? [] : [[optimizerName, contents.optimizer] as const];
  for (const [name, tensors] of [...contents.networks, ...optimizer]) {
    files.set(`${name}${fileEnding}`, encodeSafetensors(tensors, { format: "pt" }));
  }
  const listed = [...files].map(([name, bytes]) => [name, { bytes: bytes.byteLength, sha256: sha256(bytes) }] as const);
  const { sequence, logs, logHashes, config } = record;
  const { progress } = contents;
  const state = { format: 1, sequence, files: Object.fromEntries(listed), logs, logHashes, progress, config };
  files.set(stateName, new TextEncoder().encode(`${JSON.stringify(withChecksum(state), null, 1)}\n`));
  writeFolderAtomic(path, files);
}

/**
 * Reads the checkpoint folder `path`. Throws "input" with every file whose size or SHA-256 is not the one that
 * `state.json` lists, "system" where a file cannot be read.
 */
export function readCheckpoint(path: string): Checkpoint & CheckpointRecord {
  const { files, progress, config, sequence, logs, logHashes } = readState(path);
  const faults: Fault[] = [];
  const networks = new Map<string, StateDict>();
  let optimizer: StateDict = new Map();
  for (const [file, listed] of Object.entries(files)) {
    const where = join(path, file);
    const bytes = readBytesIfAny(where);
    const wrong = bytes === undefined ? { rule: "is missing" } : checksumFault(bytes, listed);
    if (wrong !== undefined) faults.push({ where, ...wrong, next: "use another checkpoint" });
    if (bytes === undefined || faults.length > 0) continue;
    const { tensors } = decodeSafetensors(bytes, where);
    const name = file.slice(0, -fileEnding.length);
    if (name === optimizerName) optimizer = tensors;
    else networks.set(name, tensors);
  }
  if (faults.length > 0) throw fault("input", faults);
  return { path, networks, optimizer, progress, config, sequence, logs, logHashes };
}

/** Reads and checks `state.json` of the checkpoint folder `path`. Throws "input", "system". */
export function readState(path: string): State {
  const where = join(path, stateName);
  const value = readJson(where, "use another checkpoint");
  const state = parseAs(stateSchema, value, where);
  verifyChecksum(value, where, "use another checkpoint");
  return state;
}

/** What a JSON file is to hold, with a checksum over its JSON without spaces and without the checksum. */
export function withChecksum<T extends object>(value: T): T & { sha256: string } {
  return { ...value, sha256: sha256(JSON.stringify(value)) };
}

/** Computes the checksum of {@link withChecksum} again. Throws "input", with what to do `next`, where it is another or none. */
export function verifyChecksum(value: unknown, where: string, next: string): void {
  const { sha256: stated, ...rest } = isJsonObject(value) ? value : {};
  if (stated === sha256(JSON.stringify(rest))) return;
  throw fault("input", { where, rule: "does not match its own checksum", next });
}

/** Reads a JSON file. Throws "input", with what to do `next`, where it is missing or no JSON; "system" otherwise. */
export function readJson(path: string, next: string): unknown {
  const bytes = readBytesIfAny(path);
  if (bytes === undefined) throw fault("input", { where: path, rule: "is missing", next });
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw fault("input", { where: path, rule: "must be JSON", got: (error as Error).message, next });
  }
}

/** Checks a file's JSON against a schema. Throws "input" with all faults, by field. */
export function parseAs<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw fault(
    "input",
    result.error.issues.slice(0, 20).map(({ path, message }) => ({
      where: path.length === 0 ? where : `${where}: ${path.join(".")}`,
      rule: message,
    })),
  );
}

function checksumFault(bytes: Uint8Array, listed: { bytes: number; sha256: string }): Omit<Fault, "where"> | undefined {
  if (bytes.byteLength !== listed.bytes) return { rule: `must have ${listed.bytes} bytes`, got: bytes.byteLength };
  const found = sha256(bytes);
  return found === listed.sha256 ? undefined : { rule: `must have the SHA-256 ${listed.sha256}`, got: found };
}
