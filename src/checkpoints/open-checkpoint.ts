/** Finding the checkpoint that a user means: a run folder, one of its checkpoints, a file, or `patchdrop:NAME`. Reads only. */

import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Fault, fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { isThere } from "../files/read.ts";
import type { StateDict } from "../formats/safetensors.ts";
import { type Checkpoint, readCheckpoint, readState, stateName } from "./checkpoint.ts";
import { readForeignCheckpoint, unknownRun, unnamedNetwork } from "./foreign-checkpoint.ts";
import { placeOf } from "./packaged.ts";
import type { SavedConfig } from "./run-config.ts";
import { checkpointsName, configName, linkedName, listCheckpoints, readRunConfig } from "./saved-checkpoints.ts";

/**
 * Opens the checkpoint that a user names: a checkpoint folder; a run folder, whose `best` is taken, else its `last`; or a
 * `.safetensors` or PyTorch file, whose run is unknown; or one that comes with the program (packaged.ts). Checks every file's size and SHA-256 where a folder lists them.
 * Throws "input" with what to give instead, "unsafe" and "resource" for a file that is refused, "system" where one
 * cannot be read.
 * @param note hears what a file of another program holds and is not taken
 */
export function openCheckpoint(named: string, note?: (text: string) => void): Checkpoint {
  const path = placeOf(named);
  if (!isFolder(path)) {
    const folder = dirname(path);
    if (isThere(join(folder, stateName))) throw wrong(path, "a checkpoint is a folder", `give ${folder}`);
    if (isExportedModel(path)) throw wrong(path, "is an exported model", insteadOfExported("its folder with "));
    return readForeignCheckpoint(path, note);
  }
  const { networks, optimizer, progress, config, path: folder } = readCheckpoint(find(path));
  return { path: folder, networks, optimizer, progress, config };
}

/** The run that made the checkpoint, whose networks are not read. @throws as {@link openCheckpoint} */
export function configOfCheckpoint(named: string): SavedConfig {
  const path = placeOf(named);
  return isFolder(path) ? readState(find(path)).config : unknownRun;
}

/** The folder or the file of the checkpoint that a user means. @throws input */
export function pathOfCheckpoint(named: string): string {
  const path = placeOf(named);
  return isFolder(path) ? find(path) : path;
}

/** The checkpoint's network of that name; a file with a single unnamed network gives it for any name. */
export function networkOf({ networks }: Checkpoint, name: string): StateDict | undefined {
  return networks.get(name) ?? networks.get(unnamedNetwork);
}

/**
 * The same, and how errors name it.
 * @param flag that named the checkpoint
 * @throws input: a checkpoint without that network
 */
export function savedNetwork(checkpoint: Checkpoint, name: string, flag?: string): { state: StateDict; where: string } {
  const state = networkOf(checkpoint, name);
  const where = flag === undefined ? checkpoint.path : `${flag} ${checkpoint.path}`;
  if (state !== undefined) return { state, where: `${where}: ${name}` };
  throw fault("input", {
    where,
    rule: `must hold the network ${name}`,
    got: [...checkpoint.networks.keys()].join(", "),
    next: "give a checkpoint of a stage that trains it",
  });
}

/** The checkpoint folder that a run or checkpoint folder stands for. */
function find(path: string): string {
  if (isThere(join(path, stateName))) return path;
  if (!isThere(join(path, configName)) && !isThere(join(path, checkpointsName))) {
    if (holdsExportedModels(path)) {
      throw wrong(path, "holds exported models", insteadOfExported());
    }
    throw wrong(path, `is neither a run folder (no ${configName}) nor a checkpoint (no ${stateName})`, anyFolder);
  }
  const name = linkedName(path, "best") ?? linkedName(path, "last");
  if (name !== undefined) {
    // Where a run folder no longer says what its checkpoint says, one of the two was changed.
    if (isThere(join(path, configName))) readRunConfig(path);
    return join(path, checkpointsName, name);
  }
  const newest = listCheckpoints(path).at(-1);
  if (newest === undefined) throw wrong(path, "the run has made no checkpoint yet", "let it train longer");
  const next = `give ${join(path, checkpointsName, newest.name)}`;
  throw wrong(path, "the run folder has neither best nor last", next);
}

const isExportedModel = (file: string) => file.endsWith(".onnx");
const insteadOfExported = (folder = "") =>
  `give ${folder}--engine onnx to predict or acquire, or the run that was exported`;
const anyFolder = "give the --cv_dir of a run or one of its checkpoints";

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw wrong(path, "does not exist", anyFolder);
    throw systemFault("could not be read", path, 0, error);
  }
}

function holdsExportedModels(folder: string): boolean {
  try {
    return readdirSync(folder).some(isExportedModel);
  } catch (error) {
    throw systemFault("could not be read", folder, 0, error);
  }
}

function wrong(where: string, rule: string, next: Fault["next"]): PatchDropError {
  return fault("input", { where, rule, next });
}
