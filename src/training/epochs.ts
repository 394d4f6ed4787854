/**
 * What all four stages do around their step: epochs, batches, tests, logging, checkpoints, resuming and stopping. A
 * function, not a base class: a stage hands over its step and its networks, and reads top to bottom in its own file.
 */

import { type Checkpoint, checkpointName } from "../checkpoints/checkpoint.ts";
import type { RunConfig } from "../checkpoints/run-config.ts";
import type { Dataset } from "../data/dataset.ts";
import { Loader } from "../data/loader.ts";
import { fault } from "../errors.ts";
import { toJson } from "../files/json.ts";
import type { Setting } from "../inference/setting.ts";
import type { MetricAccumulator, MetricState, Metrics } from "../method/metrics.ts";
import { states } from "../models/networks.ts";
import { multiStep, oneCycle, type Schedule, stepDecay } from "../nn/schedules.ts";
import type { StageName, ResolvedStageOptions as StageOptions } from "../options/stage-options.ts";
import { RunFolder } from "../run/run-folder.ts";
import { type Reporter, Stopped } from "../utils/reporter.ts";
import type { Learning } from "./learning.ts";
import { stepRunner } from "./step-runner.ts";
import { shown, stepsBetweenLooks, type Training, trainEpoch } from "./train-epoch.ts";

export interface StageResult {
  /** The last test's metrics. */
  test?: Metrics;
  /** The run folder. */
  run: string;
  /** Set when a signal ended the run early; everything is saved. */
  stopped?: NodeJS.Signals;
}

/** Saved besides the networks: from here a resumed run goes on. */
interface Progress {
  epoch: number;
  /** Steps of this epoch that are done. */
  step: number;
  /** The epoch's metrics so far, when it is unfinished. */
  metrics?: MetricState;
  bestScore?: number;
  /** Wall-clock time spent on the run so far, tests included. */
  seconds: number;
}

/** Options that a resumed run may change: they do not change what is learned up to the same epoch. */
export const mayDiffer = ["cv_dir", "resume", "num_workers", "torch", "download", "cuda_graph"];

/** Trains from the start or from the run folder's last checkpoint, and frees the networks and the optimizer. */
export async function runEpochs(
  stage: StageName,
  options: StageOptions,
  setting: Setting,
  learning: Learning,
  reporter: Reporter,
): Promise<StageResult> {
  const { train, test } = setting.data;
  const config: RunConfig = {
    stage,
    options: toJson(options),
    versions: setting.versions,
    dataset: { name: train.name, classes: train.classes, fingerprint: train.fingerprint, test: test.fingerprint },
  };
  const { run, checkpoint, notes } = options.resume
    ? RunFolder.resume(options.cv_dir, config, { mayDiffer })
    : { run: RunFolder.create(options.cv_dir, config), checkpoint: undefined, notes: [] };
  try {
    for (const note of notes) reporter.note(note);
    const start = checkpoint === undefined ? { epoch: 0, step: 0, seconds: 0 } : restore(checkpoint, learning);
    return await epochs(options, setting, learning, reporter, run, start);
  } finally {
    run.close();
    learning.optimizer.free();
    for (const { parameters } of learning.networks.values()) parameters.free();
  }
}

function restore(checkpoint: Checkpoint, { networks, optimizer }: Learning): Progress {
  for (const [name, { parameters }] of networks) {
    const state = checkpoint.networks.get(name);
    if (state === undefined) throw fault("input", { where: checkpoint.path, rule: `must hold the network ${name}` });
    parameters.load(state, `${checkpoint.path}: ${name}`);
  }
  optimizer.load(checkpoint.optimizer, `${checkpoint.path}: optimizer`);
  return checkpoint.progress as unknown as Progress;
}

async function epochs(
  options: StageOptions,
  setting: Setting,
  learning: Learning,
  reporter: Reporter,
  run: RunFolder,
  start: Progress,
): Promise<StageResult> {
  const { seed, max_epochs: epochs } = options;
  const loader = trainingLoader(setting.data.train, options);
  const schedule = scheduleOf(options, loader.batchesPerEpoch);
  const window = stepsBetweenLooks[setting.cuda === undefined ? "cpu" : "cuda"];
  const runner = stepRunner({ learning, setting, loader, seed, captured: options.cuda_graph, window });
  try {
    const training = { learning, runner, loader, schedule, reporter, epochs };
    return await allEpochs(options, training, run, start);
  } finally {
    runner.free();
  }
}

function trainingLoader(train: Dataset, { batch_size, seed }: StageOptions): Loader {
  const batchSize = Math.min(batch_size, train.length);
  // Batch norm cannot train on one image.
  const dropLast = train.length % batchSize === 1;
  return new Loader(train, { batchSize, shuffle: true, augment: true, seed, dropLast });
}

async function allEpochs(
  options: StageOptions,
  training: Training,
  run: RunFolder,
  start: Progress,
): Promise<StageResult> {
  const { learning, loader, schedule, reporter } = training;
  const began = performance.now();
  const seconds = () => start.seconds + (performance.now() - began) / 1000;
  let { bestScore } = start;
  if (start.epoch >= options.max_epochs)
    reporter.note(`${run.path}: all ${options.max_epochs} epochs are done already`);
  let lastTest: Metrics | undefined;
  for (let epoch = start.epoch; epoch < options.max_epochs; epoch++) {
    const resumed = epoch === start.epoch ? start : { step: 0 };
    const saveInside = (step: number, metrics: MetricAccumulator) => {
      const progress: Progress = {
        epoch,
        step,
        metrics: metrics.state(),
        seconds: seconds(),
        ...(bestScore === undefined ? {} : { bestScore }),
      };
      save(run, learning, progress, metrics.metrics(), false);
    };
    const outcome = await trainEpoch(training, epoch, resumed, saveInside);
    if (outcome.stopped !== undefined)
      return { run: run.path, stopped: outcome.stopped, ...(lastTest && { test: lastTest }) };
    const lr = schedule({ epoch, step: (epoch + 1) * loader.batchesPerEpoch - 1 });
    const tested = (epoch + 1) % options.test_interval === 0 || epoch + 1 === options.max_epochs;
    const found = tested ? await learning.test(epoch).catch(stoppedBy) : undefined;
    if (found instanceof Stopped) {
      // The resumed epoch has no step left, and begins with its test.
      saveInside(loader.batchesPerEpoch, outcome.accumulated);
      return { run: run.path, stopped: found.signal, ...(lastTest && { test: lastTest }) };
    }
    const { metrics, imagesPerSecond } = outcome;
    const speed = imagesPerSecond && { images_per_second: imagesPerSecond };
    run.log({ epoch: epoch + 1, split: "train", ...metrics, lr, ...speed });

    let isBest = false;
    if (found !== undefined) {
      lastTest = found;
      run.log({ epoch: epoch + 1, split: "test", ...lastTest });
      reporter.note(summary(epoch, options.max_epochs, outcome.metrics, lastTest));
      warnAbout(lastTest, reporter);
      const score = learning.score(lastTest);
      isBest = bestScore === undefined || score > bestScore;
      if (isBest) bestScore = score;
    }
    const progress: Progress = {
      epoch: epoch + 1,
      step: 0,
      seconds: seconds(),
      ...(bestScore === undefined ? {} : { bestScore }),
    };
    save(run, learning, progress, isBest ? lastTest! : outcome.metrics, isBest);
  }
  return { run: run.path, ...(lastTest && { test: lastTest }) };
}

function save(
  run: RunFolder,
  { networks, optimizer }: Learning,
  progress: Progress,
  metrics: Metrics,
  isBest: boolean,
): void {
  const { epoch, step } = progress;
  const name = checkpointName(epoch, metrics.accuracy, metrics.reward ?? 0, step > 0 ? step : undefined);
  run.save({ name, networks: states(networks), optimizer: optimizer.state(), progress: toJson(progress), isBest });
}

/** A stop is an outcome; other errors are thrown on. */
function stoppedBy(error: unknown): Stopped {
  if (error instanceof Stopped) return error;
  throw error;
}

function scheduleOf({ schedule, lr, epoch_step, max_epochs }: StageOptions, batchesPerEpoch: number): Schedule {
  if (schedule === "multistep") return multiStep(lr, [150, 250]);
  if (schedule === "step") return stepDecay(lr, epoch_step);
  return schedule === "onecycle" ? oneCycle(lr, max_epochs * batchesPerEpoch) : () => lr;
}

function summary(epoch: number, of: number, train: Metrics, test: Metrics): string {
  const words = (metrics: Metrics) =>
    Object.entries(shown(metrics))
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
  return `epoch ${epoch + 1}/${of}: train ${words(train)}; test ${words(test)}`;
}

/** A policy that looks at nothing is the commonest way to fail. */
function warnAbout({ commonest_policy: share, unique_policies: distinct }: Metrics, reporter: Reporter): void {
  if (share === undefined || share < 0.95) return;
  const part = `${(100 * share).toFixed(1)} % of the test images get the same patches (${distinct} distinct choices)`;
  reporter.note(`warning: the policy is flat: ${part}; train longer, or try --beta 0.01 or another --penalty`);
}
