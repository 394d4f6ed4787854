/** One stage from its options to its result: what it stands on, what it learns, and the loop around it. */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import { startWeights } from "../checkpoints/named-weights.ts";
import { configOfCheckpoint } from "../checkpoints/open-checkpoint.ts";
import type { RunConfig } from "../checkpoints/run-config.ts";
import { readRunConfig } from "../checkpoints/saved-checkpoints.ts";
import type { DataSplits } from "../data/dataset.ts";
import { checkDataset } from "../data/dataset-rules.ts";
import { alone, type ProcessGroup } from "../distributed/process-group.ts";
import { toJson } from "../files/json.ts";
import {
  type ResolvedStageOptions,
  type StageName,
  type StageOptions,
  withModelDefaults,
} from "../options/stage-options.ts";
import { RunFolder } from "../run/run-folder.ts";
import { type Computer, Stopwatch, unprofiled } from "../utils/profile.ts";
import { refuseUnknown } from "../utils/refuse-unknown.ts";
import { loose, type Reporter, silentReporter } from "../utils/reporter.ts";
import { withFill } from "./choose-fill.ts";
import { withModel } from "./choose-model.ts";
import { withPolicy } from "./choose-policy.ts";
import { withRendering } from "./choose-rendering.ts";
import { classifierTraining } from "./classifier-training.ts";
import { learnEpochs, refuseFewerEpochs, type StageResult } from "./epochs.ts";
import { finetune, finetune2stream } from "./finetune.ts";
import type { Learning } from "./learning.ts";
import { mustHaveSame, mustStartAlike, sameCheckpoint } from "./many-ranks.ts";
import { noteStart } from "./note-start.ts";
import { pretrain } from "./pretrain.ts";
import { prepare, type Setting } from "./setting.ts";
import { profileBefore, type StageKind, type StageProfile, storeSession } from "./stage-profile.ts";

/** What a training takes besides its options. */
export interface TrainContext {
  /** Hears of progress, and says when to stop; nobody when absent. */
  readonly reporter?: Reporter;
  /** Images to train and to test on, in place of the data set that the options name. */
  readonly data?: DataSplits;
  /** The ranks that train together, each of which calls {@link train} alike, with a reporter of its own; this process alone when absent. */
  readonly group?: ProcessGroup;
}

type Stages = {
  readonly [S in StageName]: (options: ResolvedStageOptions<S>, setting: Setting) => Learning | Promise<Learning>;
};

const stages: Stages = { classifier_training: classifierTraining, pretrain, finetune, finetune2stream };

/**
 * Runs one stage, from its start or, with `options.resume`, from where its run folder left off.
 * @param given what {@link parseOptions} gave
 * @throws kinds "usage", "input", "system", "locked" and "notFinite", see docs
 */
export async function train<S extends StageName>(
  stage: S,
  given: StageOptions<S>,
  context: TrainContext = {},
): Promise<StageResult> {
  refuseUnknown(context, ["reporter", "data", "group"], `train ${stage}`);
  const { data, group = alone } = context;
  const reporter = loose(context.reporter ?? silentReporter);
  const stopwatch = given.profile ? new Stopwatch<StageKind>() : undefined;
  const profile: StageProfile = stopwatch ?? unprofiled;
  if (data !== undefined) [data?.train, data?.test].forEach(checkDataset);
  const rendered = data === undefined ? withRendering(given, reporter) : given;
  const modelled = await profile.of("start", () => withModel(rendered, reporter, data));
  const chosen = withFill(modelled, reporter);
  const options = withModelDefaults(stage, withPolicy(stage, chosen, reporter));
  // A run that goes on has said it.
  if (!options.resume) noteStart(options, reporter);
  const open = () => prepare(options, { reporter, group }, data, seenBefore(options));
  const prepared = await profile.of("start", open);
  let [run, learning, failed]: [RunFolder?, Learning?, boolean?] = [];
  try {
    const config = configOf(stage, options, prepared);
    mustHaveSame(group, config);
    const isWriter = group.rank === 0;
    const accept = (checkpoint: Checkpoint) => refuseFewerEpochs(checkpoint, options);
    const resume = () => RunFolder.resume(options.cv_dir, config, { accept });
    const resumed = options.resume && isWriter ? profile.of("start", resume) : undefined;
    run = resumed?.run;
    for (const note of resumed?.notes ?? []) reporter.note(note);
    const computer = computerOf(prepared);
    const before = stopwatch && run && profileBefore(run.path, computer, reporter.note);
    const setting = { ...prepared, checkpoint: sameCheckpoint(group, resumed?.checkpoint) };
    learning = await profile.of("start", () => stages[stage](options, setting));
    mustStartAlike(group, learning);
    // Only now, so that a start that fails leaves no folder.
    if (isWriter) run ??= RunFolder.create(options.cv_dir, { ...config, starts: startWeights(options) });
    const { images, ...result } = await learnEpochs(options, setting, learning, { run, profile });
    if (stopwatch === undefined || run === undefined) return result;
    return { ...result, profile: storeSession(run.path, before, { times: stopwatch.times(), images, computer }) };
  } catch (error) {
    failed = true;
    throw error;
  } finally {
    run?.close();
    // What a start that fails leaves would be in the way of the next one, with other options.
    if (failed && !options.resume) run?.discard();
    if (learning !== undefined) freeAll(learning);
    prepared.normalizer.free();
  }
}

/**
 * How images were seen so far: by the run that goes on, or by the classifier or the policy that one starts from; and low pictures by the
 * first that has seen any.
 */
function seenBefore(options: ResolvedStageOptions): RunDescription | undefined {
  if (options.resume) return readRunConfig(options.cv_dir).description;
  const flags: Readonly<Record<string, unknown>> = options;
  const starts = ["ckpt_hr_cl", "load", "ckpt_lr_cl"].map((flag) => flags[flag]);
  const all = starts.filter((start) => typeof start === "string").map((start) => configOfCheckpoint(start).description);
  const [first] = all;
  const low = all.find((one) => one?.low !== undefined)?.low;
  return first === undefined || low === undefined ? first : { ...first, low };
}

function configOf(stage: StageName, options: ResolvedStageOptions, setting: Omit<Setting, "checkpoint">): RunConfig {
  const { data, versions, description } = setting;
  const { name, classes, fingerprint } = data.train;
  // The fingerprint of what is left of the training images tells what was held out of them.
  const val = options.val_fraction === 0 ? data.val?.fingerprint : undefined;
  const dataset = { name, classes: [...classes], fingerprint, test: data.test.fingerprint, ...(val && { val }) };
  return { stage, options: toJson(options), versions, description, dataset };
}

function computerOf({ device, versions, precision }: Pick<Setting, "device" | "versions" | "precision">): Computer {
  return { device, threads: Number(versions.threads), precision };
}

function freeAll({ networks, optimizer, free }: Learning): void {
  free?.();
  optimizer.free();
  for (const { parameters } of networks.values()) parameters.free();
}
