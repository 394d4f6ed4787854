/** The bar and the speed count images: a last batch that is not full as what it is. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Loader } from "../../src/data/loader.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { fromArray, full } from "../../src/tensor/tensor.ts";
import type { StepRunner } from "../../src/training/step-runner.ts";
import { trainEpoch } from "../../src/training/train-epoch.ts";
import { type Reporter, silentReporter } from "../../src/utils/reporter.ts";
import { noiseDataset } from "./cases.ts";
import { memoryData, SmallRuns } from "./small-runs.ts";
import { epochOf } from "./training.ts";

const runs = new SmallRuns();
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

/** What each bar was told, as "done/total": how far it was when it began, and then was moved to. */
function bars() {
  const said: Record<string, string[]> = {};
  const reporter: Reporter = {
    ...silentReporter,
    progress(label, total, done = 0) {
      const own = [`${done}/${total}`];
      said[label] = own;
      return { update: (now) => own.push(`${now}/${total}`), stop: () => {} };
    },
  };
  return { said, reporter };
}

describe("an epoch whose steps take a second each", () => {
  let clockMs = 0;
  beforeEach(() => {
    clockMs = 0;
    vi.spyOn(performance, "now").mockImplementation(() => clockMs);
  });
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** Trains an epoch of `images` images in batches of 8 from step `from` on. */
  async function epoch(images: number, { from = 0, window = 1, dropLast = false, stopping = () => false }) {
    const { said, reporter } = bars();
    const loader = new Loader(noiseDataset(images), { batchSize: 8, dropLast });
    const runner: StepRunner = {
      window,
      async *steps(number, fromStep) {
        for (const { indices } of loader.plans(number, fromStep)) {
          const take = () => {
            clockMs += 1000;
            return {
              loss: full([], 1, "float32", "cpu"),
              correct: fromArray(new Float32Array(indices.length), [indices.length]),
            };
          };
          yield { indices, take };
        }
      },
      release() {},
      free() {},
    };
    const stop: Reporter = { ...reporter, stopping: () => (stopping() ? "SIGTERM" : undefined) };
    const training = epochOf({ runner, loader, reporter: stop, epochs: 3 });
    const saved: number[] = [];
    const { imagesPerSecond } = await trainEpoch(training, 1, { step: from }, (step) => saved.push(step));
    return { bar: said["epoch 2/3"], imagesPerSecond, saved };
  }

  it("ends at 22 of 22 images in batches of 8, 22 images in 3 seconds", async () => {
    expect(await epoch(22, {})).toEqual({
      bar: ["0/22", "8/22", "16/22", "22/22", "22/22"],
      imagesPerSecond: 22 / 3,
      saved: [],
    });
  });

  it("that is gone on with begins behind what was done, and counts it in no speed", async () => {
    expect(await epoch(22, { from: 1 })).toMatchObject({
      bar: ["8/22", "16/22", "22/22", "22/22"],
      imagesPerSecond: 7,
    });
    expect(await epoch(22, { from: 2 })).toMatchObject({ bar: ["16/22", "22/22", "22/22"], imagesPerSecond: 6 });
    expect(await epoch(22, { from: 3 })).toMatchObject({ bar: ["22/22", "22/22"], imagesPerSecond: undefined });
  });

  it("is stopped behind the images that were trained on", async () => {
    expect(await epoch(22, { stopping: () => clockMs >= 2000 })).toEqual({
      bar: ["0/22", "8/22", "16/22", "16/22"],
      imagesPerSecond: 8,
      saved: [2],
    });
  });

  it("tells only what was looked at, where several steps are looked at together", async () => {
    expect((await epoch(22, { window: 2 })).bar).toEqual(["0/22", "16/22", "22/22"]);
  });

  it("does not count a batch that is left out", async () => {
    expect(await epoch(17, { dropLast: true })).toMatchObject({
      bar: ["0/16", "8/16", "16/16", "16/16"],
      imagesPerSecond: 8,
    });
  });
});

describe("imagesBefore", () => {
  it.each([
    [{ batchSize: 8 }, [0, 8, 16, 22]],
    [{ batchSize: 11 }, [0, 11, 22]],
    [{ batchSize: 7, dropLast: true }, [0, 7, 14, 21]],
    [{ batchSize: 4, images: Uint32Array.of(1, 2, 3, 5, 8, 13) }, [0, 4, 6]],
  ])("of a loader with %o", (options, expected) => {
    const loader = new Loader(noiseDataset(22), options);
    const steps = Array.from({ length: loader.batchesPerEpoch + 1 }, (_, step) => step);
    expect(steps.map((step) => loader.imagesBefore(step))).toEqual(expected);
  });
});

it("a training's bars end at all images of the epoch, and its log has a speed", async () => {
  const { said, reporter } = bars();
  const data = memoryData({ classes: 2, train: 11, test: 3 });
  await runs.train("classifier_training", "hr", { max_epochs: 1 }, { data, reporter });
  expect(said["epoch 1/1"]).toEqual(["0/22", "8/22", "16/22", "22/22", "22/22"]);
  expect(said.evaluation).toEqual(["0/6", "6/6"]);
  expect(Number(readMetrics(runs.at("hr"))[0].images_per_second)).toBeGreaterThan(0);
});
