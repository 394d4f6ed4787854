/** Runs without networks: a made classifier, and a made policy where one is wanted, which read an image's truth from its bytes. */
import type { RunDescription } from "../../src/checkpoints/description.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import type { EvaluatedRun } from "../../src/evaluation/evaluated-run.ts";
import type { Engine } from "../../src/inference/engine.ts";
import { OpenedRun } from "../../src/inference/opened-run.ts";
import { asTested } from "../../src/method/budget.ts";
import { bytesIn } from "../../src/utils/pixel-array.ts";
import { Random } from "../../src/utils/random.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { row } from "../../src/utils/rows.ts";

export const patches = 16;
/** In a set, unless a test has its own number. */
export const images = 2000;
const [size, classes] = [4, 4];
const imageBytes = size * size * 3;

/** What an image is, in its first bytes. */
export interface Truth {
  readonly label: number;
  /** A number that the set makes use of. */
  readonly hidden: number;
}

/** The answer to an image under a mask: a class, and how sure the classifier is of it. */
export type Answer = (truth: Truth, mask: Uint8Array) => { readonly taken: number; readonly confidence: number };

/** What a policy wants of an image, [P], of which this much is there. */
export type Wanting = (truth: Truth, acquired: Uint8Array) => readonly number[];

/** Networks that read an image's truth from its bytes. */
function madeEngine(answer: Answer, wanting: Wanting | undefined): Engine {
  const truthOf = (bytes: Uint8Array, b: number): Truth => {
    const [label, hidden] = row(bytes, b, imageBytes);
    return { label, hidden };
  };
  return {
    hold: ({ images }) => ({
      probabilities(acquired) {
        const { mask } = acquired ?? { mask: new Uint8Array((images!.length / imageBytes) * patches) };
        const wanted = (b: number) => wanting!(truthOf(bytesIn(images!), b), row(mask, b, patches));
        return Float32Array.from(Array.from({ length: mask.length / patches }, (_, b) => wanted(b)).flat());
      },
      logits(masks) {
        const count = images!.length / imageBytes;
        const logits = new Float32Array(count * classes);
        for (let b = 0; b < count; b++) {
          const { taken, confidence } = answer(truthOf(bytesIn(images!), b), row(masks, b, patches));
          // Softmax of these gives the class its confidence, and the others the rest in equal parts.
          for (let k = 0; k < classes; k++) {
            logits[b * classes + k] = Math.log(k === taken ? confidence : (1 - confidence) / (classes - 1));
          }
        }
        return logits;
      },
      free() {},
    }),
    free() {},
  };
}

/**
 * A made set with its run; `hidden` is uniform below that bound.
 * @param policy what it wants, and in how many rounds it decides
 */
export function madeRun(
  bound: number,
  answer: Answer,
  policy?: { readonly rounds: number; readonly wanting: Wanting },
  count = images,
): EvaluatedRun {
  const random = new Random(1, "made set", bound);
  const truths = Array.from({ length: count }, (_, i) => [i % classes, random.integer(bound)]);
  const split = new MemoryDataset({
    name: "made",
    classes: ["a", "b", "c", "d"],
    imageSize: size,
    labels: Int32Array.from(truths, ([label]) => label),
    images: Uint8Array.from(truths.flatMap((truth) => [...truth, ...Array<number>(imageBytes - 2).fill(0)])),
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
  const description: RunDescription = {
    ...{
      model: "made",
      variant: "2019",
      imageSize: size,
      lowSize: 1,
      patchSize: 1,
      bands: split.bands,
      pixelType: "uint8",
    },
    ...{
      transform: "cifar",
      normalization: split.normalization,
      fill: "lr",
      rounds: policy?.rounds ?? 1,
      policyHead: "mean",
      classes: split.classes,
      choice: asTested,
    },
  };
  const engine = madeEngine(answer, policy?.wanting);
  const run = new OpenedRun({
    description,
    networks: new Set(policy === undefined ? ["resnet_hr"] : ["agent", "resnet_hr"]),
    engine,
    choice: asTested,
    precision: "fp32",
    checkpoint: "",
  });
  const data = { train: split, test: split };
  const rewarding = policy && ({ kind: "priced", penalty: 0, price: 0.01 } as const);
  const given = { run, data, split, seed: 1, reporter: silentReporter, rewarding };
  return given as unknown as EvaluatedRun;
}

/** Right with this confidence, or wrong with it. */
export const right = ({ label }: Truth, confidence: number) => ({ taken: label, confidence });
export const wrong = ({ label }: Truth, confidence: number) => ({ taken: (label + 1) % classes, confidence });
