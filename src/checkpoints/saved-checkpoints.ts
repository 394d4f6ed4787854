/** What a run folder has saved: which files lie where, which checkpoints there are, and which of them its links name. */
import { existsSync, readdirSync, readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { fault } from "../errors.ts";
import { isJsonObject } from "../files/json.ts";
import { parseAs, readJson, readState, type State, verifyChecksum } from "./checkpoint.ts";
import { type SavedConfig, savedConfigSchema } from "./run-config.ts";

export const configName = "config.json";
export const checkpointsName = "checkpoints";
/** Ends the name of a checkpoint that was found damaged and set aside. */
export const damagedEnding = ".damaged";

export type LinkName = "best" | "last";

/** The checkpoint that a link names, as a folder name; undefined where there is no link. */
export function linkedName(path: string, link: LinkName): string | undefined {
  try {
    return basename(readlinkSync(join(path, link)));
  } catch {
    return undefined;
  }
}

/** The checkpoints of a run folder with their numbers, oldest first; one without a readable state counts as oldest. */
export function listCheckpoints(path: string): { name: string; sequence: number }[] {
  const folder = join(path, checkpointsName);
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names
    .filter((name) => !name.startsWith(".") && !name.endsWith(damagedEnding))
    .map((name) => ({ name, sequence: sequenceOf(join(folder, name)) }))
    .sort((a, b) => a.sequence - b.sequence);
}

function sequenceOf(folder: string): number {
  return stateIfReadable(folder)?.sequence ?? 0;
}

/** What the checkpoint says that the link `last` names; undefined where there is none that can be read. */
export function lastState(path: string): State | undefined {
  const name = linkedName(path, "last");
  return name === undefined ? undefined : stateIfReadable(join(path, checkpointsName, name));
}

function stateIfReadable(folder: string): State | undefined {
  try {
    return readState(folder);
  } catch {
    return undefined;
  }
}

/** What the run in a folder was started with. @throws input: no run, or a damaged configuration; system */
export function readRunConfig(path: string): SavedConfig {
  const file = join(path, configName);
  if (!existsSync(file)) {
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
