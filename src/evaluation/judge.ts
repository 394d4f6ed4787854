/**
 * Judges many choices of patches on one split: every image is read once, the policy looks at it once, and the classifier
 * sees it once a choice. Masks are made on the host from what the policy wants (method/budget.ts), since rules and
 * baselines are compared by the hundred and none of them needs a gradient.
 *
 * Shapes: N images of the pass, B batch, P patches, K classes.
 */
import type { Dataset } from "../data/dataset.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import type { Looked } from "../method/budget.ts";
import { ClassAccumulator } from "../method/class-metrics.ts";
import { lowResolution, maskPatches } from "../method/images.ts";
import { MetricAccumulator } from "../method/metrics.ts";
import { correct, reward } from "../method/reward.ts";
import * as ops from "../tensor/ops.ts";
import { fromArray } from "../tensor/tensor.ts";
import { addStreams, forEachBatch, type Passing, type Seen } from "./evaluate.ts";

/** What the networks that see only the low resolution say of the images, once and for all choices. */
export interface Look extends Looked {
  /** Logits of the low-resolution classifier [N × K], where the run has two streams. */
  readonly lowLogits?: Float32Array;
}

export async function lookAt(split: Dataset, run: OpenedRun, passing: Passing = {}): Promise<Look> {
  const { setting, networks } = run;
  const { patches } = setting.model.grid;
  const images = passing.images?.length ?? split.length;
  const probabilities = new Float32Array(images * patches);
  const lowLogits = networks.low && new Float32Array(images * setting.classes);
  const body = ({ images, first }: Seen) => {
    const low = lowResolution(images, setting.model);
    probabilities.set(ops.sigmoid(networks.policy.forward(low)).toFloat32(), first * patches);
    if (networks.low) lowLogits?.set(networks.low.forward(low).toFloat32(), first * setting.classes);
  };
  await forEachBatch(split, setting, body, { label: "policy", ...passing });
  return { probabilities, patches, ...(lowLogits && { lowLogits }) };
}

/** The mask [P] of image `i` of the pass. */
export type MaskOf = (i: number) => Uint8Array;

export interface Verdict {
  readonly metrics: MetricAccumulator;
  readonly classes: ClassAccumulator;
  /** 1 for an image that is classified rightly, [N]. */
  readonly right: Uint8Array;
}

/** What comes of each choice. `look` is that of the same pass. */
export async function judge(
  split: Dataset,
  run: OpenedRun,
  look: Look,
  choices: readonly MaskOf[],
  passing: Passing = {},
): Promise<Verdict[]> {
  const { patches } = look;
  const images = look.probabilities.length / patches;
  const verdicts = choices.map(() => ({
    metrics: new MetricAccumulator(),
    classes: new ClassAccumulator(run.setting.classes, patches),
    right: new Uint8Array(images),
  }));
  // Choices that agree on a whole batch, as baselines do on none and on all patches, are classified once.
  let judged = new Map<string, Judged>();
  const body = (seen: Seen) => {
    if (seen.pass === 0) judged = new Map();
    const { first, labels, pass } = seen;
    const mask = new Uint8Array(labels.length * patches);
    for (let b = 0; b < labels.length; b++) mask.set(choices[pass](first + b), b * patches);
    const key = Buffer.from(mask).toString("latin1");
    const one = judged.get(key) ?? classify(run, look, seen, mask);
    judged.set(key, one);
    verdicts[pass].metrics.add(one);
    verdicts[pass].classes.add(labels, one.correct, mask);
    verdicts[pass].right.set(one.correct, first);
  };
  await forEachBatch(split, run.setting, body, { ...passing, passes: choices.length });
  return verdicts;
}

/** What the metrics take of a batch. */
interface Judged {
  readonly correct: Float32Array;
  readonly mask: Float32Array;
  readonly reward: Float32Array;
}

function classify(run: OpenedRun, { lowLogits }: Look, { images, targets, labels, first }: Seen, taken: Uint8Array) {
  const { networks, fill, rewarding, setting } = run;
  const { model, device, classes } = setting;
  const batch = labels.length;
  const mask = fromArray(Float32Array.from(taken), [batch, model.grid.patches], device);
  const low = fill === "lr" ? lowResolution(images, model) : undefined;
  const high = networks.high.forward(maskPatches(images, mask, model.grid, low));
  const added =
    lowLogits && fromArray(lowLogits.slice(first * classes, (first + batch) * classes), [batch, classes], device);
  const right = correct(addStreams(high, added), targets);
  return {
    correct: right.toFloat32(),
    mask: mask.toFloat32(),
    reward: reward(right, mask, rewarding).toFloat32(),
  };
}
