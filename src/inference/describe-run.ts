/** What a checkpoint says about its run; where it says nothing (an older one, or another program's), what follows. */

import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import { unknownRun } from "../checkpoints/foreign-checkpoint.ts";
import { fillOf } from "../checkpoints/run-config.ts";
import type { Dataset } from "../data/dataset.ts";
import { isDatasetName } from "../data/dataset-registry.ts";
import { normalizationFor } from "../data/normalizations.ts";
import { rgb } from "../data/rendering.ts";
import { syntheticNormalization } from "../data/synthetic.ts";
import { fault } from "../errors.ts";
import { asTested } from "../method/budget.ts";
import type { Grid } from "../method/grid.ts";
import type { Fill } from "../method/images.ts";
import { findModel, type Model, type ModelOptions } from "../models/registry.ts";
import { defined } from "../utils/defined.ts";

/** What a user may say about a run that does not say it, or in place of what it says. */
export type RunOverrides = Partial<ModelOptions> & { readonly fill?: Fill | undefined };

/** The flags that name a data set. */
interface DataPlaceFlags {
  readonly dataset?: string | undefined;
  readonly data_dir?: string | undefined;
}

/** The model of a run, under its own name and sizes unless flags say otherwise. @throws usage: none is named, or none such */
export function modelOf({ config, path }: Checkpoint, overrides: RunOverrides): Model {
  const own: Partial<ModelOptions> = modelOptions(config.options);
  // Another size of patches is another grid.
  if (overrides.patch_size !== undefined) delete own.grid;
  const { model, variant = "2019", ...sizes } = { ...own, ...modelOptions(overrides) };
  const channels = config.description?.bands.length;
  if (model !== undefined) return findModel({ model, variant, ...sizes, channels });
  const next = "give one that `patchdrop models` lists, with its --variant and sizes";
  throw fault("usage", { where: "--model", rule: `must be given: ${path} does not say which model it is of`, next });
}

function modelOptions(options: Partial<ModelOptions>) {
  const { model, variant, arch, img_size, lr_size, patch_size, grid, rounds, policy_head } = options;
  return defined({ model, variant, arch, img_size, lr_size, patch_size, grid, rounds, policy_head });
}

/**
 * @param data what is known of the data that the run is applied to: it says the classes of a run that does not
 * @throws usage: no such model; input: a run that does not say its classes, without `data`
 */
export function describeRun(
  checkpoint: Checkpoint,
  overrides: RunOverrides = {},
  data: Partial<Pick<Dataset, "classes" | "normalization" | "low">> = {},
): RunDescription {
  const { description: stated } = checkpoint.config;
  if (stated !== undefined) mustAgree(checkpoint, stated);
  const classes = classesOf(checkpoint) ?? data.classes ?? unsaid(checkpoint);
  const model = modelOf(checkpoint, overrides);
  const fill = overrides.fill ?? fillOf(checkpoint.config) ?? "zero";
  const sizes = modelSizes(model);
  if (stated !== undefined) return { ...stated, ...sizes, fill };
  return {
    ...sizes,
    bands: rgb,
    pixelType: "uint8",
    transform: model.transform,
    normalization: data.normalization ?? formerNormalization(checkpoint, model),
    ...(data.low && { low: data.low }),
    fill,
    classes,
    choice: asTested,
  };
}

/** A model as a description names it. */
export function modelSizes({ name, variant, arch, imageSize, lowSize, grid, rounds, policyHead }: Model) {
  const sizes = { imageSize, lowSize, patchSize: grid.patchSize, rounds, policyHead };
  return { model: name, variant, ...defined({ arch }), ...sizes };
}

/** The reverse. @throws usage: there is none such */
export function modelIn(description: RunDescription): Model {
  const { model, variant, arch, imageSize, lowSize, patchSize, rounds, policyHead, bands } = description;
  const sizes = { img_size: imageSize, lr_size: lowSize, patch_size: patchSize };
  return findModel({ model, variant, arch, ...sizes, rounds, policy_head: policyHead, channels: bands.length });
}

/** Of a policy whose curriculum was not over: how many patches it had learned to decide. Its other outputs are as they were drawn. */
export function decidedOf({ progress: { decided } }: Checkpoint, { patches }: Grid): number | undefined {
  return typeof decided === "number" && decided < patches ? decided : undefined;
}

/** The same in words. */
export function unfinishedCurriculum(checkpoint: Checkpoint, grid: Grid): string | undefined {
  const decided = decidedOf(checkpoint, grid);
  if (decided === undefined) return undefined;
  const { patches } = grid;
  return `the curriculum was not over: the policy had learned to decide ${decided} of ${patches} patches`;
}

/**
 * A network that looks at the low resolution must have learned with one that comes from where that of the data comes from.
 * @param where the checkpoint's name in errors, e.g. "--load runs/policy"
 * @throws input
 */
export function mustSeeSameLow(
  { config: { description } }: Checkpoint,
  { low }: Pick<Dataset, "low">,
  where: string,
): void {
  if (description === undefined || (description.low === undefined) === (low === undefined)) return;
  const [pairs, own] = ["a picture beside the image (a column low)", "the image itself"];
  const [rule, got] = low === undefined ? [own, pairs] : [pairs, own];
  const next = "give data as it was trained on, or another run";
  throw fault("input", { where, rule: `must take the low resolution from ${rule}, as the data have it`, got, next });
}

/** Whether a program gave the run its data and no flag names others: no command can open them. */
export function isOnGivenData({ config: { dataset, options } }: Checkpoint, flags: DataPlaceFlags): boolean {
  const isNamed = [options, flags].some((from) => from.dataset !== undefined || from.data_dir !== undefined);
  return !isNamed && !isDatasetName(dataset.name) && dataset.name !== unknownRun.dataset.name;
}

/** A checkpoint says its model twice: in its options, which made it, and in its description. */
function mustAgree(checkpoint: Checkpoint, stated: RunDescription): void {
  const made = modelSizes(modelOf(checkpoint, {}));
  const names = Object.keys(made) as (keyof typeof made)[];
  const wrong = names.find((key) => stated[key] !== made[key]);
  if (wrong === undefined) return;
  throw fault("input", {
    where: `${checkpoint.path}: description.${wrong}`,
    rule: `must be ${made[wrong]}, as the run's options make it`,
    got: stated[wrong],
    next: "use another checkpoint",
  });
}

/** The classes that a checkpoint was trained on; none where it does not say them. */
export function classesOf({ config }: Checkpoint): string[] | undefined {
  const { classes } = config.description ?? config.dataset;
  return Array.isArray(classes) ? classes.map(String) : undefined;
}

/** What a file of weights does not say, be it a run's own, lies in the `state.json` of the checkpoint that it comes from. */
function unsaid({ path, config }: Checkpoint): never {
  throw fault("input", {
    where: path,
    rule: "must say which model and classes its networks are for",
    ...(config === unknownRun && { got: "weights alone, without the state.json of a checkpoint" }),
    next: "give the folder of the checkpoint that they come from, or the --cv_dir of its run",
  });
}

/** What data sets had before checkpoints said it. */
function formerNormalization({ config }: Checkpoint, { transform }: Model) {
  const { dataset, data_dir } = config.options;
  const isSynthetic = dataset === "synthetic" || (dataset === undefined && data_dir === undefined);
  return isSynthetic ? syntheticNormalization : normalizationFor(transform);
}
