/** The order in which the best fixed masks of a run add patches, found on images that are not evaluated. */
import { Random } from "../utils/random.ts";
import { choosingSplit } from "./calibrate.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { greedyOrder, type Worth } from "./fixed-mask.ts";
import { type Images, scoreMasks } from "./score-masks.ts";

/** A search sees every mask that it tries on each of these; their label's mean probability settles early. */
const searchedImages = 256;

/** Found for the run's own classifier. @throws Stopped when a signal asks for it */
export function findFixedOrder(run: EvaluatedRun): Promise<number[]> {
  const { split } = choosingSplit(run);
  const all = new Random(run.seed, "fixed mask").shuffle(Uint32Array.from(split.labels.keys()));
  const images = { split, indices: all.slice(0, searchedImages).sort() };
  return greedyOrder(run.run.model.grid.patches, labelWorth(run, images, "best fixed mask"));
}

/** By the label's mean probability, which changes with every image, where accuracy only counts. */
export function labelWorth(run: EvaluatedRun, images: Images, label: string): Worth {
  return async (masks) => {
    const scores = await scoreMasks(images, run, masks, label);
    return scores.map(({ label }) => label.reduce((sum, value) => sum + value, 0) / label.length);
  };
}
