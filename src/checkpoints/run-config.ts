/** What a run was started with: written to its folder and into each checkpoint, compared (compare-configs.ts) when the run is resumed. */

import { z } from "zod";
import { isJsonObject, type JsonObject } from "../files/json.ts";
import type { Fill } from "../method/images.ts";
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
  /** The weights (`weightsHash`) of the checkpoints that the run started from, by the option that names them; none of before 0.2.0. */
  readonly starts?: Readonly<Record<string, string>> | undefined;
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
  starts: z.record(z.string(), z.string()).optional(),
  created: z.string(),
});

/** What the classifier was shown in dropped patches; absent where the run does not say it. */
export function fillOf({ description, options }: Pick<RunConfig, "description" | "options">): Fill | undefined {
  return description?.fill ?? (options.fill as Fill | undefined);
}

/** Options that change neither what was learned so far nor what will be: a resumed run may have others. */
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
    "save_interval",
    "torch",
    "threads",
  ],
  ...["patience", "cuda_graph", "parallel", "sigma", "profile"],
];

/** Whether a schedule leads the learning rate down to the last epoch, so that it depends on their number. */
export function endsWithTraining(schedule: unknown): boolean {
  return schedule === "onecycle" || schedule === "linear";
}

/** The options that name a checkpoint to start from. */
export const checkpointOptionNames = ["load", "ckpt_hr_cl", "ckpt_lr_cl"] as const;

/** Whether an option names a checkpoint: in an experiment, an earlier stage then stands for its run folder. */
export function namesCheckpoint(option: string): boolean {
  return (checkpointOptionNames as readonly string[]).includes(option);
}

/** Where another run can go: an experiment's stages lie in the folder that it was given. */
export const elsewhere = "another folder (--cv_dir; of patchdrop run: --out)";
