/** A trained run with the data that it is evaluated on. */

import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import { startWeights } from "../checkpoints/named-weights.ts";
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fillOf } from "../checkpoints/run-config.ts";
import { type DataSplits, type Dataset, splitsOf } from "../data/dataset.ts";
import { isGenerated } from "../data/dataset-registry.ts";
import { checkClasses, checkSplits } from "../data/dataset-rules.ts";
import { type DataFlags, openDataFor } from "../data/open.ts";
import { asHeldOut } from "../data/validation.ts";
import { mustAgree } from "../distributed/agreement.ts";
import { alone, type ProcessGroup } from "../distributed/process-group.ts";
import { fault } from "../errors.ts";
import { flatTexts } from "../files/json.ts";
import { isThere } from "../files/read.ts";
import { classesOf, describeRun, isOnGivenData, modelOf, unfinishedCurriculum } from "../inference/describe-run.ts";
import { checkpointOf } from "../inference/named-checkpoint.ts";
import { openSaved, placeOf, sourcesOf } from "../inference/open-run.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import { type RewardOptions, rewardingOf } from "../method/reward.ts";
import type { NetworkName } from "../models/networks.ts";
import type { Model } from "../models/registry.ts";
import type { EvalOptions } from "../options/eval-options.ts";
import type { Device } from "../tensor/device.ts";
import { defined } from "../utils/defined.ts";
import { type Reporter, untilStopped } from "../utils/reporter.ts";
import type { Evaluating } from "./evaluate-masks.ts";

export interface EvaluatedRun extends Evaluating {
  readonly checkpoint: Checkpoint;
  readonly data: DataSplits;
  /** The split that is evaluated. */
  readonly split: Dataset;
  readonly seed: number;
  readonly group: ProcessGroup;
  /** Opens some of the checkpoint's networks alone, or those of another. The caller frees them. */
  openAlone(name: NetworkName, from?: Checkpoint): OpenedRun;
}

/** What the run's options say where neither they nor a flag does. */
const unsaid = { val_fraction: 0, seed: 1, reward: "quadratic", penalty: -5, price: 0.01 } as const;

export interface EvaluationContext {
  readonly reporter: Reporter;
  /** Images to evaluate on, in place of the data set that the options name. */
  readonly data?: DataSplits | undefined;
  /** The ranks that share the work out, each of which calls this alike; this process alone when absent. */
  readonly group?: ProcessGroup | undefined;
}

/**
 * Opens the data set and all networks, runs `body`, and frees the networks.
 * @throws kinds "input" and "usage"; input: data of other classes than the run's
 */
export async function withEvaluatedRun<T>(
  own: Checkpoint,
  asked: EvalOptions,
  { reporter, data: given, group = alone }: EvaluationContext,
  body: (run: EvaluatedRun) => Promise<T>,
): Promise<T> {
  const { ckpt_hr_cl } = asked;
  const { checkpoint, options } =
    ckpt_hr_cl === undefined
      ? { checkpoint: own, options: asked }
      : asItsClassifier(own, asked, ckpt_hr_cl, reporter.note);
  const settings = settingsOf(checkpoint, options);
  const place = placeOf({ ...options, device: group.deviceFor(options.device as Device) }, reporter.note);
  const model = modelOf(checkpoint, options);
  if (given === undefined && options.data_dir === undefined) assertThere(settings);
  const opened = given ?? (await openRunData(checkpoint, model, settings, reporter));
  const stated = checkpoint.config.description;
  const isPaired = stated && stated.low !== undefined;
  checkSplits(opened, { imageSize: model.imageSize, bands: stated?.bands, pixelType: stated?.pixelType, isPaired });
  const data = asHeldOut(opened, settings.val_fraction, checkpoint.config.dataset.fingerprint);
  const split = data[options.split] ?? noneHeldOut(checkpoint);
  const replaced = ckpt_hr_cl === undefined ? {} : { resnet_hr: judgeAt(ckpt_hr_cl, model, split, reporter.note) };
  const description = describeRun(checkpoint, options, split);
  checkMeaning(description.classes, split, options.load);
  const { tta } = options;
  const run = openSaved({ sources: sourcesOf(checkpoint, replaced), description, tta }, place);
  const openAlone = (name: NetworkName, from = checkpoint) =>
    openSaved({ sources: new Map([[name, from]]), description, tta }, place);
  if (group.size > 1) mustAgree(group, "options and data", flatTexts(comparedBy(options, opened, description)));
  const unfinished = unfinishedCurriculum(checkpoint, model.grid);
  if (unfinished !== undefined) reporter.note(`${unfinished}, and decides all here`);
  try {
    const rewarding = run.hasPolicy ? rewardingOf(settings) : undefined;
    return await body({ checkpoint, data, split, run, rewarding, reporter, group, seed: settings.seed, openAlone });
  } finally {
    await run.free();
  }
}

/** The run and the options, with what the classifier of --ckpt_hr_cl is and learned with, where the run's own differs. */
function asItsClassifier(checkpoint: Checkpoint, options: EvalOptions, path: string, note: Reporter["note"]) {
  const { config: own } = checkpoint;
  const judge = configOfCheckpoint(path);
  const { arch = judge.description?.arch, fill = fillOf(judge) } = options;
  const usual = options.arch ?? own.description?.arch;
  const isKnown = judge.description !== undefined;
  if (isKnown && arch !== usual) note(`${arch ? `--arch ${arch}` : "no --arch"}, as in ${path}`);
  if (fill !== undefined && fill !== (options.fill ?? fillOf(own))) note(`--fill ${fill}, as in ${path}`);
  const isPlain = isKnown && arch === undefined;
  return { checkpoint: isPlain ? withoutArch(checkpoint) : checkpoint, options: { ...options, arch, fill } };
}

/** The same run beside the model's own classifier. */
function withoutArch(checkpoint: Checkpoint): Checkpoint {
  const { arch: _made, ...options } = checkpoint.config.options;
  const { description: stated } = checkpoint.config;
  const description = stated && { ...stated, arch: undefined };
  return { ...checkpoint, config: { ...checkpoint.config, options, description } };
}

/** The classifier of --ckpt_hr_cl, in place of the run's own. @throws input: one of another model, or of other classes */
function judgeAt(path: string, model: Model, split: Dataset, note: Reporter["note"]): Checkpoint {
  const judge = checkpointOf({ flag: "--ckpt_hr_cl", path }, "resnet_hr", model, note);
  const known = classesOf(judge);
  if (known !== undefined) checkMeaning(known, split, `--ckpt_hr_cl ${path}`);
  return judge;
}

/** A run may be taken to images whose classes have other names, but not to the same ones in another order. @throws input */
function checkMeaning(classes: readonly string[], split: Dataset, where: string): void {
  const [asked, known] = [split.classes, classes].map((names) => names.map((name) => name.normalize()));
  const isMoved = asked.some((name, label) => known.includes(name) && known[label] !== name);
  if (asked.length !== known.length || isMoved) checkClasses(known, split, where);
}

/** What ranks that share an evaluation must have in common. */
function comparedBy(options: EvalOptions, data: DataSplits, description: RunDescription): object {
  const images = splitsOf(data).map(({ fingerprint }) => fingerprint);
  return { options, weights: startWeights(options), images, description };
}

function noneHeldOut({ path }: Checkpoint): never {
  const next = "train with it, or give another split";
  throw fault("usage", {
    where: "--split val",
    rule: "needs data with a validation split, or a run that was trained with --val_fraction and its data",
    got: path,
    next,
  });
}

/** @throws input: the folder that a run learned from, where it is gone, as for the weights that come with the program */
function assertThere({ data_dir }: DataFlags): void {
  if (data_dir === undefined || isThere(data_dir)) return;
  const rule = "must be there, as the run's own data, where --data_dir is not given";
  throw fault("input", { where: data_dir, rule, got: "no such folder", next: "give --data_dir" });
}

/** The data set that the options name. */
function openRunData(checkpoint: Checkpoint, model: Model, flags: DataFlags, reporter: Reporter): Promise<DataSplits> {
  if (!isOnGivenData(checkpoint, flags))
    return untilStopped(reporter, openDataFor(model, flags, reporter.note, checkpoint.config.description));
  throw fault("usage", {
    where: "--data_dir",
    rule: `must be given: ${checkpoint.path} was trained on data of a program, ${checkpoint.config.dataset.name}`,
    next: "give images of the same classes, or evaluate it from the program",
  });
}

/** The options of the run that made the checkpoint, overridden by those that were given. */
function settingsOf({ config }: Checkpoint, options: EvalOptions) {
  // Where the scenes are asked for, the run's own images are not meant.
  const unmeant = { data_dir: undefined, bands: undefined, scale: undefined };
  const own = isGenerated(options.dataset) ? { ...config.options, ...unmeant } : config.options;
  return { ...unsaid, ...own, ...defined(options) } as DataFlags & {
    seed: number;
    val_fraction: number;
    reward: RewardOptions["kind"];
    penalty: number;
    price: number;
  };
}
