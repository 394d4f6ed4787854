/** One epoch, of steps whose numbers are given: what is told, saved and given back on the way, and what ends it. */
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { Loader } from "../../src/data/loader.ts";
import { alone } from "../../src/distributed/process-group.ts";
import type { MetricAccumulator, MetricState } from "../../src/method/metrics.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { Position } from "../../src/nn/schedules.ts";
import type { StepRecord } from "../../src/run/metric-log.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import type { StepNumbers } from "../../src/training/learning.ts";
import { Sharding } from "../../src/training/sharding.ts";
import type { StepRunner } from "../../src/training/step-runner.ts";
import { shown, stepsBetweenLooks, type Training, trainEpoch } from "../../src/training/train-epoch.ts";
import { type Reporter, silentReporter } from "../../src/utils/reporter.ts";
import { SlowWatch } from "../../src/utils/slow-watch.ts";
import { learner, noiseDataset, tinyModel } from "./cases.ts";
import { epochOf } from "./training.ts";

/** Not 0: what counts is the time since the epoch began. */
const beganMs = 5000;
let clockMs: number;
let before: number;
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});
beforeEach(() => {
  clockMs = beganMs;
  vi.spyOn(performance, "now").mockImplementation(() => clockMs);
  before = liveHandles();
});
afterEach(() => {
  vi.restoreAllMocks();
  expect(liveHandles()).toBe(before);
});

const scalar = (value: number) => fromArray(Float32Array.of(value), []);
const perImage = (...values: number[]) => fromArray(Float32Array.from(values), [values.length]);

/** A step on two images, one of them right, after `minutes`. */
function takes(minutes: number): () => StepNumbers {
  return () => {
    clockMs += minutes * 60_000;
    return { loss: scalar(2), correct: perImage(0, 1), reward: undefined };
  };
}

interface Case {
  /** What each step does; two images each. */
  steps: (() => StepNumbers)[];
  window?: number;
  networks?: Training["learning"]["networks"];
  from?: { step: number; metrics?: MetricState };
  stopping?: Reporter["stopping"];
  logStep?: Training["logStep"];
  /** The images of this step never come. */
  missing?: number;
}

/** Trains the second epoch of three. */
async function epoch({
  steps,
  window = 1,
  networks = new Map(),
  from = { step: 0 },
  stopping,
  logStep,
  missing,
}: Case) {
  const loader = new Loader(noiseDataset(2 * steps.length), { batchSize: 2 });
  const happened: string[] = [];
  const positions: Position[] = [];
  const rates: number[] = [];
  const told: unknown[] = [];
  const bar: (string | number)[] = [];
  const runner: StepRunner = {
    window,
    async *steps(number, fromStep) {
      let step = fromStep;
      for (const { indices } of loader.plans(number, fromStep)) {
        const take = (rate: number) => {
          rates.push(rate);
          return steps[step++]();
        };
        if (step === missing) await new Promise(() => {});
        yield { indices, take };
        indices.fill(99); // valid until the next step
      }
    },
    release: () => void happened.push("released"),
    free() {},
  };
  const reporter: Reporter = {
    ...silentReporter,
    progress(label, total, done) {
      bar.push(`${label}: ${done} of ${total}`);
      const update = (now: number, numbers?: Record<string, string>) => {
        bar.push(now);
        told.push(numbers);
      };
      return { update, stop: () => void happened.push("bar ended") };
    },
    stopping: () => stopping?.(),
  };
  const schedule = (position: Position) => {
    positions.push(position);
    return position.step / 8;
  };
  const training = {
    learning: { networks },
    runner,
    loader,
    sharding: new Sharding(alone, undefined, 2),
    schedule,
    reporter,
    epochs: 3,
    saveInterval: "10m",
    slow: new SlowWatch(),
    logStep,
  };
  const states: MetricState[] = [];
  const saveInside = (step: number, metrics: MetricAccumulator) => {
    happened.push(`saved after ${step}`);
    states.push(metrics.state());
  };
  const outcome = trainEpoch(training, 1, from, saveInside);
  return { outcome, happened, positions, rates, told, bar, states };
}

describe("an epoch", () => {
  it("is trained at the rates of its steps, counted from the first epoch's first", async () => {
    const { outcome, positions, rates, bar } = await epoch({ steps: Array(3).fill(takes(1)), from: { step: 1 } });
    // Four images in two minutes; the two before are another session's.
    expect((await outcome).imagesPerSecond).toBe(4 / 120);
    expect(bar).toEqual(["epoch 2/3: 2 of 6", 4, 6, 6]);
    // Three steps an epoch: this is the second, and begins behind its first.
    expect(positions).toEqual([
      { epoch: 1, step: 4 },
      { epoch: 1, step: 5 },
    ]);
    expect(rates).toEqual([4 / 8, 5 / 8]);
  });

  it("gives the means over its images, with those of an earlier session", async () => {
    const numbers = (loss: number, reward: number) => ({
      loss: scalar(loss),
      correct: perImage(1, 0),
      reward: perImage(reward, reward),
      baselineReward: perImage(reward, 1),
      mask: fromArray(Float32Array.of(1, 1, 0, 1), [2, 2]),
    });
    const metrics = { images: 4, sums: { accuracy: 4, loss: 8, reward: 4, baseline_reward: 2 }, masks: [] };
    const steps = [takes(1), takes(1), () => numbers(5, 0), () => numbers(3, 0.5)];
    const { outcome, told } = await epoch({ steps, window: 2, from: { step: 2, metrics } });
    const found = await outcome;
    const means = {
      accuracy: (4 + 2) / 8,
      loss: (8 + 2 * 5 + 2 * 3) / 8,
      reward: (4 + 2 * 0.5) / 8,
      baseline_reward: (2 + (0 + 1) + (0.5 + 1)) / 8,
      distinct_masks: 2,
    };
    expect(found.metrics).toMatchObject(means);
    expect(found.accumulated.metrics()).toMatchObject(means);
    expect(found).not.toHaveProperty("stopped");
    // Masks of two patches and of one, two each, over eight images: 6/8.
    expect(told).toEqual(Array(2).fill({ accuracy: "75.0 %", loss: "3.000", patches: "0.75", reward: "0.625" }));
  });

  it("logs at most twenty steps, evenly spread, each with its own numbers, wherever it began", async () => {
    const steps = Array.from({ length: 41 }, (_, n) => () => ({ loss: scalar(n), correct: perImage(1, n % 2) }));
    const logged = async (from: number) => {
      const records: StepRecord[] = [];
      const logStep = (record: StepRecord) => void records.push(record);
      await (await epoch({ steps, window: 4, from: { step: from }, logStep })).outcome;
      return records;
    };
    const all = await logged(0);
    // Every third of 41 steps; 41 of the first epoch lie before them. The schedule is an eighth of the steps before.
    expect(all.map(({ step }) => step)).toEqual(Array.from({ length: 13 }, (_, n) => 41 + 3 * (n + 1)));
    expect(all[1]).toEqual({ step: 47, metrics: { accuracy: 1, loss: 5, lr: 46 / 8 } });
    expect(all[0].metrics.accuracy).toBe(0.5);
    expect(await logged(20)).toEqual(all.filter(({ step }) => step > 41 + 20));
  });

  it("with no step left is as fast as nothing", async () => {
    const { outcome, positions } = await epoch({ steps: [takes(1)], from: { step: 1 } });
    expect(await outcome).toMatchObject({ metrics: {}, imagesPerSecond: undefined });
    expect(positions).toEqual([]);
  });

  it("gives the device free and ends its bar when it is done", async () => {
    const { outcome, happened } = await epoch({ steps: [takes(1), takes(1)], window: 4 });
    await outcome;
    expect(happened).toEqual(["released", "bar ended"]);
  });

  it("is saved inside whenever more than ten minutes have passed, but not behind its last step", async () => {
    const { outcome, happened, states } = await epoch({ steps: Array(9).fill(takes(5)), window: 32 });
    await outcome;
    expect(happened).toEqual([
      ...["released", "saved after 3", "released", "saved after 6"],
      ...["released", "bar ended"],
    ]);
    expect(states).toEqual([3, 6].map((n) => ({ images: 2 * n, sums: { accuracy: n, loss: 4 * n }, masks: [] })));
  });
});

describe("a signal", () => {
  it("ends the epoch behind the step that is under way, with all that was counted", async () => {
    const stopping = () => (clockMs >= beganMs + 2 * 60_000 ? ("SIGINT" as const) : undefined);
    const { outcome, happened, states } = await epoch({ steps: Array(4).fill(takes(1)), window: 32, stopping });
    const { accumulated, ...found } = await outcome;
    // Four images in two minutes.
    expect(found).toEqual({
      metrics: { accuracy: 0.5, loss: 2 },
      images: 4,
      imagesPerSecond: 4 / 120,
      stopped: "SIGINT",
    });
    expect(accumulated.images).toBe(4);
    expect(happened).toEqual(["released", "saved after 2", "bar ended"]);
    expect(states).toEqual([{ images: 4, sums: { accuracy: 2, loss: 8 }, masks: [] }]);
  });

  it("in its last step leaves it whole: its test will hear of the signal", async () => {
    const stopping = () => (clockMs >= beganMs + 2 * 60_000 ? ("SIGINT" as const) : undefined);
    const { outcome, happened } = await epoch({ steps: [takes(1), takes(1)], stopping });
    expect(await outcome).not.toHaveProperty("stopped");
    expect(happened).toEqual(["released", "bar ended"]);
  });
});

describe("numbers that are not finite", () => {
  const next = "lower --lr or set --clip; the last checkpoint is intact";

  it("end the epoch at the first step whose loss is one, with its images; nothing is saved", async () => {
    const diverged = () => ({ loss: scalar(Number.POSITIVE_INFINITY), correct: perImage(0, 0) });
    const { outcome, happened } = await epoch({ steps: [takes(11), diverged, takes(1)], window: 3 });
    await expect(outcome).rejects.toMatchObject({
      kind: "notFinite",
      message: `epoch 2, step 2: loss: must be finite, got Infinity on images 2, 3, …; ${next}`,
    });
    expect(happened).toEqual(["released", "saved after 1", "bar ended"]);
  });

  it("are named with eight of their images at most", async () => {
    const loader = new Loader(noiseDataset(10), { batchSize: 10 });
    const runner: StepRunner = {
      window: 1,
      async *steps() {
        const take = () => ({ loss: scalar(Number.NaN), correct: perImage(0) });
        yield { indices: Uint32Array.from({ length: 10 }, (_, i) => i), take };
      },
      release() {},
      free() {},
    };
    const training = epochOf({ runner, loader, reporter: silentReporter, epochs: 1 });
    await expect(trainEpoch(training, 0, { step: 0 }, () => {})).rejects.toThrow(
      `epoch 1, step 1: loss: must be finite, got NaN on images 0, 1, 2, 3, 4, 5, 6, 7, …; ${next}`,
    );
  });

  it.each(["flat", "statistics"] as const)("are looked for in the %s of each network before a save", async (which) => {
    const place = { device: "cpu", precision: "fp32" } as const;
    const good = learner(tinyModel.policy, "policy", place);
    const bad = learner(tinyModel.classifier(3), "classifier", place);
    const tensor = bad.parameters[which];
    tensor.upload(new Float32Array(tensor.shape[0]).fill(Number.NaN, 1, 2));
    const networks = new Map([
      ["agent", good],
      ["resnet_hr", bad],
    ] as const);
    const { outcome, happened } = await epoch({ steps: [takes(1), takes(11), takes(1)], networks });
    await expect(outcome).rejects.toMatchObject({
      kind: "notFinite",
      message: `epoch 2, step 2: resnet_hr: weights and running statistics must be finite; ${next}`,
    });
    expect(happened).toEqual(["released", "bar ended"]);
    for (const { parameters } of [good, bad]) parameters.free();
  });
});

describe("what a bar shows", () => {
  it("is what there is, rounded", () => {
    expect(shown({ accuracy: 0.12345 })).toStrictEqual({ accuracy: "12.3 %" });
    expect(shown({ accuracy: 1, loss: 0, sparsity: 0, reward: -0.0005 })).toEqual({
      accuracy: "100.0 %",
      loss: "0.000",
      patches: "0.00",
      reward: "-0.001",
    });
  });

  it("is looked at after each step on a CPU, and on a GPU seldom", () => {
    expect(stepsBetweenLooks).toEqual({ cpu: 1, cuda: 32 });
  });
});

describe("a stop while the next images are read", () => {
  /** Asked for some time after the first look. */
  const later = () => {
    let asked = 0;
    return () => (++asked > 5 ? ("SIGTERM" as const) : undefined);
  };

  it("saves behind the last step that was taken", async () => {
    const steps = Array(4).fill(takes(1));
    const { outcome, happened, states } = await epoch({ steps, window: 3, stopping: later(), missing: 2 });
    expect(await outcome).toMatchObject({ stopped: "SIGTERM", metrics: { accuracy: 0.5, loss: 2 } });
    expect(happened).toEqual(["released", "saved after 2", "bar ended"]);
    expect(states).toHaveLength(1);
  });

  it("has nothing to save where no step was taken", async () => {
    const steps = Array(4).fill(takes(1));
    const { outcome, happened } = await epoch({ steps, from: { step: 1 }, stopping: later(), missing: 1 });
    expect((await outcome).stopped).toBe("SIGTERM");
    expect(happened).toEqual(["bar ended"]);
  });
});
