/**
 * What a stage stands on: libtorch opened on the right device, the data set, the model, and the checkpoints that its
 * networks come from. The four stages share it; each keeps to itself what it learns and how.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import { savedNetwork } from "../checkpoints/open-checkpoint.ts";
import { readRunConfig } from "../checkpoints/saved-checkpoints.ts";
import { type DataSplits, type ImageForm, pixelStatistics } from "../data/dataset.ts";
import { checkClasses, checkLearnable, checkSplits } from "../data/dataset-rules.ts";
import { datasetFor, openDataFor } from "../data/open.ts";
import { isChosen, type RenderingOptions } from "../data/rendering.ts";
import { withValidation } from "../data/validation.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { fault } from "../errors.ts";
import { classesOf, modelSizes, mustSeeSameLow, unfinishedCurriculum } from "../inference/describe-run.ts";
import type { Place } from "../inference/libtorch-engine.ts";
import { checkpointOf, type NamedByFlag } from "../inference/named-checkpoint.ts";
import { asTested } from "../method/budget.ts";
import { type Fill, Normalizer } from "../method/images.ts";
import { freshNetwork, type Learner, loadNetwork, type NetworkName } from "../models/networks.ts";
import { findModel, type Model } from "../models/registry.ts";
import { choosePrecision } from "../nn/precision.ts";
import type { ResolvedStageOptions } from "../options/stage-options.ts";
import type { Device } from "../tensor/device.ts";
import { startLibtorch } from "../tensor/start.ts";
import { readAllowance } from "../utils/processors.ts";
import { type Reporter, untilStopped } from "../utils/reporter.ts";
import { chooseThreads, threadsOfEnvironment } from "../utils/threads.ts";
import { version } from "../utils/version.ts";

export interface Setting extends Place {
  readonly model: Model;
  readonly data: DataSplits;
  readonly classes: number;
  readonly normalizer: Normalizer;
  readonly reporter: Reporter;
  /** The ranks that train together. */
  readonly group: ProcessGroup;
  /** What each checkpoint says about the run. */
  readonly description: RunDescription;
  readonly versions: Readonly<Record<string, string>>;
  /** Where a resumed run continues; its networks come from there and from nowhere else. */
  readonly checkpoint: Checkpoint | undefined;
}

/**
 * @param given the data set, in place of the one that the options name
 * @param seen how the run, or what it starts from, has seen images: it goes on with the same bands and statistics
 * @throws kinds "input" and "usage", see docs
 */
export async function prepare(
  options: ResolvedStageOptions,
  { reporter, group }: Pick<Setting, "reporter" | "group">,
  given: DataSplits | undefined,
  seen?: ImageForm,
): Promise<Omit<Setting, "checkpoint">> {
  const named = findModel(options);
  const device = group.deviceFor(options.device as Device);
  const torch = startLibtorch({ ...options, device, threads: threadsOf(options, group) }, reporter.note);
  if (given === undefined && options.dataset === undefined && datasetFor(named, options) === "synthetic") {
    reporter.note("--data_dir is not given: these are the synthetic scenes, which the model was made for");
  }
  const opened = given ?? (await untilStopped(reporter, openDataFor(named, options, reporter.note, seen)));
  checkSplits(opened, named);
  checkLearnable(opened);
  const data = withValidation(opened, options.val_fraction);
  checkPatience(options, data);
  const model = findModel({ ...options, channels: data.train.bands.length });
  return {
    model,
    data,
    classes: data.train.classes.length,
    device,
    cuda: torch.cuda,
    precision: choosePrecision(options.precision, device),
    normalizer: new Normalizer(pixelStatistics(data.train), device, data.train.pixelType),
    reporter,
    group,
    description: {
      ...describeSetting(model, data, fillOf(options)),
      ...(given === undefined ? renderingOf(options) : {}),
    },
    versions: {
      patchdrop: version(),
      node: process.version,
      libtorch: torch.version,
      threads: String(torch.threads),
      ...(group.size > 1 && options.shards === undefined ? { ranks: String(group.size) } : {}),
    },
  };
}

/**
 * A run that goes on keeps its number of threads, on which its last bits depend. Ranks are not chosen for by how busy the processors are:
 * each would count the others.
 */
function threadsOf({ threads, resume, cv_dir }: ResolvedStageOptions, group: ProcessGroup): number | undefined {
  if (threads !== undefined || threadsOfEnvironment(process.env) !== undefined) return threads;
  const { count: most } = chooseThreads(process.env, readAllowance(), 0);
  const before = resume ? Number(readRunConfig(cv_dir).versions?.threads) : Number.NaN;
  if (before <= most) return before;
  return group.size > 1 ? most : undefined;
}

/**
 * Stopping early is a choice, which test images are not for.
 * @param data its `val` is whatever there is to choose by
 * @throws usage
 */
export function checkPatience(
  { patience }: Pick<ResolvedStageOptions, "patience">,
  { val }: { readonly val?: unknown },
) {
  if (patience === undefined || val !== undefined) return;
  const next = "give --val_fraction 0.1, or data with val/";
  const rule = "needs images that are held out to choose by";
  throw fault("usage", { where: "--patience", rule, got: patience, next });
}

/** Random masks show the low resolution where they drop a patch: it is there anyway, and a mask of no patches is legal. */
function fillOf(options: ResolvedStageOptions): Fill {
  if ("fill" in options) return options.fill;
  return options.random_masks > 0 ? "lr" : "zero";
}

/** Nothing of a run on images whose colours their files say. */
function renderingOf({ bands, scale }: RenderingOptions): Pick<RunDescription, "rendering"> {
  return isChosen({ bands, scale }) ? { rendering: { bands, scale } } : {};
}

/** What a training on these data says about its networks. */
export function describeSetting(model: Model, { train }: DataSplits, fill: Fill): RunDescription {
  const { normalization, stretch, low, classes, bands, pixelType = "uint8", transform } = train;
  const seen = { bands, pixelType, transform, normalization, ...(stretch && { stretch }), ...(low && { low }) };
  return { ...modelSizes(model), ...seen, fill, classes, choice: asTested };
}

/** Where a network begins: at fresh weights, or at those of a checkpoint that a flag names. */
export type Origin = "fresh" | NamedByFlag;

/**
 * A stage's networks as it begins, or as the checkpoint has them that a resumed run continues from.
 * @throws input: a checkpoint that is not of the stage's model, or lacks a network
 */
export function startNetworks<N extends NetworkName>(
  setting: Setting,
  seed: number,
  origins: Readonly<Record<N, Origin>>,
): Record<N, Learner> {
  const { checkpoint } = setting;
  const start = (name: N): Learner => {
    const origin = origins[name];
    if (checkpoint !== undefined) return loadNetwork(setting, name, savedNetwork(checkpoint, name));
    if (origin === "fresh") return freshNetwork(setting, seed, name);
    const from = name === "agent" ? policyAt(origin, setting) : classifierAt(origin, name, setting);
    if (name !== "resnet_hr") mustSeeSameLow(from, setting.data.train, `${origin.flag} ${origin.path}`);
    return loadNetwork(setting, name, savedNetwork(from, name, origin.flag));
  };
  const started = new Map<N, Learner>();
  try {
    for (const name of Object.keys(origins) as N[]) started.set(name, start(name));
    return Object.fromEntries(started) as Record<N, Learner>;
  } catch (error) {
    for (const { parameters } of started.values()) parameters.free();
    throw error;
  }
}

function policyAt({ flag, path }: NamedByFlag, { model, reporter }: Setting): Checkpoint {
  const from = checkpointOf({ flag, path }, "agent", model, reporter.note);
  const unfinished = unfinishedCurriculum(from, model.grid);
  if (unfinished !== undefined) reporter.note(`${flag} ${path}: ${unfinished}`);
  return from;
}

/** A classifier's checkpoint. @throws input: one of another model, or of other classes */
function classifierAt({ flag, path }: NamedByFlag, name: NetworkName, { model, data, reporter }: Setting): Checkpoint {
  const from = checkpointOf({ flag, path }, name, model, reporter.note);
  const known = classesOf(from);
  if (known !== undefined) checkClasses(known, data.train, `${flag} ${path}`);
  return from;
}
