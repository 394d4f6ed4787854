/** One epoch of training: steps, the numbers that they leave on the device, saving inside a long epoch, stopping. */
import type { Loader } from "../data/loader.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { firstStop, ownStops } from "../distributed/stops.ts";
import { fault } from "../errors.ts";
import { type BatchResult, MetricAccumulator, type MetricState, type Metrics } from "../method/metrics.ts";
import type { Parameters } from "../nn/parameters.ts";
import type { Position, Schedule } from "../nn/schedules.ts";
import type { ResolvedStageOptions as StageOptions } from "../options/stage-options.ts";
import type { StepRecord } from "../run/metric-log.ts";
import { allFinite } from "../tensor/ops.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { unprofiled } from "../utils/profile.ts";
import { type Reporter, Stopped, type StopSignal, stoppedBy, untilStopped } from "../utils/reporter.ts";
import type { SlowWatch } from "../utils/slow-watch.ts";
import type { Learning, StepNumbers } from "./learning.ts";
import type { Shard, Sharding } from "./sharding.ts";
import type { StageProfile } from "./stage-profile.ts";
import type { StepRunner } from "./step-runner.ts";

/**
 * Steps between looks at the metrics. Reading them waits for a GPU, which is idle meanwhile; on a CPU unread results keep the
 * heap fragmented (native/heap.ts).
 */
export const stepsBetweenLooks = { cpu: 1, cuda: 32 } as const;
/** Steps of an epoch whose own numbers are logged, at most. */
const stepsLogged = 20;

export interface EpochOutcome {
  metrics: Metrics;
  accumulated: MetricAccumulator;
  /** That were trained on. */
  images: number;
  /** Absent when nothing was left to train. */
  imagesPerSecond: number | undefined;
  stopped?: StopSignal;
}

/** What stays the same from epoch to epoch. */
export interface Training {
  sharding: Sharding;
  learning: Pick<Learning, "networks" | "epochSeen">;
  runner: StepRunner;
  loader: Loader;
  schedule: Schedule;
  reporter: Reporter;
  epochs: number;
  /** How long after a save the next one is due inside an epoch: steps, or minutes such as "30m". */
  saveInterval: StageOptions["save_interval"];
  /** Of all epochs together. */
  slow: SlowWatch;
  /** Takes the numbers of some of the steps, evenly spread; none where they are not wanted. */
  logStep?: (record: StepRecord) => void;
  profile?: StageProfile;
}

/** Trains from a step of an epoch to its end, or until a signal asks for a stop; then everything is saved. */
export async function trainEpoch(
  training: Training,
  epoch: number,
  from: { step: number; metrics?: MetricState },
  saveInside: (step: number, metrics: MetricAccumulator) => void,
): Promise<EpochOutcome> {
  const { learning, runner, loader, schedule, reporter: given, epochs, sharding, profile = unprofiled } = training;
  const { group } = sharding;
  const reporter = ownStops(given, group);
  const metrics = new MetricAccumulator(from.metrics);
  const pending: PendingStep[] = [];
  const before = loader.imagesBefore(from.step);
  const all = loader.imagesBefore(loader.batchesPerEpoch);
  const progress = reporter.progress(`epoch ${epoch + 1}/${epochs}`, all, before);
  const began = performance.now();
  let step = from.step;
  let saved = { ms: began, step };
  const isDue = () => isLater(training.saveInterval, { ms: performance.now() - saved.ms, steps: step - saved.step });
  const outcome = () => {
    const images = loader.imagesBefore(step) - before;
    const imagesPerSecond = images > 0 ? images / ((performance.now() - began) / 1000) : undefined;
    return { metrics: metrics.metrics(), accumulated: metrics, images, imagesPerSecond };
  };
  const ownWish = (): Wish => ({ stop: given.stopping(), save: isDue() });
  /** Adds up what all ranks' waiting steps say, and agrees on what comes next. */
  const look = () => profile.of("metrics", addUp);
  const addUp = (): Wish => {
    const wish = ownWish();
    const own = pending.map((one) => readShards(one, sharding.own(loader.imagesIn(one.step))));
    const exchanged = () => group.exchange({ own, wish });
    const all = group.size === 1 ? exchanged() : profile.of("exchange", exchanged);
    const log = stepLog(training, epoch);
    for (const [n, { step }] of pending.entries()) {
      const shards = all.flatMap((rank) => rank.own[n]);
      for (const shard of shards) checkLoss(shard, epoch, step);
      for (const shard of shards) metrics.add(shard);
      log(step, shards);
    }
    pending.length = 0;
    progress.update(loader.imagesBefore(step), shown(metrics.metrics()));
    return { stop: firstStop(all.map((rank) => rank.wish.stop)), save: all[0].wish.save };
  };
  const settle = () => {
    look();
    runner.release();
    for (const { parameters } of learning.networks.values()) shareStatistics(group, parameters);
    checkWeights(learning, epoch, step);
  };
  const save = () => {
    profile.of("saving", settle);
    saveInside(step, metrics);
    saved = { ms: performance.now(), step };
  };
  const steps = runner.steps(learning.epochSeen?.(epoch) ?? epoch, from.step)[Symbol.asyncIterator]();
  let stepBegan = began;
  const noteIfSlow = () => {
    const now = performance.now();
    const times = training.slow.step(loader.imagesIn(step - 1), now - stepBegan);
    stepBegan = now;
    if (times !== undefined) given.note(slowNote(times));
  };
  try {
    for (;;) {
      const next = await profile.of("reading images", () => untilStopped(reporter, steps.next()).catch(stoppedBy));
      if (next instanceof Stopped) {
        // Stopped while the next images were read.
        if (step > from.step) save();
        return { ...outcome(), stopped: next.signal };
      }
      if (next.done) break;
      const { indices, take } = next.value;
      const position: Position = { epoch, step: epoch * loader.batchesPerEpoch + step };
      const numbers = profile.of("step", () => take(schedule(position)));
      pending.push({ numbers, step, indices: indices.slice() });
      step += 1;
      // Lets timers, signals and the loader run between steps.
      await profile.of("reading images", () => new Promise(setImmediate));
      noteIfSlow();
      const agreed = step % runner.window === 0 ? look() : undefined;
      const wish = group.size === 1 ? ownWish() : (agreed ?? noWish);
      if ((wish.stop !== undefined || wish.save) && step < loader.batchesPerEpoch) {
        save();
        if (wish.stop !== undefined) return { ...outcome(), stopped: wish.stop };
      }
    }
    profile.of("saving", settle);
    return outcome();
  } finally {
    for (const { numbers } of pending) free(numbers);
    progress.stop();
  }
}

function slowNote(times: number): string {
  const help = "fewer --threads, or OMP_WAIT_POLICY=passive, share better with other processes (patchdrop doctor)";
  return `steps have taken ${times.toFixed(0)} times as long as usual for half a minute: ${help}`;
}

function isLater(interval: Training["saveInterval"], since: { ms: number; steps: number }): boolean {
  if (typeof interval === "number") return since.steps >= interval;
  return since.ms > 60_000 * Number.parseInt(interval, 10);
}

/** What a step is followed by, on all ranks alike. */
interface Wish {
  readonly stop: StopSignal | undefined;
  readonly save: boolean;
}
const noWish: Wish = { stop: undefined, save: false };

interface PendingStep {
  numbers: StepNumbers;
  step: number;
  indices: Uint32Array;
}

/** What a shard of a step says, with some of its images, for an error. */
interface ShardResult extends BatchResult {
  readonly loss: number;
  readonly images: readonly number[];
}

const imagesNamed = 8;

/** Reads a step's numbers back, shard by shard, and frees them. */
function readShards({ numbers, indices }: PendingStep, shards: readonly Shard[]): ShardResult[] {
  const read = (tensor: Tensor | undefined) => tensor?.toFloat32();
  const losses = numbers.loss.toFloat32();
  const all = {
    correct: numbers.correct.toFloat32(),
    reward: read(numbers.reward),
    baselineReward: read(numbers.baselineReward),
    mask: read(numbers.mask),
  };
  free(numbers);
  const filled = shards.filter(({ count }) => count > 0);
  return filled.map(({ first, count }, n) => {
    const from = first - filled[0].first;
    const own = (values: Float32Array | undefined) => {
      const each = (values?.length ?? 0) / indices.length;
      return values?.slice(from * each, (from + count) * each);
    };
    return {
      loss: losses[n],
      correct: own(all.correct)!,
      reward: own(all.reward),
      baselineReward: own(all.baselineReward),
      mask: own(all.mask),
      images: Array.from(indices.subarray(from, from + Math.min(count, imagesNamed))),
    };
  });
}

/** @throws kind "notFinite" */
function checkLoss({ loss, images }: ShardResult, epoch: number, step: number): void {
  if (Number.isFinite(loss)) return;
  const where = `epoch ${epoch + 1}, step ${step + 1}: loss`;
  const got = `${loss} on images ${images.join(", ")}, …`;
  throw fault("notFinite", { where, rule: "must be finite", got, next: afterDivergence });
}

/** Running statistics are those of the first shard, which rank 0 has. */
function shareStatistics(group: ProcessGroup, parameters: Parameters): void {
  if (group.size === 1) return;
  group.broadcast(parameters.statistics);
  [parameters.batchesTracked] = group.exchange(parameters.batchesTracked);
}

/** What logs a step of an epoch: every so many steps, that step's numbers alone, so that a resumed run logs the same. */
function stepLog(
  { loader, schedule, logStep }: Training,
  epoch: number,
): (step: number, shards: readonly BatchResult[]) => void {
  const { batchesPerEpoch } = loader;
  const interval = Math.ceil(batchesPerEpoch / stepsLogged);
  return (step, shards) => {
    if (logStep === undefined || (step + 1) % interval !== 0) return;
    const own = new MetricAccumulator();
    for (const shard of shards) own.add(shard);
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
