/** Whether a run that is resumed is the one that was begun. */

import { resolve } from "node:path";
import { type Fault, fault, PatchDropError } from "../errors.ts";
import { flat, type JsonObject, type JsonValue, toJson } from "../files/json.ts";
import type { RunDescription } from "./description.ts";
import { checkpointsIn, weightsOf } from "./named-weights.ts";
import { elsewhere, endsWithTraining, freeOptions, type RunConfig, type SavedConfig } from "./run-config.ts";

/** What older runs had without recording it. */
function formerOptions({ reward }: JsonObject): JsonObject {
  const added = {
    optimizer: "sgd",
    flips: "random",
    crop_padding: 4,
    random_masks: 0,
    val_fraction: 0,
    turns: false,
    rounds: 1,
    policy_head: "mean",
    price: 0.01,
  };
  return { ...added, ...(reward === undefined ? {} : { estimator: "self_critical" }) };
}

/**
 * Throws "locked" with every option, stage or data set that differs, old → new. The data may lie elsewhere, as long as they
 * are the same; there may be more epochs or fewer, unless the learning rate's schedule depends on their number. Returns a note
 * for each program of another version, and for another number of threads or ranks: the bits may then differ, or more. A checkpoint that the run started from may
 * have moved: its weights tell.
 */
export function compareConfigs(where: string, saved: SavedConfig, given: RunConfig): string[] {
  const free = endsWithTraining(saved.options.schedule) ? freeOptions : [...freeOptions, "max_epochs"];
  // What was not recorded can't be compared.
  const isDescribed = saved.description !== undefined;
  const fixed = ({ stage, options, dataset, description }: RunConfig): Map<string, JsonValue> => {
    const { fingerprint, test = null, val = null } = dataset;
    const learned = Object.entries({ ...formerOptions(options), ...options }).filter(([name]) => !free.includes(name));
    const data = toJson({ fingerprint, test, val, ...(isDescribed ? seenAs(description) : {}) });
    return new Map([["stage", stage], ...flat(Object.fromEntries(learned)), ...flat(data, "dataset.")]);
  };
  const options = { ...given.options, ...unmoved(saved, given.options) };
  const changed = changes(fixed(saved), fixed({ ...given, options }));
  if (changed.length > 0) {
    const rule = "must be resumed with its own options and data";
    const next = `give the old values, or start another run in ${elsewhere}`;
    const lines = changed.map(([name, change]): Fault => ({ where: `  ${name}`, rule: change }));
    throw fault("locked", [{ where, rule, next }, ...lines]);
  }
  const programs = ({ versions }: RunConfig) => new Map(Object.entries({ ranks: "1", ...versions }));
  return changes(programs(saved), programs(given)).map(([name, change]) => `${name}: ${change}; ${effectOf(name)}`);
}

/** What it does to a resumed run that a program, or the number of threads or ranks, is another. */
function effectOf(name: string): string {
  return name === "ranks"
    ? "without --shards, batch norm now sees other shares of each batch: the run goes on as another one would"
    : "the resumed run may differ in its last bits";
}

/** The options that name a checkpoint of the run's start by another path than the run did, as the run has them. */
function unmoved({ options, starts = {} }: SavedConfig, given: JsonObject): JsonObject {
  const moved = Object.entries(checkpointsIn(given)).filter(([name, path]) => {
    const was = options[name];
    return typeof was === "string" && was !== path && isSame(was, path, starts[name]);
  });
  return Object.fromEntries(moved.map(([name]) => [name, options[name]]));
}

/** @param weights of the checkpoint that was named `was`; where they are not known, its path has to do */
function isSame(was: string, path: string, weights: string | undefined): boolean {
  if (weights === undefined) return resolve(was) === resolve(path);
  try {
    return weightsOf(path) === weights;
  } catch (error) {
    if (error instanceof PatchDropError) return false; // none that could be the same
    throw error;
  }
}

/** What a data set says of its images that its fingerprint does not hold. */
function seenAs({ bands, transform, normalization }: Partial<RunDescription> = {}) {
  return { bands, transform, normalization };
}

/** Name and "old → new" of each entry that differs. */
function changes(
  before: ReadonlyMap<string, JsonValue>,
  after: ReadonlyMap<string, JsonValue>,
): (readonly [string, string])[] {
  const names = [...new Set([...before.keys(), ...after.keys()])];
  return names
    .filter((name) => JSON.stringify(before.get(name)) !== JSON.stringify(after.get(name)))
    .map((name) => [name, `${shown(before.get(name))} → ${shown(after.get(name))}`]);
}

function shown(value: JsonValue | undefined): string {
  if (value === undefined) return "(none)";
  const text = JSON.stringify(value);
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}
