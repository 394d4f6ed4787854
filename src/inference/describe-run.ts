/** What a checkpoint says about its run; where it says nothing (an older one, or another program's), what follows. */

import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import type { Dataset } from "../data/dataset.ts";
import { normalizationFor } from "../data/normalizations.ts";
import { syntheticNormalization } from "../data/synthetic.ts";
import { fault } from "../errors.ts";
import { asTested } from "../method/budget.ts";
import type { Fill } from "../method/images.ts";
import { findModel, type Model, type ModelOptions } from "../models/registry.ts";

/** What a user may say about a run that does not say it, or in place of what it says. */
export type RunOverrides = Partial<ModelOptions> & { readonly fill?: Fill | undefined };

/** The model of a run, under its own name and sizes unless flags say otherwise. @throws usage: there is none such */
export function modelOf({ config }: Checkpoint, overrides: RunOverrides): Model {
  const {
    model = "R32_C10",
    variant = "2019",
    img_size,
    lr_size,
    patch_size,
  } = config.options as Partial<ModelOptions>;
  const own: ModelOptions = { model, variant, img_size, lr_size, patch_size };
  const given = Object.entries(overrides).filter(([name, value]) => name in own && value !== undefined);
  return findModel({ ...own, ...Object.fromEntries(given) });
}

/**
 * @param data what is known of the data that the run is applied to: it says the classes of a run that does not
 * @throws usage: no such model; input: a run that does not say its classes, without `data`
 */
export function describeRun(
  checkpoint: Checkpoint,
  overrides: RunOverrides = {},
  data: Partial<Pick<Dataset, "classes" | "normalization">> = {},
): RunDescription {
  const { description: stated, options } = checkpoint.config;
  if (stated !== undefined) mustAgree(checkpoint, stated);
  const model = modelOf(checkpoint, overrides);
  const fill = overrides.fill ?? stated?.fill ?? (options.fill as Fill | undefined) ?? "zero";
  const { name, variant, imageSize, lowSize, grid } = model;
  const sizes = { model: name, variant, imageSize, lowSize, patchSize: grid.patchSize };
  if (stated !== undefined) return { ...stated, ...sizes, fill };
  return {
    ...sizes,
    bands: ["red", "green", "blue"],
    transform: model.transform,
    normalization: data.normalization ?? formerNormalization(checkpoint, model),
    fill,
    classes: classesOf(checkpoint) ?? data.classes ?? unsaid(checkpoint),
    choice: asTested,
  };
}

/** A checkpoint says its model twice: in its options, which made it, and in its description. */
function mustAgree(checkpoint: Checkpoint, stated: RunDescription): void {
  const { name, variant, imageSize, lowSize, grid } = modelOf(checkpoint, {});
  const made = { model: name, variant, imageSize, lowSize, patchSize: grid.patchSize };
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

/** As the run's configuration has them; none where it is unknown. */
function classesOf({ config }: Checkpoint): string[] | undefined {
  const { classes } = config.dataset;
  return Array.isArray(classes) ? classes.map(String) : undefined;
}

function unsaid({ path }: Checkpoint): never {
  const next = "give the --cv_dir of a run or one of its checkpoints";
  throw fault("input", { where: path, rule: "must say which model and classes its networks are for", next });
}

/** What data sets had before checkpoints said it. */
function formerNormalization({ config }: Checkpoint, { transform }: Model) {
  const { dataset, data_dir } = config.options;
  const isSynthetic = dataset === "synthetic" || (dataset === undefined && data_dir === undefined);
  return isSynthetic ? syntheticNormalization : normalizationFor(transform);
}
