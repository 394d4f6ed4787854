/**
 * What all four stages do around their step: epochs, batches, tests, logging, checkpoints, resuming and stopping. A
 * function, not a base class: a stage hands over its step and its networks, and reads top to bottom in its own file.
 */
import { Loader } from "../data/loader.ts";
import { fault } from "../errors.ts";
import { MetricAccumulator, type MetricState, type Metrics } from "../method/metrics.ts";
import type { Optimizer } from "../nn/optimizer.ts";
import { multiStep, oneCycle, type Position, type Schedule, stepDecay } from "../nn/schedules.ts";
import { type Checkpoint, checkpointName } from "../run/checkpoint.ts";
import { toJson } from "../run/json.ts";
import type { StageName, StageOptions } from "../run/options.ts";
import { type Reporter, Stopped } from "../run/reporter.ts";
import type { RunConfig } from "../run/run-config.ts";
import { RunFolder } from "../run/run-folder.ts";
import { allFinite } from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { fromArray, type Tensor } from "../tensor/tensor.ts";
import { type Learner, type NetworkName, type Setting, states } from "./setting.ts";

/** One batch on the device. */
export interface Batch {
  /** Normalized, float32 [B, 3, H, W]. */
  readonly images: Tensor;
  /** int64 [B] */
  readonly labels: Tensor;
  readonly epoch: number;
  /** Step within the epoch. */
  readonly step: number;
}

/** What a step hands back, as tensors that nobody has waited for yet. */
export interface StepNumbers {
  /** Scalar. */
  loss: Tensor;
  /** float32 [B] */
  correct: Tensor;
  reward?: Tensor;
  baselineReward?: Tensor;
  /** float32 [B, P] */
  mask?: Tensor;
}

/** What a stage hands to {@link runEpochs}. */
export interface Learning {
  /** Networks that checkpoints hold. */
  readonly networks: ReadonlyMap<NetworkName, Learner>;
  readonly optimizer: Optimizer;
  /** One update; `lr` is the schedule's at this step. */
  step(batch: Batch, lr: number): StepNumbers;
  /** The test set's metrics after `epoch`. */
  test(epoch: number): Promise<Metrics>;
  /** Which checkpoint is best: larger is better. */
  score(metrics: Metrics): number;
}

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

/** Steps between looks at the metrics: reading them waits for the device. */
const stepsBetweenLooks = 8;
/** An epoch that takes longer is also saved inside. */
const saveEveryMs = 10 * 60_000;

/** Options that a resumed run may change: they do not change what is learned up to the same epoch. */
export const mayDiffer = ["cv_dir", "resume", "num_workers", "torch", "download"];

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
  const { train } = setting.data;
  const batchSize = Math.min(options.batch_size, train.length);
  // Batch norm cannot train on one image.
  const dropLast = train.length % batchSize === 1;
  const loader = new Loader(train, {
    batchSize,
    shuffle: true,
    augment: true,
    seed: options.seed,
    dropLast,
  });
  const schedule = scheduleOf(options, loader.batchesPerEpoch);
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
    const outcome = await trainEpoch(
      options,
      setting,
      learning,
      reporter,
      loader,
      schedule,
      epoch,
      resumed,
      saveInside,
    );
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

interface EpochOutcome {
  metrics: Metrics;
  accumulated: MetricAccumulator;
  /** Absent when nothing was left to train. */
  imagesPerSecond?: number;
  stopped?: NodeJS.Signals;
}

async function trainEpoch(
  options: StageOptions,
  { model, normalizer, device }: Setting,
  learning: Learning,
  reporter: Reporter,
  loader: Loader,
  schedule: Schedule,
  epoch: number,
  from: { step: number; metrics?: MetricState },
  saveInside: (step: number, metrics: MetricAccumulator) => void,
): Promise<EpochOutcome> {
  const metrics = new MetricAccumulator(from.metrics);
  const pending: PendingStep[] = [];
  const progress = reporter.progress(
    `epoch ${epoch + 1}/${options.max_epochs}`,
    loader.batchesPerEpoch * loader.batchSize,
    from.step * loader.batchSize,
  );
  const began = performance.now();
  let step = from.step;
  let saved = began;
  const outcome = () => {
    const trained = (step - from.step) * loader.batchSize;
    const imagesPerSecond = trained / ((performance.now() - began) / 1000);
    return { metrics: metrics.metrics(), accumulated: metrics, ...(trained > 0 && { imagesPerSecond }) };
  };
  const look = () => {
    collect(pending, metrics, epoch);
    progress.update(step * loader.batchSize, shown(metrics.metrics()));
  };
  try {
    for await (const { images: bytes, labels, indices } of loader.batches(epoch, from.step)) {
      scope(() => {
        const images = normalizer.images(bytes, model.imageSize);
        const batch = {
          images,
          labels: fromArray(BigInt64Array.from(labels, BigInt), [labels.length], device),
          epoch,
          step,
        };
        const position: Position = { epoch, step: epoch * loader.batchesPerEpoch + step };
        const numbers = learning.step(batch, schedule(position));
        for (const tensor of Object.values(numbers)) keep(tensor);
        pending.push({ numbers, step, indices: indices.slice() });
      });
      step += 1;
      if (step % stepsBetweenLooks === 0) look();
      // Lets timers, signals and the loader run between steps.
      await new Promise(setImmediate);
      const stopped = reporter.stopping();
      const due = performance.now() - saved > saveEveryMs;
      if ((stopped !== undefined || due) && step < loader.batchesPerEpoch) {
        look();
        checkWeights(learning, epoch, step);
        saveInside(step, metrics);
        saved = performance.now();
        if (stopped !== undefined) return { ...outcome(), stopped };
      }
    }
    look();
    checkWeights(learning, epoch, step);
    return outcome();
  } finally {
    progress.stop();
  }
}

interface PendingStep {
  numbers: StepNumbers;
  step: number;
  indices: Uint32Array;
}

/** Reads the waiting steps' numbers back and adds them up. @throws kind "notFinite" naming the first bad step. */
function collect(pending: PendingStep[], metrics: MetricAccumulator, epoch: number): void {
  for (const { numbers, step, indices } of pending.splice(0)) {
    const read = (tensor: Tensor | undefined) => tensor?.toFloat32();
    const loss = numbers.loss.item();
    const result = {
      correct: numbers.correct.toFloat32(),
      reward: read(numbers.reward),
      baselineReward: read(numbers.baselineReward),
      mask: read(numbers.mask),
    };
    for (const tensor of Object.values(numbers)) (tensor as Tensor).free();
    if (!Number.isFinite(loss)) {
      throw fault("notFinite", {
        where: `epoch ${epoch + 1}, step ${step + 1}: loss`,
        rule: "must be finite",
        got: `${loss} on images ${[...indices.slice(0, 8)].join(", ")}, …`,
        next: afterDivergence,
      });
    }
    metrics.add({ loss, ...result });
  }
}

const afterDivergence = "lower --lr or set --clip; the last checkpoint is as it was";

/** A loss can be finite and the update after it not: looked at before a checkpoint is made. @throws kind "notFinite" */
function checkWeights({ networks }: Learning, epoch: number, step: number): void {
  for (const [name, { parameters }] of networks) {
    if (allFinite(parameters.flat) && allFinite(parameters.statistics)) continue;
    const where = `epoch ${epoch + 1}, step ${step}: ${name}`;
    throw fault("notFinite", { where, rule: "weights and running statistics must be finite", next: afterDivergence });
  }
}

function scheduleOf({ schedule, lr, epoch_step, max_epochs }: StageOptions, batchesPerEpoch: number): Schedule {
  if (schedule === "multistep") return multiStep(lr, [150, 250]);
  if (schedule === "step") return stepDecay(lr, epoch_step);
  return schedule === "onecycle" ? oneCycle(lr, max_epochs * batchesPerEpoch) : () => lr;
}

/** The few numbers that matter, for the bar. */
function shown({ accuracy, loss, sparsity, reward }: Metrics): Record<string, string> {
  return {
    accuracy: `${(100 * accuracy).toFixed(1)}%`,
    ...(loss !== undefined && { loss: loss.toFixed(3) }),
    ...(sparsity !== undefined && { patches: sparsity.toFixed(2) }),
    ...(reward !== undefined && { reward: reward.toFixed(3) }),
  };
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
