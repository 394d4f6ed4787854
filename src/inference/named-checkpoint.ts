/** A checkpoint that a flag names, for a model that is known already. */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fault } from "../errors.ts";
import type { NetworkName } from "../models/networks.ts";
import { findModel, type Model, type ModelOptions } from "../models/registry.ts";
import type { Reporter } from "../utils/reporter.ts";

/** A checkpoint as the user names it. */
export interface NamedByFlag {
  readonly flag: string;
  readonly path: string;
}

/** The checkpoint that a flag names, for one of its networks. @throws kind "input" when that is not of `model`. */
export function checkpointOf(
  { flag, path }: NamedByFlag,
  name: NetworkName,
  model: Model,
  note?: Reporter["note"],
): Checkpoint {
  const checkpoint = openCheckpoint(path, note);
  const { options } = checkpoint.config;
  if (options.model === undefined) return checkpoint;
  const wanted = described(model, name);
  const got = described(findModel(options as unknown as ModelOptions), name);
  if (got === wanted) return checkpoint;
  const next = "give the same --model, --variant, --arch and sizes";
  throw fault("input", { where: `${flag} ${path}`, rule: `must be for the model ${wanted}`, got, next });
}

/** What must agree for a checkpoint's network to fit. */
function described({ name, variant, arch, seesMask, imageSize, lowSize, grid }: Model, network: NetworkName): string {
  const model = `${name} ${variant}`;
  const low = `at ${imageSize} pixels, low resolution ${lowSize}`;
  const patches = `${low}, ${grid.columns}x${grid.rows} patches`;
  // Whichever classifier stands beside it.
  if (network === "agent") return `${model} ${patches}`;
  // A low-resolution classifier is the model's own where the other one works on patches.
  const isOwn = arch === undefined || (seesMask && network === "resnet_lr");
  const classifier = isOwn ? model : `${model} with --arch ${arch}`;
  // A high-resolution classifier fits any low resolution, but for one that sees it beside the patches.
  if (network === "resnet_hr") return seesMask ? `${classifier} ${patches}` : `${classifier} at ${imageSize} pixels`;
  return `${classifier} ${low}`;
}
