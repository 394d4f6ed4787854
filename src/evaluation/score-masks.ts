/** What a classifier says of images under masks that are the same for every image. Shapes: N images, P patches, K classes. */
import type { Dataset } from "../data/dataset.ts";
import type { HeldBatch } from "../inference/engine.ts";
import { softmax } from "../method/planes.ts";
import { row } from "../utils/rows.ts";
import { type Evaluating, forEachBatch, type SplitBatch } from "./evaluate-masks.ts";

/** Some images of a split. */
export interface Images {
  readonly split: Dataset;
  /** Which ones, [N]. */
  readonly indices: Uint32Array;
}

export interface MaskScores {
  /** 1 for an image that is classified correctly, [N]. */
  readonly right: Uint8Array;
  /** The largest class probability, [N]. */
  readonly confidence: Float32Array;
  /** The label's probability, [N]. */
  readonly label: Float32Array;
}

/** The scores of each mask [P], in their order. @throws Stopped when a signal asks for it */
export async function scoreMasks(
  { split, indices }: Images,
  evaluating: Evaluating,
  masks: readonly Uint8Array[],
  label: string,
): Promise<MaskScores[]> {
  const { length } = evaluating.run.classes;
  const scores = masks.map(() => ({
    right: new Uint8Array(indices.length),
    confidence: new Float32Array(indices.length),
    label: new Float32Array(indices.length),
  }));
  const passing = { images: indices, label, passes: masks.length };
  const classify = async (held: HeldBatch, { labels }: SplitBatch, passed: () => Promise<void>) => {
    const classes: Float32Array[] = [];
    for (const mask of masks) {
      const repeated = Uint8Array.from({ length: labels.length * mask.length }, (_, at) => mask[at % mask.length]);
      classes.push(softmax(await held.logits(repeated), length));
      await passed();
    }
    return classes;
  };
  await forEachBatch(split, evaluating, passing, classify, (classes, { labels, first }) => {
    for (const [n, { right, confidence, label }] of scores.entries()) {
      for (const [b, own] of labels.entries()) {
        const said = row(classes[n], b, length);
        const most = Math.max(...said);
        right[first + b] = said.indexOf(most) === own ? 1 : 0;
        confidence[first + b] = most;
        label[first + b] = said[own];
      }
    }
  });
  return scores;
}
