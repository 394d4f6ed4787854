/**
 * The loop around a stage's steps: what it logs, says and saves, and where it goes on. The steps learn nothing and take a
 * second each, and what the tests find is scripted, so that each number can be worked out by hand.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { Loader } from "../../src/data/loader.ts";
import { alone } from "../../src/distributed/process-group.ts";
import type { MasksOf } from "../../src/evaluation/evaluate-masks.ts";
import type { JsonObject } from "../../src/files/json.ts";
import { asFloat32, float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import { Normalizer } from "../../src/method/images.ts";
import type { Metrics } from "../../src/method/metrics.ts";
import { freshNetwork, type NetworkName } from "../../src/models/networks.ts";
import { findModel } from "../../src/models/registry.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { parseOptions, withModelDefaults } from "../../src/options/stage-options.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import type { CudaDevice } from "../../src/tensor/cuda.ts";
import { fromArray, full } from "../../src/tensor/tensor.ts";
import { learnEpochs } from "../../src/training/epochs.ts";
import type { Learning } from "../../src/training/learning.ts";
import { describeSetting, type Setting } from "../../src/training/setting.ts";
import type { RunnerOptions } from "../../src/training/step-runner.ts";
import { type Reporter, Stopped } from "../../src/utils/reporter.ts";
import { prompt, SimulatedCuda } from "../tensor/simulated-cuda.ts";
import { listener, memoryData } from "./small-runs.ts";

/** What the next tests find or throw, and what the loop asked of its neighbours. */
const script = vi.hoisted(() => ({
  tests: [] as (Metrics | Error)[],
  masks: [] as MasksOf[],
  runners: [] as RunnerOptions[],
  freed: 0,
}));
vi.mock(import("../../src/evaluation/evaluate-masks.ts"), async (original) => {
  const module = await original();
  const evaluateMasks: typeof module.evaluateMasks = async (split, evaluating, masks) => {
    script.masks.push(...masks);
    const found = script.tests.shift() ?? { accuracy: 0 };
    if (found instanceof Error) throw found;
    const evaluated = await module.evaluateMasks(split, evaluating, masks);
    evaluated[0].metrics.metrics = () => found;
    return evaluated;
  };
  return { ...module, evaluateMasks };
});
vi.mock(import("../../src/training/step-runner.ts"), async (original) => {
  const module = await original();
  const stepRunner: typeof module.stepRunner = (options) => {
    script.runners.push(options);
    // A GPU's way of taking steps is simulated elsewhere.
    const runner = module.stepRunner({ ...options, setting: { ...options.setting, cuda: undefined } });
    return Object.assign(runner, { free: () => void script.freed++ });
  };
  return { ...module, stepRunner };
});

let folder: string;
/** Not 0: what counts is the time since the run began. */
const beganMs = 5000;
let clockMs: number;
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});
beforeEach(() => {
  Object.assign(script, { tests: [], masks: [], runners: [], freed: 0 });
  folder = mkdtempSync(join(tmpdir(), "patchdrop-epochs-"));
  clockMs = beganMs;
  vi.spyOn(performance, "now").mockImplementation(() => clockMs);
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true, force: true });
});

interface Case {
  options?: Record<string, unknown>;
  /** Training images; eight, two batches of four, unless said. */
  images?: number;
  networks?: NetworkName[];
  decided?: Learning["decided"];
  reporter?: Partial<Reporter>;
  cuda?: CudaDevice;
  /** Where a resumed run goes on. */
  progress?: JsonObject;
  /** As its checkpoint has it; an optimizer that has done nothing, unless said. */
  optimizer?: StateDict;
}

/** Runs the loop, and returns what came of it: of each batch half of the images are right, at a loss of 2. */
async function learn({ images = 8, networks = ["resnet_hr"], decided, ...more }: Case = {}) {
  const model = findModel({ model: "R8_Scenes" });
  const data = memoryData({ classes: 1, train: images, test: 1 });
  const cv_dir = mkdtempSync(join(folder, "run-"));
  const given = {
    cv_dir,
    model: model.name,
    variant: model.variant,
    batch_size: 4,
    max_epochs: 2,
    test_interval: 1,
    lr: 0.5,
  };
  const options = withModelDefaults(
    "classifier_training",
    parseOptions("classifier_training", { ...given, schedule: "constant", ...more.options }),
  );
  const place = { model, classes: 1, device: "cpu", precision: "fp32" } as const;
  const learners = new Map(networks.map((name) => [name, freshNetwork(place, 1, name)] as const));
  const learned = new Map([...learners].map(([name, { parameters }]) => [name, parameters] as const));
  const optimizer = new Optimizer(learned, { kind: "sgd", momentum: 0.5 });
  const learning: Learning = {
    networks: learners,
    optimizer,
    uniformsPerImage: 0,
    rewarding: undefined,
    pass({ labels }) {
      clockMs += 1000;
      const [count] = labels.shape;
      const correct = Float32Array.from({ length: count }, (_, i) => i % 2);
      return { loss: full([], 2, "float32", "cpu"), correct: fromArray(correct, [count]) };
    },
    ...(decided && { decided }),
  };
  const description = describeSetting(model, data, "zero");
  const { reporter: hears, notes } = listener();
  const versions = { patchdrop: "0", node: "0", libtorch: "0" };
  const dataset = { name: "squares", fingerprint: "0" };
  const run = RunFolder.create(cv_dir, {
    ...{ stage: "classifier_training", options: {}, versions, description, dataset },
  });
  const logs: unknown[] = [];
  const saves: { name: string; progress: JsonObject; isBest: boolean }[] = [];
  vi.spyOn(run, "log").mockImplementation((record) => void logs.push(record));
  vi.spyOn(run, "save").mockImplementation(({ name, progress, isBest }) => {
    saves.push({ name, progress, isBest });
    return name;
  });
  const { progress } = more;
  const checkpoint: Checkpoint | undefined = progress && {
    ...{ path: "OLD", networks: new Map(), config: run.config, progress },
    optimizer: more.optimizer ?? optimizer.state(),
  };
  const normalizer = new Normalizer(data.train.normalization, "cpu");
  const setting: Setting = {
    ...place,
    ...{ data, cuda: more.cuda, group: alone, normalizer, description, versions, checkpoint },
    reporter: { ...hears, ...more.reporter },
  };
  const before = liveHandles();
  try {
    const result = await learnEpochs(options, setting, learning, { run });
    return { result, logs, saves, notes, train: data.train, optimizer: optimizer.state(), path: run.path };
  } finally {
    expect(liveHandles()).toBe(before);
    expect(script.freed).toBe(script.runners.length);
    run.close();
    optimizer.free();
    normalizer.free();
    for (const { parameters } of learners.values()) parameters.free();
  }
}

const train = (epoch: number, lr = 0.5) => {
  // Eight images in two steps of a second.
  return { epoch, split: "train", accuracy: 0.5, loss: 2, lr, images_per_second: 4 };
};
const testLog = (epoch: number, found: Metrics) => ({ epoch, split: "test", ...found });

describe("what a run leaves of its epochs", () => {
  it("are both splits' numbers where there was a test: when it is due, and at the end", async () => {
    const found = [
      { accuracy: 0.75, reward: 0.25 },
      { accuracy: 0.25, reward: -0.5 },
    ];
    script.tests = [...found];
    const { logs, result, path } = await learn({ options: { max_epochs: 3, test_interval: 2 } });
    expect(logs).toEqual([train(1), train(2), testLog(2, found[0]), train(3), testLog(3, found[1])]);
    expect(result).toEqual({ run: path, test: found[1], images: 24 });
  });

  it.each([
    [2, 4, [2, 4]],
    [3, 4, [3, 4]],
    [5, 2, [2]],
  ])("are of a test every %i epochs, of %i in all, and of the last: %o", async (test_interval, max_epochs, tested) => {
    const { logs } = await learn({ options: { test_interval, max_epochs } });
    expect(logs.filter((log) => Object(log).split === "test")).toEqual(
      tested.map((epoch) => testLog(epoch, { accuracy: 0 })),
    );
  });

  it("are checkpoints with the test's numbers, the best so far, and the time that the run took", async () => {
    script.tests = [{ accuracy: 0.75 }, { accuracy: 0.25, reward: 0.75 }];
    const { saves } = await learn({ options: { max_epochs: 3, test_interval: 2 } });
    expect(saves).toEqual([
      { name: "ckpt_E_1", progress: { epoch: 1, step: 0, sinceBest: 0, seconds: 2 }, isBest: false },
      {
        name: "ckpt_E_2_A_0.750_R_0.00",
        progress: { epoch: 2, step: 0, tested: { accuracy: 0.75 }, bestScore: 0.75, sinceBest: 0, seconds: 4 },
        isBest: true,
      },
      {
        name: "ckpt_E_3_A_0.250_R_0.75",
        progress: {
          ...{ epoch: 3, step: 0, tested: { accuracy: 0.25, reward: 0.75 }, bestScore: 0.75, sinceBest: 1 },
          seconds: 6,
        },
        isBest: false,
      },
    ]);
  });

  it("are words, after each test", async () => {
    script.tests = [{ accuracy: 0.75, reward: -0.25, sparsity: 3.5 }];
    const { notes } = await learn({ options: { test_interval: 2 } });
    expect(notes).toEqual([
      "epoch 2/2: train accuracy 50.0 %, loss 2.000; test accuracy 75.0 %, patches 3.50, reward -0.250",
    ]);
  });
});

describe("the learning rate that is logged, that of an epoch's last step", () => {
  const rates = async (options: Record<string, unknown>, progress?: JsonObject) => {
    const { logs } = await learn({ options: { test_interval: 1000, ...options }, ...(progress && { progress }) });
    return logs.flatMap((log) => ("lr" in Object(log) ? [Object(log).lr] : []));
  };
  const from = (epoch: number) => ({ epoch, step: 0, seconds: 0 });
  const close = (values: readonly number[]) => values.map((value) => expect.closeTo(value, 12));

  it("is what it was, where it is constant", async () => {
    expect(await rates({ schedule: "constant", max_epochs: 2 })).toEqual([0.5, 0.5]);
  });

  it("falls to a tenth at epochs 150 and 250", async () => {
    const given = { schedule: "multistep" };
    expect((await rates({ ...given, max_epochs: 152 }, from(149))).slice(0, 2)).toEqual(close([0.5, 0.05]));
    expect((await rates({ ...given, max_epochs: 252 }, from(249))).slice(0, 2)).toEqual(close([0.05, 0.005]));
  });

  it("falls to a tenth every so many epochs", async () => {
    expect(await rates({ schedule: "step", epoch_step: 2, max_epochs: 3 })).toEqual(close([0.5, 0.5, 0.05]));
  });

  it("is back at a 25th of a 10,000th at the end of one cycle", async () => {
    // Ten epochs of two steps: the peak is behind 0.3 · 20 = 6 of them, which is the third epoch's last step.
    const found = await rates({ schedule: "onecycle", max_epochs: 10 });
    expect([found[2], found[9]]).toEqual(close([0.5, 0.5 / 25 / 10_000]));
  });
});

describe("best", () => {
  const isBest = async (tests: Metrics[], more: Case = {}) => {
    script.tests = tests;
    const { saves } = await learn({ options: { max_epochs: tests.length }, ...more });
    return saves.map((save) => save.isBest);
  };

  it("is a score above the best so far, the reward where there is one", async () => {
    expect(await isBest([0.25, 0.5, 0.5, 0.25].map((accuracy) => ({ accuracy })))).toEqual([true, true, false, false]);
    const rewards = [-0.5, -0.75, 0];
    expect(await isBest(rewards.map((reward, i) => ({ accuracy: i / 2, reward })))).toEqual([true, false, true]);
  });

  it("is even a score of 0, where there was none before", async () => {
    expect(await isBest([{ accuracy: 0 }, { accuracy: 0 }])).toEqual([true, false]);
  });

  it("is a policy that has learned to decide more patches, and among equals the higher score", async () => {
    const found = [1, 0.5, 0.75, 0.25].map((reward) => ({ accuracy: 1, reward }));
    const decided = (epoch: number) => [1, 2, 2, 2][epoch];
    expect(await isBest(found, { decided })).toEqual([true, true, true, false]);
  });

  const resumed = { epoch: 2, step: 0, seconds: 0, bestScore: 0.5 };

  it("goes on from the best of the run that is resumed", async () => {
    const options = { max_epochs: 4 };
    const found = [{ accuracy: 0.5 }, { accuracy: 0.75 }];
    expect(await isBest(found, { options, progress: resumed })).toEqual([false, true]);
  });

  it("goes on from what the best policy had learned to decide", async () => {
    const given = { options: { max_epochs: 3 }, decided: () => 3 };
    const found = [{ accuracy: 1 }];
    expect(await isBest([...found], { ...given, progress: { ...resumed, decided: 3, bestDecided: 4 } })).toEqual([
      false,
    ]);
    expect(await isBest([...found], { ...given, progress: { ...resumed, decided: 3, bestDecided: 3 } })).toEqual([
      true,
    ]);
  });

  it("does not go on from a policy's score of before 0.2.0, which had no number of decided patches", async () => {
    const given = { options: { max_epochs: 3 }, progress: { ...resumed, bestScore: 2 } };
    expect(await isBest([{ accuracy: 1 }], { ...given, decided: () => 3 })).toEqual([true]);
    expect(await isBest([{ accuracy: 1 }], given)).toEqual([false]);
  });
});

describe("patience", () => {
  const scores = [0.5, 0.25, 0.75, 0.75, 0.5, 1];
  const epochsOf = async (more: Case) => {
    script.tests = scores.slice(Number(more.progress?.epoch ?? 0)).map((accuracy) => ({ accuracy }));
    const { saves, notes } = await learn({ ...more, options: { max_epochs: scores.length, ...more.options } });
    return { epochs: saves.map(({ progress }) => [progress.epoch, progress.sinceBest]), last: notes.at(-1) };
  };

  it("ends a run after so many tests in a row that were not better than the best", async () => {
    const { epochs, last } = await epochsOf({ options: { patience: 2 } });
    expect(epochs).toEqual([
      [1, 0],
      [2, 1],
      [3, 0],
      [4, 1],
      [5, 2],
    ]);
    expect(last).toBe("no better test in 2: stopped after epoch 5 of 6; use best");
  });

  it("counts tests, not epochs", async () => {
    // Tested after epochs 2, 4 and 6: 0.5, 0.25 and 0.75.
    const { epochs } = await epochsOf({ options: { patience: 2, test_interval: 2 } });
    expect(epochs.at(-1)).toEqual([6, 0]);
  });

  it("goes on from what a resumed run had waited, and does nothing where that was enough", async () => {
    const waited = { epoch: 4, step: 0, seconds: 0, bestScore: 0.75, sinceBest: 1 };
    expect((await epochsOf({ options: { patience: 2 }, progress: waited })).epochs).toEqual([[5, 2]]);
    const over = await epochsOf({ options: { patience: 1 }, progress: waited });
    expect(over.epochs).toEqual([]);
    expect(over.last).toMatch(
      /: already stopped after epoch 4 of 6, with no better test in 1; a larger --patience lets it go on$/,
    );
  });

  it("is endless when it is not given", async () => {
    expect((await epochsOf({})).epochs.at(-1)).toEqual([6, 0]);
  });
});

describe("a policy", () => {
  it("is saved with the number of patches that it had learned to decide, inside an epoch too", async () => {
    const decided = (epoch: number) => 5 + epoch;
    // The first epoch's two steps and the first of the second: then a signal.
    const reporter = { stopping: () => (clockMs >= beganMs + 3000 ? ("SIGTERM" as const) : undefined) };
    script.tests = [{ accuracy: 0.5 }];
    const { saves } = await learn({ decided, reporter });
    expect(saves.map(({ name, progress }) => [name, progress.decided, progress.bestDecided])).toEqual([
      ["ckpt_E_1_A_0.500_R_0.00", 5, 5],
      ["ckpt_E_1_S_1", 6, 5],
    ]);
  });

  it("whose curriculum is not over is said to be so after each test", async () => {
    const { notes } = await learn({ decided: (epoch) => 15 + epoch });
    expect(notes.filter((note) => note.includes("curriculum"))).toEqual([
      "the curriculum is not over: the policy has learned to decide 15 of 16 patches",
    ]);
  });

  it.each([
    [0.95, true],
    [0.9499, false],
    [undefined, false],
  ])("of whose masks the commonest has a share of %s: is it called flat? %s", async (share, flat) => {
    script.tests = [{ accuracy: 0.5, distinct_masks: 7, ...(share !== undefined && { commonest_mask: share }) }];
    const { notes } = await learn({ options: { max_epochs: 1 } });
    expect(notes.slice(1)).toEqual(
      flat
        ? [
            "warning: the policy is flat: 95.0 % of the test images get the same patches (7 distinct masks); " +
              "train longer, or try --beta 0.01 or another --penalty",
          ]
        : [],
    );
  });

  it("is tested on patches of a probability of one half and more, a classifier alone on all", async () => {
    const patches = 16;
    const wanted = Float32Array.from({ length: patches }, (_, k) => k / patches);
    const held = { probabilities: () => wanted, logits: vi.fn(), free: vi.fn() };
    const masksOfOne = () => Promise.all(script.masks.map((mask) => mask({ held, first: 0, count: 1, patches })));
    await learn({ options: { max_epochs: 1 }, networks: ["agent", "resnet_hr"] });
    expect(await masksOfOne()).toEqual([Uint8Array.from(wanted, (one) => (one < 0.5 ? 0 : 1))]);
    script.masks = [];
    await learn({ options: { max_epochs: 1 } });
    expect(await masksOfOne()).toEqual([new Uint8Array(patches).fill(1)]);
  });
});

describe("a signal", () => {
  /** Of one batch of four: two right, a loss of 2 each. */
  const afterSteps = (steps: number) => ({
    images: 4 * steps,
    sums: { accuracy: 2 * steps, loss: 8 * steps },
    masks: [],
  });

  it("inside an epoch saves what it has so far, and ends the run with the last test", async () => {
    script.tests = [{ accuracy: 0.75 }];
    const reporter = { stopping: () => (clockMs >= beganMs + 3000 ? ("SIGINT" as const) : undefined) };
    const { saves, result, logs, path } = await learn({ reporter });
    expect(saves.at(-1)).toEqual({
      name: "ckpt_E_1_S_1",
      progress: { epoch: 1, step: 1, metrics: afterSteps(1), bestScore: 0.75, sinceBest: 0, seconds: 3 },
      isBest: false,
    });
    expect(result).toEqual({ run: path, stopped: "SIGINT", test: { accuracy: 0.75 }, images: 12 });
    expect(logs).toHaveLength(2);
  });

  it("in a test saves the epoch behind its last step, and logs nothing of it", async () => {
    script.tests = [{ accuracy: 0.75 }, new Stopped("SIGTERM")];
    const { saves, result, logs, path } = await learn();
    expect(saves.slice(1)).toEqual([
      {
        name: "ckpt_E_1_S_2",
        progress: { epoch: 1, step: 2, metrics: afterSteps(2), bestScore: 0.75, sinceBest: 0, seconds: 4 },
        isBest: false,
      },
    ]);
    expect(result).toEqual({ run: path, stopped: "SIGTERM", test: { accuracy: 0.75 }, images: 16 });
    expect(logs).toEqual([train(1), testLog(1, { accuracy: 0.75 })]);
  });

  it("is not what another error in a test is", async () => {
    script.tests = [new RangeError("no memory")];
    await expect(learn()).rejects.toThrow(new RangeError("no memory"));
  });
});

describe("a run that is resumed", () => {
  it("inside an epoch takes the steps that are left, adds to what was counted, and to the time", async () => {
    // Four images, all right, at a loss of 1.
    const metrics = { images: 4, sums: { accuracy: 4, loss: 4 }, masks: [] };
    const { logs, saves } = await learn({ progress: { epoch: 1, step: 1, metrics, seconds: 10 } });
    // With the second batch: 6 of 8 right, and (4 · 1 + 4 · 2) / 8.
    expect(logs[0]).toEqual({ ...train(2), accuracy: 0.75, loss: 1.5 });
    expect(saves.map(({ progress }) => [progress.epoch, progress.seconds])).toEqual([[2, 11]]);
  });

  it("begins its later epochs at their first step, with nothing counted", async () => {
    const metrics = { images: 4, sums: { accuracy: 4, loss: 4 }, masks: [] };
    const { logs } = await learn({ progress: { epoch: 0, step: 1, metrics, seconds: 10 } });
    expect(logs[2]).toEqual(train(2));
  });

  it("says so where all is done, and returns no test", async () => {
    const { notes, result, saves, path } = await learn({ progress: { epoch: 2, step: 0, seconds: 1 } });
    expect(notes).toEqual([`${path}: epoch 2 of 2 is already done; a larger --max_epochs lets it go on`]);
    expect([result, saves]).toEqual([{ run: path, test: undefined, images: 0 }, []]);
  });

  it("does not say that more epochs would go on where the schedule ends with the training", async () => {
    const options = { schedule: "linear" } as const;
    const { notes, path } = await learn({ progress: { epoch: 2, step: 0, seconds: 1 }, options });
    expect(notes).toEqual([
      `${path}: epoch 2 of 2 is already done; --schedule linear ends there: for more epochs start another run`,
    ]);
  });

  it("has its optimizer's moments", async () => {
    const progress = { epoch: 2, step: 0, seconds: 1 };
    const { optimizer: fresh } = await learn({ progress });
    const moments = new Map(
      [...fresh].map(([name, { shape }]) => {
        const count = shape.reduce((product, side) => product * side, 1);
        return [name, float32Tensor(shape, new Float32Array(count).fill(0.25))] as const;
      }),
    );
    const { optimizer } = await learn({ progress, optimizer: moments });
    expect(new Set(asFloat32(optimizer.get("resnet_hr.first")!))).toEqual(new Set([0.25]));
  });

  it("says which moments are missing", async () => {
    const optimizer: StateDict = new Map();
    const progress = { epoch: 2, step: 0, seconds: 1 };
    await expect(learn({ progress, optimizer })).rejects.toThrow(/^OLD: optimizer: resnet_hr\.first: must have shape/);
  });
});

describe("the steps", () => {
  it.each([
    [8, 4, 2],
    // A last batch of one image, on which batch norm cannot train, is left out.
    [9, 4, 2],
    [10, 4, 3],
    [3, 4, 1],
  ])("of %i images in batches of %i are %i", async (images, batch_size, steps) => {
    await learn({ images, options: { max_epochs: 1, batch_size } });
    expect(clockMs).toBe(beganMs + 1000 * steps);
  });

  it("are of shuffled and augmented images, by the seed", async () => {
    const { train } = await learn({ options: { max_epochs: 1, seed: 3 } });
    const expected = new Loader(train, { batchSize: 4, shuffle: true, augment: true, padding: 4, seed: 3 });
    const [{ loader, seed }] = script.runners;
    expect([...loader.plans(1)]).toEqual([...expected.plans(1)]);
    expect(seed).toBe(3);
  });

  it("are looked at one by one on a CPU, and 32 at a time on a GPU, where they are captured unless a flag says not", async () => {
    await learn({ options: { max_epochs: 1 } });
    const cuda = new SimulatedCuda(prompt).device;
    await learn({ options: { max_epochs: 1, cuda_graph: false }, cuda });
    expect(script.runners.map(({ window, captured }) => [window, captured])).toEqual([
      [1, true],
      [32, false],
    ]);
  });
});
