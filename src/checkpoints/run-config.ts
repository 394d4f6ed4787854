/** What a run was started with: written to its folder and into each checkpoint, compared when the run is resumed. */

import { z } from "zod";
import { type Fault, fault } from "../errors.ts";
import { isJsonObject, type JsonObject, type JsonValue, toJson } from "../files/json.ts";
import { descriptionSchema, type RunDescription } from "./description.ts";

export interface RunConfig {
  /** The subcommand, e.g. "pretrain". */
  readonly stage: string;
  /** All options with their values, those left at their defaults included. */
  readonly options: JsonObject;
  /** Programs by name: patchdrop, node, libtorch. */
  readonly versions: Readonly<Record<string, string>>;
  /** What the run's networks are and how they are fed; none of before 0.2.0. */
  readonly description?: RunDescription | undefined;
  /** The data set as it was listed; `fingerprint` is that of its splits. */
  readonly dataset: { readonly name: string; readonly fingerprint: string } & JsonObject;
  /** The weights (`weightsHash`) of the judges of each fold, which a resumed run opens again; none of a run without. */
  readonly judges?: Readonly<Record<string, string>> | undefined;
}

export interface SavedConfig extends RunConfig {
  readonly format: 1;
  /** ISO 8601, UTC. */
  readonly created: string;
}

const jsonObject = z.custom<JsonObject>(isJsonObject, "must be an object");

export const savedConfigSchema = z.object({
  format: z.literal(1),
  stage: z.string(),
  options: jsonObject,
  versions: z.record(z.string(), z.string()),
  description: descriptionSchema.optional(),
  dataset: z.custom<RunConfig["dataset"]>(
    (value) => isJsonObject(value) && typeof value.name === "string" && typeof value.fingerprint === "string",
    "must be an object with name and fingerprint",
  ),
  judges: z.record(z.string(), z.string()).optional(),
  created: z.string(),
});

/**
 * Options that change neither what was learned so far nor what will be: a resumed run may have others. What its judges are,
 * their weights say, wherever they lie.
 */
export const freeOptions: readonly string[] = [
  ...[
    "cv_dir",
    "resume",
    "data_dir",
    "download",
    "skip_bad",
    "num_workers",
    "max_image_bytes",
    "test_interval",
    "torch",
    "threads",
  ],
  ...["patience", "cuda_graph", "parallel", "sigma", "judges"],
];

/** What older runs had without recording it. */
function formerOptions({ reward }: JsonObject): JsonObject {
  const added = { random_masks: 0, val_fraction: 0, turns: false, rounds: 1, policy_head: "mean", price: 0.01 };
  return { ...added, ...(reward === undefined ? {} : { estimator: "self_critical" }) };
}

/** Where another run can go: an experiment's stages lie in the folder that it was given. */
export const elsewhere = "another folder (--cv_dir; of patchdrop run: --out)";

/**
 * Throws "locked" with every option, stage or data set that differs, old → new. The data may lie elsewhere, as long as they
 * are the same; there may be more epochs or fewer, unless the learning rate's schedule depends on their number. Returns a note
 * for each program of another version and another number of threads: the bits may then differ.
 */
export function compareConfigs(where: string, saved: SavedConfig, given: RunConfig): string[] {
  const free = saved.options.schedule === "onecycle" ? freeOptions : [...freeOptions, "max_epochs"];
  // What was not recorded can't be compared.
  const isDescribed = saved.description !== undefined;
  const fixed = ({ stage, options, dataset, description, judges = {} }: RunConfig): Map<string, JsonValue> => {
    const { fingerprint, test = null, val = null } = dataset;
    const learned = Object.entries({ ...formerOptions(options), ...options }).filter(([name]) => !free.includes(name));
    const data = toJson({ fingerprint, test, val, ...(isDescribed ? seenAs(description) : {}) });
    return new Map([
      ["stage", stage],
      ...flat(Object.fromEntries(learned), ""),
      ...flat(data, "dataset."),
      ...flat(judges, "judges: weights of fold "),
    ]);
  };
  const changed = changes(fixed(saved), fixed(given));
  if (changed.length > 0) {
    const rule = "must be resumed with its own options and data";
    const next = `give the old values, or start another run in ${elsewhere}`;
    const lines = changed.map(([name, change]): Fault => ({ where: `  ${name}`, rule: change }));
    throw fault("locked", [{ where, rule, next }, ...lines]);
  }
  const versions = changes(new Map(Object.entries(saved.versions)), new Map(Object.entries(given.versions)));
  return versions.map(([name, change]) => `${name}: ${change}; the resumed run may differ in its last bits`);
}

/** What a data set says of its images that its fingerprint does not hold. */
function seenAs({ bands, transform, normalization }: Partial<RunDescription> = {}) {
  return { bands, transform, normalization };
}

/** Nested objects as dotted names. */
function flat(value: JsonObject, prefix: string): [string, JsonValue][] {
  return Object.entries(value).flatMap(([name, item]): [string, JsonValue][] =>
    isJsonObject(item) ? flat(item, `${prefix}${name}.`) : [[`${prefix}${name}`, item]],
  );
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
