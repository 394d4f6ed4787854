/**
 * Evaluates many masks on one split: every image is read once, the policy looks at it once, and the classifier
 * sees it once for each mask. Masks are made on the host from what the policy wants (method/budget.ts), since rules and
 * baselines are compared by the hundred and none of them needs a gradient.
 *
 * Shapes: N images of the pass, B batch, P patches, K classes.
 */
import type { Dataset } from "../data/dataset.ts";
import { Loader } from "../data/loader.ts";
import { alone, type ProcessGroup } from "../distributed/process-group.ts";
import { ownStops, together } from "../distributed/stops.ts";
import type { HeldBatch, MaybePromise } from "../inference/engine.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import type { Looked } from "../method/budget.ts";
import { ClassAccumulator } from "../method/class-metrics.ts";
import { countPatches } from "../method/grid.ts";
import { type BatchResult, MetricAccumulator } from "../method/metrics.ts";
import { type RewardOptions, reward } from "../method/reward.ts";
import { classification } from "../method/task.ts";
import { argmax, cast } from "../tensor/ops.ts";
import { scope } from "../tensor/scope.ts";
import { fromArray } from "../tensor/tensor.ts";
import { breathe, type Reporter, untilStopped } from "../utils/reporter.ts";
import { row } from "../utils/rows.ts";

/** Images per batch; of the results, only the last bits depend on it. */
const batchSize = 512;

/** What is evaluated, and what a mask earns. */
export interface Evaluating {
  readonly run: OpenedRun;
  /** None for a classifier alone. */
  readonly rewarding: RewardOptions | undefined;
  readonly reporter: Reporter;
  /** The ranks that share the work out; alone when absent. */
  readonly group?: ProcessGroup | undefined;
}

export interface Passing {
  /** Only these images of the split; all when absent. */
  readonly images?: Uint32Array | undefined;
  /** What is under way, for the bar. */
  readonly label?: string;
}

/** A batch that is evaluated. */
export interface LookedBatch {
  readonly held: HeldBatch;
  /** Number of images before it. */
  readonly first: number;
  /** Number of images in it. */
  readonly count: number;
  readonly patches: number;
}

/** The masks of a batch, [B, P]. */
export type MasksOf = (batch: LookedBatch) => MaybePromise<Uint8Array>;

/** One mask after the other: [P] of image `i` of the pass. */
export function imageByImage(maskOf: (i: number) => Uint8Array): MasksOf {
  return ({ first, count, patches }) => {
    const masks = new Uint8Array(count * patches);
    for (let b = 0; b < count; b++) masks.set(maskOf(first + b), b * patches);
    return masks;
  };
}

/** Of a classifier alone, whose run has no policy: it takes all patches, or sees the low resolution and takes none. */
export const everyPatch: MasksOf = ({ count, patches }) => new Uint8Array(count * patches).fill(1);

export interface Verdict {
  readonly metrics: MetricAccumulator;
  readonly classes: ClassAccumulator;
  /** 1 for an image that is classified correctly, [N]. */
  readonly right: Uint8Array;
  /** The labels that the classifier chose, [N]. */
  readonly predictions: Int32Array;
  /** Patches taken, [N]. */
  readonly counts: Uint16Array;
}

/** The results of each of several masks of the images. @throws Stopped when a signal asks for it */
export async function evaluateMasks(
  split: Dataset,
  evaluating: Evaluating,
  masks: readonly MasksOf[],
  passing: Passing = {},
): Promise<Verdict[]> {
  const { run } = evaluating;
  const { patches } = run.model.grid;
  const images = passing.images?.length ?? split.length;
  const verdicts = masks.map(() => ({
    metrics: new MetricAccumulator(),
    classes: new ClassAccumulator(run.classes.length, patches),
    right: new Uint8Array(images),
    predictions: new Int32Array(images),
    counts: new Uint16Array(images),
  }));
  const judged = async (held: HeldBatch, { first, labels }: SplitBatch, passed: () => Promise<void>) => {
    const looked = { held, first, count: labels.length, patches };
    // Masks that agree on a whole batch, as baselines do on none and on all patches, are classified once.
    const known = new Map<string, PredictedBatch>();
    const results: { result: PredictedBatch; taken: Uint8Array }[] = [];
    for (const maskOf of masks) {
      const taken = await maskOf(looked);
      const key = Buffer.from(taken).toString("latin1");
      const result = known.get(key) ?? resultOf(evaluating, await held.logits(taken), labels, taken);
      known.set(key, result);
      results.push({ result, taken });
      await passed();
    }
    return results;
  };
  await forEachBatch(split, evaluating, { ...passing, passes: masks.length }, judged, (results, { first, labels }) => {
    for (const [n, { result, taken }] of results.entries()) {
      const { metrics, classes, right, predictions, counts } = verdicts[n];
      metrics.add(result);
      classes.add(labels, result.correct, taken);
      right.set(result.correct, first);
      predictions.set(result.predictions, first);
      counts.set(countsOf(taken, patches), first);
    }
  });
  return verdicts;
}

/** What a policy that decides once wants of the images, with nothing classified. */
export async function lookAt(split: Dataset, evaluating: Evaluating, passing: Passing = {}): Promise<Looked> {
  const { run } = evaluating;
  const { patches } = run.model.grid;
  const images = passing.images?.length ?? split.length;
  const looked = { probabilities: new Float32Array(images * patches), patches };
  const look = async (held: HeldBatch, { labels }: SplitBatch) => {
    const wanted = await held.probabilities();
    const leaving = await run.leavingFrom(held, new Uint8Array(labels.length * patches));
    // No threshold takes a patch of an image that leaves.
    return leaving === undefined
      ? wanted
      : wanted.map((one, at) => (leaving[Math.floor(at / patches)] === 1 ? -1 : one));
  };
  await forEachBatch(split, evaluating, { ...passing, passes: 0 }, look, (probabilities, { first }) =>
    looked.probabilities.set(probabilities, first * patches),
  );
  return looked;
}

export interface SplitBatch {
  readonly labels: Int32Array;
  /** Number of images before this batch. */
  readonly first: number;
}

/** How many patches each mask of [B, P] takes, [B]. */
function countsOf(masks: Uint8Array, patches: number): Uint16Array {
  const of = (b: number) => countPatches(row(masks, b, patches));
  return Uint16Array.from({ length: masks.length / patches }, (_, b) => of(b));
}

interface PredictedBatch extends BatchResult {
  /** The labels that the classifier chose, [B]. */
  readonly predictions: Int32Array;
}

/** What the metrics take of a batch; of a classifier alone, neither masks nor rewards. */
function resultOf(
  { run, rewarding }: Evaluating,
  scores: Float32Array,
  labels: Int32Array,
  masks: Uint8Array,
): PredictedBatch {
  return scope(() => {
    const logits = fromArray(scores, [labels.length, run.classes.length]);
    const targets = fromArray(BigInt64Array.from(labels, BigInt), [labels.length]);
    const right = classification.right(logits, targets);
    const predictions = cast(argmax(logits, 1), "int32").toInt32();
    if (rewarding === undefined) return { correct: right.toFloat32(), predictions };
    const mask = fromArray(Float32Array.from(masks), [labels.length, masks.length / labels.length]);
    const earned = reward({ right, mask, logits, targets }, rewarding);
    return { correct: right.toFloat32(), predictions, mask: mask.toFloat32(), reward: earned.toFloat32() };
  });
}

/** What is worked out of a batch; it calls `passed` behind each of its passes. */
export type BatchBody<R> = (held: HeldBatch, batch: SplitBatch, passed: () => Promise<void>) => MaybePromise<R>;

/**
 * Works something out of each batch of a split, and takes the results in the split's order. Many ranks share the batches out, and
 * each takes the results of all.
 * @throws Stopped
 */
export async function forEachBatch<R>(
  split: Dataset,
  { run, reporter: given, group = alone }: Evaluating,
  { images = allOf(split), label = "evaluation", passes }: Passing & { passes: number },
  body: BatchBody<R>,
  take: (result: R, batch: SplitBatch) => void,
): Promise<void> {
  const size = Math.min(batchSize, images.length);
  const batches = Math.ceil(images.length / size);
  const own = images.filter((_, i) => Math.floor(i / size) % group.size === group.rank);
  const reporter = ownStops(given, group);
  const bar = reporter.progress(label, own.length * Math.max(passes, 1));
  const isIdle = own.length === 0 && images.length > 0;
  const read = isIdle ? undefined : new Loader(split, { batchSize: size, images: own }).batches(0);
  let done = 0;
  const advance = async (labels: Int32Array) => {
    done += labels.length;
    bar.update(done);
    await breathe(reporter);
  };
  const next = async (first: number): Promise<Judged<R>> => {
    const { value: batch } = await untilStopped(reporter, read!.next());
    const { labels, images } = batch!;
    const held = run.hold({ images });
    try {
      const result = await body(held, { labels, first }, () => advance(labels));
      if (passes === 0) await advance(labels);
      return { result, labels, first };
    } finally {
      held.free();
    }
  };
  try {
    for (let n = group.rank; n - group.rank < batches; n += group.size) {
      const judged = n < batches ? await next(n * size) : undefined;
      for (const one of together(group, given, judged)) {
        if (one !== undefined) take(one.result, one);
      }
    }
  } finally {
    bar.stop();
  }
}

interface Judged<R> extends SplitBatch {
  readonly result: R;
}

const allOf = ({ length }: Dataset) => Uint32Array.from({ length }, (_, index) => index);
