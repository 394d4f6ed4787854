/** Finding the checkpoint that a user means by a path: a run folder, or one of its checkpoints. Reads only. */

import { existsSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Fault, fault, type PatchDropError } from "../errors.ts";
import { systemFault } from "./atomic.ts";
import { type Checkpoint, readCheckpoint, stateName } from "./checkpoint.ts";
import { checkpointsName, configName, linkedName, listCheckpoints } from "./run-folder.ts";

/**
 * Opens the checkpoint at `path`: a checkpoint folder, or a run folder, whose `best` is taken, else its `last`. Checks
 * every file's size and SHA-256. Throws "input" with what to give instead, "system" where a file cannot be read.
 */
export function openCheckpoint(path: string): Checkpoint {
  const { networks, optimizer, progress, config, path: folder } = readCheckpoint(find(path));
  return { path: folder, networks, optimizer, progress, config };
}

function find(path: string): string {
  if (!isFolder(path)) throw wrong(path, "a checkpoint is a folder", `give ${dirname(path)}`);
  if (existsSync(join(path, stateName))) return path;
  if (!existsSync(join(path, configName)) && !existsSync(join(path, checkpointsName))) {
    throw wrong(path, `is neither a run folder (no ${configName}) nor a checkpoint (no ${stateName})`, anyFolder);
  }
  const name = linkedName(path, "best") ?? linkedName(path, "last");
  if (name !== undefined) return join(path, checkpointsName, name);
  const names = listCheckpoints(path).map((saved) => saved.name);
  if (names.length === 0) throw wrong(path, "the run has made no checkpoint yet", "let it train longer");
  throw wrong(
    path,
    "the run folder has neither best nor last",
    `give ${join(path, checkpointsName, names.at(-1) ?? "")}`,
  );
}

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

function wrong(where: string, rule: string, next: Fault["next"]): PatchDropError {
  return fault("input", { where, rule, next });
}
