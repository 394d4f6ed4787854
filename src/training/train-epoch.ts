/** One epoch of training: steps, the numbers that they leave on the device, saving inside a long epoch, stopping. */
import type { Loader } from "../data/loader.ts";
import { fault } from "../errors.ts";
import { type BatchResult, MetricAccumulator, type MetricState, type Metrics } from "../method/metrics.ts";
import type { Position, Schedule } from "../nn/schedules.ts";
import type { StepRecord } from "../run/metric-log.ts";
import { allFinite } from "../tensor/ops.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Reporter, Stopped, type StopSignal, stoppedBy, untilStopped } from "../utils/reporter.ts";
import type { Learning, StepNumbers } from "./learning.ts";
import type { StepRunner } from "./step-runner.ts";

/**
 * Steps between looks at the metrics. Reading them waits for a GPU, which is idle meanwhile; on a CPU unread results keep the
 * heap fragmented (native/heap.ts).
 */
export const stepsBetweenLooks = { cpu: 1, cuda: 32 } as const;
/** Steps of an epoch whose own numbers are logged, at most. */
const stepsLogged = 20;
/** An epoch that takes longer is also saved inside. */
const saveEveryMs = 10 * 60_000;

export interface EpochOutcome {
  metrics: Metrics;
  accumulated: MetricAccumulator;
  /** Absent when nothing was left to train. */
  imagesPerSecond: number | undefined;
  stopped?: StopSignal;
}

/** What stays the same from epoch to epoch. */
export interface Training {
  learning: Pick<Learning, "networks">;
  runner: StepRunner;
  loader: Loader;
  schedule: Schedule;
  reporter: Reporter;
  epochs: number;
  /** Takes the numbers of some of the steps, evenly spread; none where they are not wanted. */
  logStep?: (record: StepRecord) => void;
}

/** Trains from a step of an epoch to its end, or until a signal asks for a stop; then everything is saved. */
export async function trainEpoch(
  training: Training,
  epoch: number,
  from: { step: number; metrics?: MetricState },
  saveInside: (step: number, metrics: MetricAccumulator) => void,
): Promise<EpochOutcome> {
  const { learning, runner, loader, schedule, reporter, epochs } = training;
  const metrics = new MetricAccumulator(from.metrics);
  const pending: PendingStep[] = [];
  const before = loader.imagesBefore(from.step);
  const all = loader.imagesBefore(loader.batchesPerEpoch);
  const progress = reporter.progress(`epoch ${epoch + 1}/${epochs}`, all, before);
  const began = performance.now();
  let step = from.step;
  let saved = began;
  const outcome = () => {
    const trained = loader.imagesBefore(step) - before;
    const imagesPerSecond = trained > 0 ? trained / ((performance.now() - began) / 1000) : undefined;
    return { metrics: metrics.metrics(), accumulated: metrics, imagesPerSecond };
  };
  const look = () => {
    collect(pending, metrics, epoch, stepLog(training, epoch));
    progress.update(loader.imagesBefore(step), shown(metrics.metrics()));
  };
  const settle = () => {
    look();
    runner.release();
    checkWeights(learning, epoch, step);
  };
  const save = () => {
    settle();
    saveInside(step, metrics);
    saved = performance.now();
  };
  const steps = runner.steps(epoch, from.step)[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await untilStopped(reporter, steps.next()).catch(stoppedBy);
      if (next instanceof Stopped) {
        // Stopped while the next images were read.
        if (step > from.step) save();
        return { ...outcome(), stopped: next.signal };
      }
      if (next.done) break;
      const { indices, take } = next.value;
      const position: Position = { epoch, step: epoch * loader.batchesPerEpoch + step };
      pending.push({ numbers: take(schedule(position)), step, indices: indices.slice() });
      step += 1;
      if (step % runner.window === 0) look();
      // Lets timers, signals and the loader run between steps.
      await new Promise(setImmediate);
      const stopped = reporter.stopping();
      const due = performance.now() - saved > saveEveryMs;
      if ((stopped !== undefined || due) && step < loader.batchesPerEpoch) {
        save();
        if (stopped !== undefined) return { ...outcome(), stopped };
      }
    }
    settle();
    return outcome();
  } finally {
    for (const { numbers } of pending) free(numbers);
    progress.stop();
  }
}

interface PendingStep {
  numbers: StepNumbers;
  step: number;
  indices: Uint32Array;
}

/** Reads the waiting steps' numbers back and adds them up. @throws kind "notFinite" naming the first bad step. */
function collect(
  pending: PendingStep[],
  metrics: MetricAccumulator,
  epoch: number,
  log: (step: number, result: BatchResult) => void,
): void {
  for (const { numbers, step, indices } of pending) {
    const read = (tensor: Tensor | undefined) => tensor?.toFloat32();
    const loss = numbers.loss.item();
    const result = {
      correct: numbers.correct.toFloat32(),
      reward: read(numbers.reward),
      baselineReward: read(numbers.baselineReward),
      mask: read(numbers.mask),
    };
    free(numbers);
    if (!Number.isFinite(loss)) {
      throw fault("notFinite", {
        where: `epoch ${epoch + 1}, step ${step + 1}: loss`,
        rule: "must be finite",
        got: `${loss} on images ${[...indices.slice(0, 8)].join(", ")}, …`,
        next: afterDivergence,
      });
    }
    metrics.add({ loss, ...result });
    log(step, { loss, ...result });
  }
  pending.length = 0;
}

/** What logs a step of an epoch: every so many steps, that step's numbers alone, so that a resumed run logs the same. */
function stepLog({ loader, schedule, logStep }: Training, epoch: number): (step: number, result: BatchResult) => void {
  const { batchesPerEpoch } = loader;
  const interval = Math.ceil(batchesPerEpoch / stepsLogged);
  return (step, result) => {
    if (logStep === undefined || (step + 1) % interval !== 0) return;
    const own = new MetricAccumulator();
    own.add(result);
    const { accuracy, loss, reward, sparsity } = own.metrics();
    const position = { epoch, step: epoch * batchesPerEpoch + step };
    logStep({ step: position.step + 1, metrics: { accuracy, loss, reward, sparsity, lr: schedule(position) } });
  };
}

function free(numbers: StepNumbers): void {
  for (const tensor of Object.values(numbers)) (tensor as Tensor | undefined)?.free();
}

const afterDivergence = "lower --lr or set --clip; the last checkpoint is intact";

/** A loss can be finite and the update after it not: looked at before a checkpoint is made. @throws kind "notFinite" */
function checkWeights({ networks }: Training["learning"], epoch: number, step: number): void {
  for (const [name, { parameters }] of networks) {
    if (allFinite(parameters.flat) && allFinite(parameters.statistics)) continue;
    const where = `epoch ${epoch + 1}, step ${step}: ${name}`;
    throw fault("notFinite", { where, rule: "weights and running statistics must be finite", next: afterDivergence });
  }
}

/** The few numbers that matter, for the bar. */
export function shown({ accuracy, loss, sparsity, reward }: Metrics): Record<string, string> {
  const texts = {
    accuracy: `${(100 * accuracy).toFixed(1)} %`,
    loss: loss?.toFixed(3),
    patches: sparsity?.toFixed(2),
    reward: reward?.toFixed(3),
  };
  const known = Object.entries(texts).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return Object.fromEntries(known);
}
