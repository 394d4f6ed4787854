/** What a classifier says of images under masks that are the same for every image. Shapes: N images, P patches, K classes. */
import type { Dataset } from "../data/dataset.ts";
import { softmax } from "../method/planes.ts";
import { row } from "../utils/rows.ts";
import { type Evaluating, forEachBatch } from "./evaluate-masks.ts";

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
  await forEachBatch(split, evaluating, passing, async (held, { labels, first }, passed) => {
    for (const [n, mask] of masks.entries()) {
      const repeated = Uint8Array.from({ length: labels.length * mask.length }, (_, at) => mask[at % mask.length]);
      const classes = softmax(await held.logits(repeated), length);
      for (const [b, own] of labels.entries()) {
        const said = row(classes, b, length);
        const confidence = Math.max(...said);
        scores[n].right[first + b] = said.indexOf(confidence) === own ? 1 : 0;
        scores[n].confidence[first + b] = confidence;
        scores[n].label[first + b] = said[own];
      }
      await passed();
    }
  });
  return scores;
}
