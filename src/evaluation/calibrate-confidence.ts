/**
 * How sure a run's classifier may say it is where images may leave early: a temperature, fitted to images that are not evaluated, as they
 * are seen when they may leave.
 */
import type { StoredConfidence } from "../checkpoints/stored-confidence.ts";
import type { Choice } from "../method/budget.ts";
import { calibratedConfidences, fitTemperature } from "../method/leave-early.ts";
import { meanOf } from "../utils/mean.ts";
import { choosingImages, choosingSplit } from "./calibrate.ts";
import { forEachBatch, type MasksOf } from "./evaluate-masks.ts";
import type { EvaluatedRun } from "./evaluated-run.ts";
import { decidedBy, masksBy } from "./masks.ts";

const noPatch: MasksOf = ({ count, patches }) => new Uint8Array(count * patches);

/**
 * Of images without a patch, and, of a policy that decides in rounds, also with all that `choice` takes.
 * @param tta whether the run's classifiers look at six views
 */
export async function calibrateConfidence(
  evaluated: EvaluatedRun,
  choice: Choice,
  tta: boolean,
): Promise<StoredConfidence> {
  const { run, data, seed } = evaluated;
  const { patches } = run.model.grid;
  const { split, indices: images } = choosingImages(evaluated);
  const looks = run.rounds === 1 ? [noPatch] : [noPatch, masksBy(decidedBy(run, choice, seed))];
  const logits: Float32Array[] = [];
  const labels: number[] = [];
  await forEachBatch(
    split,
    evaluated,
    { images, label: "calibration: confidence", passes: looks.length },
    async (held, { first, labels }, passed) => {
      const said: Float32Array[] = [];
      for (const look of looks) {
        said.push(await held.logits(await look({ held, first, count: labels.length, patches })));
        await passed();
      }
      return said;
    },
    (said, { labels: own }) => {
      for (const one of said) {
        logits.push(one);
        labels.push(...own);
      }
    },
  );
  const classes = run.classes.length;
  const all = new Float32Array(labels.length * classes);
  let length = 0;
  for (const one of logits) {
    all.set(one, length);
    length += one.length;
  }
  const temperature = fitTemperature(all, labels, classes);
  const right = labels.map((label, i) => {
    const own = all.subarray(i * classes, (i + 1) * classes);
    return Number(own.indexOf(Math.max(...own)) === label);
  });
  const confidenceAt = (T: number) => meanOf(calibratedConfidences(all, classes, T));
  return {
    temperature,
    calibrated: {
      split: choosingSplit(evaluated).name,
      images: images.length,
      accuracy: meanOf(right),
      said: confidenceAt(1),
      confidence: confidenceAt(temperature),
    },
    fill: run.description.fill,
    tta,
    dataset: data.train.name,
    seed,
  };
}
