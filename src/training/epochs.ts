/**
 * What all four stages do around their step: epochs of steps, tests, logging, checkpoints, resuming and stopping. A
 * function, not a base class: a stage hands over what it learns, and reads from top to bottom in its own file.
 */
import { type Checkpoint, checkpointName } from "../checkpoints/checkpoint.ts";
import { endsWithTraining } from "../checkpoints/run-config.ts";
import type { Dataset } from "../data/dataset.ts";
import { Loader, type LoaderOptions } from "../data/loader.ts";
import { fault } from "../errors.ts";
import { evaluateMasks, everyPatch } from "../evaluation/evaluate-masks.ts";
import { exampleSheet, type Sheet } from "../evaluation/example-sheet.ts";
import { decidedBy, masksBy } from "../evaluation/masks.ts";
import { toJson } from "../files/json.ts";
import { openLearners } from "../inference/open-run.ts";
import type { MetricAccumulator, MetricState, Metrics } from "../method/metrics.ts";
import { states } from "../models/networks.ts";
import { linearDecay, multiStep, oneCycle, type Schedule, stepDecay } from "../nn/schedules.ts";
import type { ResolvedStageOptions as StageOptions } from "../options/stage-options.ts";
import type { RunFolder } from "../run/run-folder.ts";
import { type RunTimes, unprofiled } from "../utils/profile.ts";
import { type Reporter, Stopped, type StopSignal, stoppedBy } from "../utils/reporter.ts";
import { SlowWatch } from "../utils/slow-watch.ts";
import type { Learning } from "./learning.ts";
import type { Setting } from "./setting.ts";
import { Sharding } from "./sharding.ts";
import type { StageProfile } from "./stage-profile.ts";
import { stepRunner } from "./step-runner.ts";
import { shown, stepsBetweenLooks, trainEpoch } from "./train-epoch.ts";

/** What a training that ended, or was stopped, says of itself. */
export interface StageResult {
  /** The last test's metrics. */
  test?: Metrics | undefined;
  /** The run folder. */
  run: string;
  /** Set when a signal ended the run early; everything is saved. */
  stopped?: StopSignal | undefined;
  /** What its time went to, over all its sessions, with `profile`; of many ranks, the first alone has it. */
  profile?: RunTimes | undefined;
}

/** A training's result, for whoever adds it up. */
export interface LearnedEpochs extends StageResult {
  /** That were trained on, those of every epoch. */
  images: number;
}

/** Saved besides the networks: from here a resumed run continues. */
interface Progress {
  epoch: number;
  /** Steps of this epoch that are done. */
  step: number;
  /** The epoch's metrics so far, when it is unfinished. */
  metrics?: MetricState | undefined;
  /** Of the test after this epoch, where there was one. */
  tested?: { accuracy: number; reward?: number | undefined } | undefined;
  /** Of the checkpoint that `best` names, and how many patches its policy had learned to decide. */
  bestScore?: number | undefined;
  bestDecided?: number | undefined;
  /** Tests since then. */
  sinceBest?: number | undefined;
  /** The number of patches that the policy was left to decide; none of a classifier. */
  decided?: number | undefined;
  /** What a patch costs, of a price that is driven. */
  price?: number | undefined;
  /** Wall-clock time spent on the run so far, tests included. */
  seconds: number;
}

/** Where a training leaves what it makes. */
export interface Outlets {
  /** What is written: of many ranks, the first alone has it. */
  readonly run: RunFolder | undefined;
  readonly profile?: StageProfile;
}

function goingOn({ schedule }: Pick<StageOptions, "schedule">): string {
  if (!endsWithTraining(schedule)) return "a larger --max_epochs lets it go on";
  return `--schedule ${schedule} ends there: for more epochs start another run`;
}

/** Trains from the start, or from where the checkpoint of a resumed run left off, to the last epoch or a signal. */
export async function learnEpochs(
  options: StageOptions,
  setting: Setting,
  learning: Learning,
  { run, profile = unprofiled }: Outlets,
): Promise<LearnedEpochs> {
  const { seed, max_epochs: epochs, test_interval: interval, cv_dir: path } = options;
  const { save_interval: saveInterval } = options;
  const { reporter, group } = setting;
  const tests = testSplitOf(setting);
  const start = startOf(setting.checkpoint, learning);
  if (start.epoch >= epochs)
    reporter.note(`${path}: epoch ${epochs} of ${epochs} is already done; ${goingOn(options)}`);
  else if (isOver(start, options))
    reporter.note(
      `${path}: already stopped after epoch ${start.epoch} of ${epochs}, with no better test in ${start.sinceBest}; a larger --patience lets it go on`,
    );
  const batchSize = Math.min(options.batch_size, setting.data.train.length);
  const sharding = new Sharding(group, options.shards, batchSize);
  const { flips = undefined, crop_padding: padding = undefined } = "flips" in options ? options : {};
  const loader = trainingLoader(setting.data.train, { ...options, flips, padding, batchSize }, sharding);
  const schedule = scheduleOf(options, loader.batchesPerEpoch);
  const window = stepsBetweenLooks[setting.cuda === undefined ? "cpu" : "cuda"];
  // What a classifier of patches computes depends on the masks: no two steps are alike.
  const isFree = setting.model.seesMask && learning.networks.has("resnet_hr");
  if (isFree && options.cuda_graph && setting.cuda !== undefined)
    reporter.note("steps are not captured as a CUDA graph: with --arch patches they depend on the masks");
  const captured = options.cuda_graph && !isFree;
  const runner = stepRunner({ learning, setting, loader, sharding, seed, captured, window, profile });
  const clock = stopwatch(start.seconds);
  let { bestScore, bestDecided, sinceBest = 0 } = start;
  let test: Metrics | undefined;
  let images = 0;
  /** Behind `step` steps of `epoch`, or, with none of them, behind the epoch before. */
  const save = (position: Pick<Progress, "epoch" | "step" | "metrics">, tested?: Metrics, isBest = false) => {
    if (run === undefined) return;
    const decided = learning.decided?.(position.step > 0 ? position.epoch : position.epoch - 1);
    const price = learning.price?.value;
    const score = tested && { accuracy: tested.accuracy, reward: tested.reward };
    const progress = {
      ...position,
      tested: score,
      bestScore,
      bestDecided,
      sinceBest,
      decided,
      price,
      seconds: clock(),
    };
    profile.of("saving", () => saveCheckpoint(run, learning, progress, isBest));
  };
  const logStep = run?.logStep.bind(run);
  const slow = new SlowWatch();
  const passing = { learning, runner, loader, sharding, schedule, slow, profile };
  const training = { ...passing, reporter, epochs, saveInterval, logStep };
  try {
    for (let epoch = start.epoch; !isOver({ epoch, sinceBest }, options); epoch++) {
      const from = epoch === start.epoch ? start : { step: 0 };
      const saveInside = (step: number, metrics: MetricAccumulator) => save({ epoch, step, metrics: metrics.state() });
      const trained = await trainEpoch(training, epoch, from, saveInside);
      images += trained.images;
      if (trained.stopped !== undefined) return { run: path, stopped: trained.stopped, test, images };

      const isDue = (epoch + 1) % interval === 0 || epoch + 1 === epochs;
      const runTest = () => testAfter(learning, setting).catch(stoppedBy);
      const outcome = isDue ? await profile.of("test", runTest) : undefined;
      if (outcome instanceof Stopped) {
        // The resumed epoch has no step left, and begins with its test.
        saveInside(loader.batchesPerEpoch, trained.accumulated);
        return { run: path, stopped: outcome.signal, test, images };
      }
      const tested = outcome?.metrics;
      test = tested ?? test;

      const lr = schedule({ epoch, step: (epoch + 1) * loader.batchesPerEpoch - 1 });
      const besides = toJson({ price: learning.price?.value, images_per_second: trained.imagesPerSecond });
      run?.log({ epoch: epoch + 1, split: "train", ...trained.metrics, lr, ...besides });
      if (tested !== undefined) {
        run?.log({ epoch: epoch + 1, split: tests, ...tested });
        if (outcome?.examples !== undefined) run?.logImage(epoch + 1, `examples/${tests}`, outcome.examples);
        reporter.note(summary(`epoch ${epoch + 1}/${epochs}`, { train: trained.metrics, [tests]: tested }));
        noteCurriculum(learning, setting, epoch);
        warnIfFlat(tested, tests, reporter);
      }
      const decided = learning.decided?.(epoch);
      const isBest = tested !== undefined && isBetter([decided, scoreOf(tested)], [bestDecided, bestScore]);
      if (isBest) [bestDecided, bestScore] = [decided, scoreOf(tested)];
      if (tested !== undefined) sinceBest = isBest ? 0 : sinceBest + 1;
      save({ epoch: epoch + 1, step: 0 }, tested, isBest);
      if (epoch + 1 < epochs && isOver({ epoch: epoch + 1, sinceBest }, options)) {
        reporter.note(`no better test in ${sinceBest}: stopped after epoch ${epoch + 1} of ${epochs}; use best`);
      }
    }
    return { run: path, test, images };
  } finally {
    runner.free();
  }
}

/** Whether a training has come to its end: by its epochs, or by `--patience`. */
export function isOver(
  { epoch, sinceBest = 0 }: Pick<Progress, "epoch" | "sinceBest">,
  { max_epochs, patience = Number.POSITIVE_INFINITY }: Pick<StageOptions, "max_epochs" | "patience">,
): boolean {
  return epoch >= max_epochs || sinceBest >= patience;
}

/** Seconds in all: those of earlier sessions, and those since it was made. */
function stopwatch(before: number): () => number {
  const began = performance.now();
  return () => before + (performance.now() - began) / 1000;
}

/** @throws usage: more epochs are done than are asked for, which the run's options would then deny */
export function refuseFewerEpochs(
  { path, progress }: Checkpoint,
  { max_epochs: got }: Pick<StageOptions, "max_epochs">,
): void {
  const { epoch, step } = progress as unknown as Progress;
  const begun = step > 0 ? epoch + 1 : epoch;
  if (begun <= got) return;
  const rule = `must be at least ${begun}, since ${path} has come so far`;
  throw fault("usage", { where: "--max_epochs", rule, got, next: "leave it out, or give more to go on" });
}

/** Brings the optimizer, and a price that is driven, to where the checkpoint has them. */
function startOf(checkpoint: Checkpoint | undefined, { optimizer, price }: Learning): Progress {
  if (checkpoint === undefined) return { epoch: 0, step: 0, seconds: 0 };
  optimizer.load(checkpoint.optimizer, `${checkpoint.path}: optimizer`);
  const progress = checkpoint.progress as unknown as Progress;
  if (price !== undefined && progress.price !== undefined) price.value = progress.price;
  return progress;
}

function trainingLoader(
  train: Dataset,
  {
    turns,
    seed,
    batchSize,
    flips,
    padding,
  }: Pick<StageOptions, "turns" | "seed"> & Pick<LoaderOptions, "batchSize" | "flips" | "padding">,
  sharding: Sharding,
): Loader {
  const share = (images: number) => sharding.share(images);
  // Batch norm cannot train on one image.
  const dropLast = train.length % batchSize === 1;
  return new Loader(train, { batchSize, flips, padding, shuffle: true, augment: true, turns, seed, dropLast, share });
}

function scheduleOf({ schedule, lr, epoch_step, max_epochs }: StageOptions, batchesPerEpoch: number): Schedule {
  if (schedule === "multistep") return multiStep(lr, [150, 250]);
  if (schedule === "step") return stepDecay(lr, epoch_step);
  const steps = max_epochs * batchesPerEpoch;
  if (schedule === "linear") return linearDecay(lr, steps);
  return schedule === "onecycle" ? oneCycle(lr, steps) : () => lr;
}

/** What a training is tested on: the test images only where nothing was held out to choose by. */
function testSplitOf({ data }: Pick<Setting, "data">): "val" | "test" {
  return data.val === undefined ? "test" : "val";
}

interface TestOutcome {
  readonly metrics: Metrics;
  /** What a policy takes of some of the images. */
  readonly examples?: Sheet;
}

/** A test with the networks as they are now: used as whoever opens the checkpoint will use them. */
async function testAfter({ networks: learners, rewarding }: Learning, setting: Setting): Promise<TestOutcome> {
  const { description, reporter, data, group } = setting;
  const split = data[testSplitOf({ data })]!;
  const { choice } = description;
  const run = openLearners({ learners, description }, setting);
  try {
    const mask = run.hasPolicy ? masksBy(decidedBy(run, choice, 0)) : everyPatch;
    const [verdict] = await evaluateMasks(split, { run, rewarding, reporter, group }, [mask]);
    const metrics = verdict.metrics.metrics();
    if (!run.hasPolicy || group.rank !== 0) return { metrics };
    return { metrics, examples: await exampleSheet({ run, split, seed: 0, choice }) };
  } finally {
    await run.free();
  }
}

/** Which checkpoint is best: larger is better. */
function scoreOf({ reward, accuracy }: Metrics): number {
  return reward ?? accuracy;
}

type Rank = readonly [decided: number | undefined, score: number | undefined];

/**
 * Whether a test makes a checkpoint better than the best so far. Outputs that the curriculum had not reached may do well by
 * chance: a policy that has learned to decide more patches goes before one with a higher score. Before 0.2.0 a policy was
 * scored with patches forced on by its curriculum; no number was kept of them, so that any policy goes before it.
 */
function isBetter([decided = 0, score = 0]: Rank, [bestDecided = 0, bestScore]: Rank): boolean {
  if (bestScore === undefined || decided !== bestDecided) return bestScore === undefined || decided > bestDecided;
  return score > bestScore;
}

function saveCheckpoint(run: RunFolder, { networks, optimizer }: Learning, progress: Progress, isBest: boolean): void {
  const { epoch, step, tested } = progress;
  const name = checkpointName({ epoch, step, tested });
  run.save({ name, networks: states(networks), optimizer: optimizer.state(), progress: toJson(progress), isBest });
}

function summary(epoch: string, splits: Readonly<Record<string, Metrics>>): string {
  const words = (metrics: Metrics) => Object.entries(shown(metrics)).map(([name, value]) => `${name} ${value}`);
  const said = Object.entries(splits).map(([split, metrics]) => `${split} ${words(metrics).join(", ")}`);
  return `${epoch}: ${said.join("; ")}`;
}

/** In the test the policy decides all patches, also those that the curriculum has not yet let it learn. */
function noteCurriculum({ decided }: Learning, { model, reporter }: Setting, epoch: number): void {
  const { patches } = model.grid;
  const learned = decided?.(epoch) ?? patches;
  if (learned >= patches) return;
  reporter.note(`the curriculum is not over: the policy has learned to decide ${learned} of ${patches} patches`);
}

/** A policy that ignores the image is the commonest way to fail. */
function warnIfFlat(tested: Metrics, split: string, reporter: Reporter): void {
  const { commonest_mask: share, distinct_masks: distinct } = tested;
  if (share === undefined || share < 0.95) return;
  const part = `${(100 * share).toFixed(1)} % of the ${split} images get the same patches (${distinct} distinct masks)`;
  reporter.note(`warning: the policy is flat: ${part}; train longer, or try --beta 0.01 or another --penalty`);
}
