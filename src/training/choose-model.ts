/** Which model a stage trains when no flag says it: that of the checkpoints that it starts from, or the one that suits its data. */

import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { checkpointOptionNames } from "../checkpoints/run-config.ts";
import type { DataSplits } from "../data/dataset.ts";
import { describeData } from "../data/describe-data.ts";
import type { JsonObject } from "../files/json.ts";
import { type DataFacts, modelForData } from "../models/model-for-data.ts";
import type { ModelOptions } from "../models/registry.ts";
import { modelOptionNames, type StageName, type StageOptions } from "../options/stage-options.ts";
import { defined } from "../utils/defined.ts";
import { type Reporter, untilStopped } from "../utils/reporter.ts";

/**
 * The options with their model and its variant.
 * @param data the data set, where it is not the one that the options name
 * @throws usage: data that several models suit; input: a checkpoint or data that can't be read
 */
export async function withModel<S extends StageName>(
  options: StageOptions<S>,
  reporter: Reporter,
  data: DataSplits | undefined,
): Promise<StageOptions<S>> {
  const { note } = reporter;
  const given: Record<string, unknown> = defined(options);
  if (options.model !== undefined) {
    // A run that goes on has its own, and what it started from may be gone.
    const arch = options.resume ? options.arch : archOf(options, given, note);
    return { ...options, ...defined({ arch }), variant: options.variant ?? "2019" };
  }
  for (const [path, own] of checkpointsOf(given)) {
    if (own.model === undefined) continue;
    const model = Object.fromEntries(modelOptionNames.map((name) => [name, own[name]]));
    // Whichever of the two is given says how large patches are.
    if (given.patch_size !== undefined) delete model.grid;
    if (given.grid !== undefined) delete model.patch_size;
    note(`--model ${own.model}, as in ${path}`);
    return { ...options, ...model, arch: archOf(own, given, note), ...given };
  }
  const variant = options.variant ?? "2019";
  const facts = data === undefined ? await untilStopped(reporter, describeData(options)) : factsOf(data);
  const { model, note: why } = modelForData(facts, variant);
  note(why ?? `--model ${model}, made for these data`);
  return { ...options, model, variant };
}

/** The checkpoints that a stage starts from, and what options made them. */
function checkpointsOf(given: Record<string, unknown>): [path: string, options: JsonObject][] {
  const paths = checkpointOptionNames.map((flag) => given[flag]).filter((path) => typeof path === "string");
  return paths.map((path) => [path, configOfCheckpoint(path).options]);
}

/**
 * The classifier in place of the model's own: the one that a stage starts from, since no other could start from it. A policy is the same
 * beside any.
 * @param named which model, and what is known of its classifier
 */
function archOf(
  named: { readonly model?: unknown; readonly arch?: unknown },
  { arch, ckpt_hr_cl, load }: Record<string, unknown>,
  note: Reporter["note"],
): ModelOptions["arch"] {
  const [[path, own] = []] = checkpointsOf({ ckpt_hr_cl: ckpt_hr_cl ?? load });
  const found = arch ?? (own?.model === named.model ? own?.arch : named.arch);
  if (arch === undefined && found !== named.arch) note(`${found ? `--arch ${found}` : "no --arch"}, as in ${path}`);
  return found as ModelOptions["arch"];
}

function factsOf({ train: { name, imageSize } }: DataSplits): DataFacts {
  return { dataset: name, pictures: { width: imageSize, height: imageSize } };
}
