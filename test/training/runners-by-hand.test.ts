/**
 * What both ways of taking steps hand to a stage, batch by batch: the images that the loader read, normalized, their labels,
 * the step's own random numbers, the epoch and the learning rate. The step here gives back what it was given.
 */
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Dataset, pixelStatistics } from "../../src/data/dataset.ts";
import { Loader } from "../../src/data/loader.ts";
import type { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { CapturingStream } from "../../src/tensor/cuda.ts";
import * as ops from "../../src/tensor/ops.ts";
import { full, type Tensor } from "../../src/tensor/tensor.ts";
import type { StepNumbers } from "../../src/training/learning.ts";
import { StaticSteps, type StepRunner, stepRunner, uniformsOf } from "../../src/training/step-runner.ts";
import type { Stepping } from "../../src/training/take-step.ts";
import { Random } from "../../src/utils/random.ts";
import { prompt, SimulatedCuda } from "../tensor/simulated-cuda.ts";
import { noiseDataset, tinyModel } from "./cases.ts";
import { runnerOptions, streamed } from "./training.ts";

let before: number;
beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});
beforeEach(() => {
  before = liveHandles();
});
afterEach(() => {
  expect(liveHandles()).toBe(before);
});

const perImage = 3;
const place = { device: "cpu", precision: "fp32", cuda: undefined } as const;
const copy = (tensor: Tensor) => ops.cast(tensor, tensor.dtype);

/** Gives back each image's sum, its label, its random numbers and the epoch; as the loss, the rate of the update. */
function echo(): Stepping {
  let loss: Tensor;
  return {
    networks: new Map(),
    pass({ images, labels, uniforms, epoch }) {
      loss = full([], 0);
      return {
        loss,
        correct: ops.sum(images, [1, 2, 3]),
        reward: ops.cast(labels, "float32"),
        baselineReward: full([labels.shape[0]], epoch),
        mask: copy(uniforms),
      };
    },
    optimizer: {
      gradients: [],
      update: (lr) => ops.copyInto(loss, typeof lr === "number" ? full([], lr) : lr),
    },
  };
}

/** The numbers of a step as {@link echo} gives them, with the images that it was of. */
interface Echo {
  indices: number[];
  rate: number;
  sums: number[];
  labels: number[];
  epochs: number[];
  uniforms: number[];
}

/** Takes the steps of these epochs, at rates of 1, 1/2, 1/4, …; the first epoch begins at `fromStep`. */
async function take(runner: StepRunner, epochs: readonly number[], fromStep = 0): Promise<Echo[]> {
  const seen: Echo[] = [];
  for (const [i, epoch] of epochs.entries()) {
    let rate = 2;
    for await (const { indices, take } of runner.steps(epoch, i === 0 ? fromStep : 0)) {
      rate /= 2;
      const numbers = take(rate);
      const read = (name: keyof StepNumbers) => [...numbers[name]!.toFloat32()];
      seen.push({
        ...{ indices: [...indices], rate: numbers.loss.item(), sums: read("correct"), labels: read("reward") },
        ...{ epochs: read("baselineReward"), uniforms: read("mask") },
      });
      for (const tensor of Object.values(numbers)) (tensor as Tensor).free();
    }
  }
  return seen;
}

/** The same by hand, of images of this data set in batches of four, with seed 5. */
async function expected(dataset: Dataset, epochs: readonly number[], fromStep = 0): Promise<unknown[]> {
  const loader = new Loader(dataset, { batchSize: 4, shuffle: true, augment: true, seed: 5 });
  const { mean, std } = pixelStatistics(dataset);
  const area = tinyModel.imageSize ** 2 * mean.length;
  const all: unknown[] = [];
  for (const [i, epoch] of epochs.entries()) {
    let step = i === 0 ? fromStep : 0;
    for await (const { images, indices } of loader.batches(epoch, step)) {
      const normalized = [...images].map((byte, at) => (byte / 255 - mean[at % mean.length]) / std[at % mean.length]);
      const sums = Array.from(indices, (_, b) =>
        normalized.slice(b * area, (b + 1) * area).reduce((sum, value) => sum + value, 0),
      );
      all.push({
        indices: [...indices],
        rate: 2 ** -(step - (i === 0 ? fromStep : 0)),
        sums: sums.map((sum) => expect.closeTo(sum, 3)),
        labels: Array.from(indices, (index) => dataset.labels[index]),
        epochs: Array.from(indices, () => epoch),
        uniforms: [...uniformsOf(5, epoch, step++, indices.length * perImage)],
      });
    }
  }
  return all;
}

/** A graph that is a call: what a launch makes goes into the captured results. */
class CallingStream implements CapturingStream {
  captures = 0;
  launches = 0;
  freed = 0;
  #last: StepNumbers | undefined;

  readonly #echo = echo();
  readonly learning: Stepping = {
    ...this.#echo,
    pass: (batch) => {
      this.#last = this.#echo.pass(batch);
      return this.#last;
    },
  };

  capture(body: () => void) {
    this.captures += 1;
    body();
    const captured = this.#last!;
    const launch = () => {
      this.launches += 1;
      body();
      for (const [name, tensor] of Object.entries(captured)) {
        const made = this.#last![name as keyof StepNumbers]!;
        ops.copyInto(tensor as Tensor, made);
        made.free();
      }
    };
    return { launch, free: () => void this.freed++ };
  }
}

const given = (dataset: Dataset, learning = echo()) =>
  runnerOptions(dataset, { ...learning, uniformsPerImage: perImage }, place);

/** Two full batches an epoch and one of two images. */
const images = 10;

describe.each<[string, (images: number) => Dataset]>([
  ["that lie in memory", noiseDataset],
  ["that are read", (count) => streamed(noiseDataset(count))],
  ["that are pairs in memory", (count) => noiseDataset(count, true)],
  ["that are pairs and are read", (count) => streamed(noiseDataset(count, true))],
])("images %s", (_, make) => {
  const ways: [string, (options: ReturnType<typeof given>) => StepRunner][] = [
    ["the CPU's way", stepRunner],
    ["a GPU's way without a graph", (options) => new StaticSteps(options, undefined)],
  ];

  it.each(ways)("go by %s into the steps of each epoch, and into those that are left of one", async (_, runnerOf) => {
    const dataset = make(images);
    const options = given(dataset);
    const runner = runnerOf(options);
    expect(runner.window).toBe(options.window);
    expect(await take(runner, [0, 1])).toEqual(await expected(dataset, [0, 1]));
    expect(await take(runner, [2, 3], 2)).toEqual(await expected(dataset, [2, 3], 2));
    runner.release();
    runner.free();
    options.setting.normalizer.free();
  });

  it("go through a graph, which is captured again in each epoch and behind a last batch that is not full", async () => {
    const dataset = make(images);
    const stream = new CallingStream();
    const options = given(dataset, stream.learning);
    const runner = new StaticSteps(options, stream);
    expect(runner.window).toBe(options.window);
    expect(await take(runner, [0, 1, 2])).toEqual(await expected(dataset, [0, 1, 2]));
    // Of six full batches three go before the first capture and one before the second.
    expect([stream.captures, stream.launches, stream.freed]).toEqual([2, 2, 2]);
    runner.free();
    options.setting.normalizer.free();
  });

  it("go through one graph an epoch where all batches are full", async () => {
    const dataset = make(12);
    const stream = new CallingStream();
    const options = given(dataset, stream.learning);
    const runner = new StaticSteps(options, stream);
    expect(await take(runner, [0, 1, 2])).toEqual(await expected(dataset, [0, 1, 2]));
    // The first epoch's three go before the first capture, and one of the third's before the second.
    expect([stream.captures, stream.launches, stream.freed]).toEqual([2, 3 + 2, 1]);
    runner.release();
    expect(stream.freed).toBe(2);
    runner.free();
    options.setting.normalizer.free();
  });
});

describe("a GPU", () => {
  const asked = (dataset: MemoryDataset) => {
    const calls: string[] = [];
    const { inMemory } = dataset;
    const moves: typeof inMemory.moves = (...given) => {
      calls.push("moves");
      return inMemory.moves(...given);
    };
    const read: Dataset["read"] = (...given) => {
      calls.push("read");
      return dataset.read(...given);
    };
    return { calls, read, inMemory: { ...inMemory, moves } };
  };

  it("holds the images of a set in memory, and is told how to move them", async () => {
    const dataset = noiseDataset(8);
    const { calls, read, inMemory } = asked(dataset);
    const options = given({ ...streamed(dataset), read, inMemory });
    const runner = new StaticSteps(options, undefined);
    await take(runner, [0]);
    expect(calls).toEqual(["moves", "moves"]);
    runner.free();
    options.setting.normalizer.free();
  });

  it("does not hold a set of more than a gibibyte", async () => {
    const dataset = noiseDataset(8);
    const { calls, read, inMemory } = asked(dataset);
    // Memory that nobody touches.
    const options = given({
      ...streamed(dataset),
      read,
      inMemory: { ...inMemory, images: new Uint8Array(2 ** 30 + 1) },
    });
    const runner = new StaticSteps(options, undefined);
    await take(runner, [0]);
    expect(calls).toEqual(["read", "read"]);
    runner.free();
    options.setting.normalizer.free();
  });

  it.each([true, false])("captures steps unless it is told not to: %s", async (captured) => {
    const cuda = new SimulatedCuda(prompt);
    const options = given(noiseDataset(16));
    const runner = stepRunner({ ...options, setting: { ...options.setting, cuda: cuda.device }, captured });
    await take(runner, [0]);
    expect(cuda.calls.includes("cudaStreamBeginCapture")).toBe(captured);
    runner.free();
    options.setting.normalizer.free();
  });
});

describe("a step's random numbers", () => {
  it("are those of its seed, its epoch and its place in it, and of nothing else", () => {
    // The name of the stream is part of what a seed means: with another one, runs would not end as they did.
    const own = new Random(5, "sample", 2, 7).uniforms(new Float32Array(6));
    expect(uniformsOf(5, 2, 7, 6)).toEqual(own);
    expect(uniformsOf(5, 2, 7, 4)).toEqual(own.subarray(0, 4));
    const others = [uniformsOf(6, 2, 7, 6), uniformsOf(5, 3, 7, 6), uniformsOf(5, 2, 8, 6)];
    expect(new Set([own, ...others].map(String)).size).toBe(4);
  });
});

describe("an allocator that would move a graph's memory", () => {
  const names = ["PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"];
  afterEach(() => {
    for (const name of names) delete process.env[name];
  });

  const made = (captured: boolean) => {
    const options = given(noiseDataset(8));
    const cuda = new SimulatedCuda(prompt).device;
    try {
      stepRunner({ ...options, setting: { ...options.setting, cuda }, captured }).free();
    } finally {
      options.setting.normalizer.free();
    }
  };

  it.each(names)("named by %s is refused with graphs alone", (name) => {
    process.env[name] = "max_split_size_mb:64,backend:cudaMallocAsync";
    expect(() => made(true)).toThrow(expect.objectContaining({ kind: "usage" }));
    expect(() => made(true)).toThrow(
      `${name}: must not name cudaMallocAsync with CUDA graphs, got max_split_size_mb:64,backend:cudaMallocAsync; ` +
        "unset it, or use --no_cuda_graph",
    );
    made(false);
    process.env[name] = "backend:native";
    made(true);
  });
});
