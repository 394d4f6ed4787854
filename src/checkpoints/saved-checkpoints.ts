/** What a run folder has saved: which files lie where, which checkpoints there are, and which of them its links name. */
import { readdirSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { fault, PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { isJsonObject } from "../files/json.ts";
import { isThere } from "../files/read.ts";
import { parseAs, readJson, readState, type State, verifyChecksum } from "./checkpoint.ts";
import { type SavedConfig, savedConfigSchema } from "./run-config.ts";

export const configName = "config.json";
export const checkpointsName = "checkpoints";
/** Ends the name of a checkpoint that was found damaged and set aside. */
export const damagedEnding = ".damaged";

export type LinkName = "best" | "last";

/** The checkpoint that a link names, as a folder name; undefined where there is no link. @throws system: it can't be read */
export function linkedName(path: string, link: LinkName): string | undefined {
  const where = join(path, link);
  try {
    return basename(readlinkSync(where));
  } catch (error) {
    // EINVAL: a file or a folder.
    const isNone = ["ENOENT", "ENOTDIR", "EINVAL"].includes((error as NodeJS.ErrnoException).code ?? "");
    if (isNone) return undefined;
    throw systemFault("could not be read", where, 0, error);
  }
}

/**
 * The checkpoints of a run folder with their numbers, oldest first; one whose state is damaged or missing counts as oldest.
 * @throws system: one that the disk does not give, which may be the newest
 */
export function listCheckpoints(path: string): { name: string; sequence: number }[] {
  const folder = join(path, checkpointsName);
  return namesIn(folder)
    .filter((name) => !name.startsWith(".") && !name.endsWith(damagedEnding))
    .map((name) => ({ name, sequence: wholeState(join(folder, name))?.sequence ?? 0 }))
    .sort((a, b) => a.sequence - b.sequence);
}

/** None where there is no such folder. @throws system */
function namesIn(folder: string): string[] {
  if (!isThere(folder)) return [];
  try {
    return readdirSync(folder);
  } catch (error) {
    throw systemFault("could not be read", folder, 0, error);
  }
}

/** What the checkpoint says that the link `last` names; undefined where there is none that is whole. @throws system */
export function lastState(path: string): State | undefined {
  const name = linkedName(path, "last");
  return name === undefined ? undefined : wholeState(join(path, checkpointsName, name));
}

/** Undefined where it is damaged or missing. @throws system: what can't be read may be whole */
function wholeState(folder: string): State | undefined {
  try {
    return readState(folder);
  } catch (error) {
    if (error instanceof PatchDropError && error.kind === "input") return undefined;
    throw error;
  }
}

/** What the run in a folder was started with. @throws input: no run, or a damaged configuration; system */
export function readRunConfig(path: string): SavedConfig {
  const file = join(path, configName);
  if (!isThere(file)) {
    const next = "leave out --resume to start one, or give the --cv_dir of a run";
    throw fault("input", { where: path, rule: `there is no run to resume (no ${configName})`, next });
  }
  const value = readJson(file, restored(path));
  const config = parseAs(savedConfigSchema, value, file);
  // Before 0.2.0 it had none.
  const hasChecksum = isJsonObject(value) && "sha256" in value;
  if (hasChecksum) verifyChecksum(value, file, restored(path));
  return config;
}

/** What to do about a configuration that is not as it was written. */
function restored(path: string): string {
  const checkpoint = join(path, checkpointsName, linkedName(path, "last") ?? "");
  return `restore it: state.json of a checkpoint holds the same as config; or name a checkpoint by itself, such as ${checkpoint}`;
}
