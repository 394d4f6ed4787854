/** A run of two streams is one in whatever form its checkpoint comes: a run folder, or PyTorch's file. */
import { beforeAll, describe, expect, it } from "vitest";
import { convertCheckpoint } from "../../src/checkpoints/convert-checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import type { RunEvaluation } from "../../src/evaluation/evaluation.ts";
import { showImages } from "../../src/evaluation/show-images.ts";
import { describeRun } from "../../src/inference/describe-run.ts";
import { openSaved, placeOf, sourcesOf } from "../../src/inference/open-run.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { asLogged, counts, evaluate, exact, type Given, SmallRuns } from "../training/small-runs.ts";

const runs = new SmallRuns();
/** What a PyTorch file does not say. */
let unsaid: Given;

beforeAll(async () => {
  const data_dir = await runs.makeFolder();
  unsaid = { model: "R8_Scenes", data_dir };
  const [ckpt_hr_cl, load, ckpt_lr_cl] = ["hr", "policy", "lr"].map((name) => runs.at(name));
  await runs.train("classifier_training", "hr", { data_dir });
  await runs.train("classifier_training", "lr", { data_dir, stream_id: "LR", lr: 0.05 });
  await runs.train("pretrain", "policy", { data_dir, ckpt_hr_cl, curriculum: false, lr: 1e-2 });
  await runs.train("finetune2stream", "two", { data_dir, load, ckpt_hr_cl, ckpt_lr_cl });
  convertCheckpoint(runs.at("two"), runs.at("two.pth"));
});

const images = Uint32Array.from({ length: counts.classes * counts.test }, (_, i) => i);
const shown = (load: string, more: Given = {}) => showImages(evalSchema.parse({ ...exact, load, ...more }), images);
const lowAlone = ({ rows }: RunEvaluation) => rows.find(({ name }) => name.startsWith("LR classifier"));

describe("converted to a PyTorch file, a run of two streams", () => {
  it("earns what the run earns", async () => {
    const [own, converted] = [await evaluate(runs.at("two")), await evaluate(runs.at("two.pth"), unsaid)];
    expect(asLogged(converted)).toEqual(asLogged(own));
    const numbers = ({ rows }: RunEvaluation) => rows.map(({ accuracy, reward }) => [accuracy, reward]);
    expect(numbers(converted)).toEqual(numbers(own));
    expect(converted.patchUse).toEqual(own.patchUse);
  });

  it("is of no model until one is named: none is guessed", async () => {
    const { model: _, ...rest } = unsaid;
    await expect(evaluate(runs.at("two.pth"), rest)).rejects.toMatchObject({
      kind: "usage",
      faults: [
        {
          where: "--model",
          rule: `must be given: ${runs.at("two.pth")} does not say which model it is of`,
          next: "give one that `patchdrop models` lists, with its --variant and sizes",
        },
      ],
    });
  });

  it("says of each image what the run says", async () => {
    expect(await shown(runs.at("two.pth"), unsaid)).toEqual(await shown(runs.at("two")));
  });

  it("has its low-resolution classifier beside a sweep, as the run", async () => {
    const own = lowAlone(await evaluate(runs.at("two"), { sweep: true }));
    expect(own).toMatchObject({ accuracy: expect.any(Number), patches: 0 });
    expect(lowAlone(await evaluate(runs.at("two.pth"), { ...unsaid, sweep: true }))).toEqual(own);
  });
});

it("a run has two streams where both classifiers are among its networks, and then adds their logits", async () => {
  const checkpoint = openCheckpoint(runs.at("two.pth"));
  const description = describeRun(openCheckpoint(runs.at("two")));
  const bytes = Uint8Array.from({ length: 2 * 32 * 32 * 3 }, (_, i) => (7 * i) % 256);
  const mask = Uint8Array.from({ length: 2 * 16 }, (_, i) => i % 2);
  const logitsOf = async (...names: string[]) => {
    const sources = new Map([...sourcesOf(checkpoint)].filter(([name]) => names.includes(name)));
    const run = openSaved({ sources, description }, placeOf({ ...exact, device: "cpu" }));
    const held = run.hold({ images: bytes });
    const logits = await held.logits(mask);
    held.free();
    await run.free();
    return { logits, hasTwoStreams: run.hasTwoStreams };
  };
  const both = await logitsOf("agent", "resnet_hr", "resnet_lr");
  const high = await logitsOf("agent", "resnet_hr");
  const low = await logitsOf("resnet_lr");
  expect([both, high, low].map(({ hasTwoStreams }) => hasTwoStreams)).toEqual([true, false, false]);
  expect(both.logits).toEqual(high.logits.map((logit, k) => logit + low.logits[k]));
  expect(low.logits.some((logit) => Math.abs(logit) > 0.01)).toBe(true);
});
