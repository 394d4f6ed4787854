/**
 * The way that a GPU goes through a training (fixed inputs, images that stay on the device, a step that is captured and
 * replayed, a last batch without it), gone on the CPU with a graph that calls the step: to the bit the same as the CPU's
 * own way, in everything that is learned, counted and reported.
 */
import { beforeAll, describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { Loader } from "../../src/data/loader.ts";
import { Normalizer } from "../../src/method/images.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { StageName } from "../../src/run/options.ts";
import type { Learning, StepNumbers } from "../../src/stages/learning.ts";
import { type RunnerOptions, StaticSteps, type StepRunner, stepRunner } from "../../src/stages/step-runner.ts";
import type { CapturingStream } from "../../src/tensor/cuda.ts";
import * as ops from "../../src/tensor/ops.ts";
import { copyOf, type Tensor } from "../../src/tensor/tensor.ts";
import { noiseDataset, type StageCase, stageCase, tinyModel } from "./cases.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

const place = { device: "cpu", precision: "fp32" } as const;
/** Five full batches an epoch and one of two images. */
const [images, batchSize, epochs, window] = [22, 4, 3, 4];
/** Rates that float32 holds exactly, as the GPU gets them. */
const rateOf = (epoch: number, step: number) => 2 ** -(6 + epoch + step);

/**
 * A graph of a case: what it captures is undone at once, since a capture does nothing; a launch does it again and writes
 * into the captured results. What a launch counts is not its own: replays count by themselves.
 */
class CallingStream implements CapturingStream {
  captures = 0;
  launches = 0;
  readonly #case: StageCase;
  #last: StepNumbers | undefined;

  constructor(own: StageCase) {
    this.#case = own;
  }

  /** The case's step, watched. */
  readonly step: Learning["step"] = (batch, lr) => {
    this.#last = this.#case.learning.step(batch, lr);
    return this.#last;
  };

  capture(body: () => void) {
    this.captures += 1;
    const state = stateOf(this.#case);
    const before = state.map(copyOf);
    body();
    const captured = this.#last!;
    for (const [i, tensor] of state.entries()) ops.copyInto(tensor, before[i]);
    for (const tensor of before) tensor.free();
    return { launch: () => this.#launch(body, captured), free: () => undefined };
  }

  #launch(body: () => void, captured: StepNumbers): void {
    this.launches += 1;
    const counts = this.#case.learners.map(({ parameters }) => parameters.batchesTracked);
    body();
    for (const [i, { parameters }] of this.#case.learners.entries()) parameters.batchesTracked = counts[i];
    for (const [name, tensor] of Object.entries(captured)) {
      const made = this.#last![name as keyof StepNumbers] as Tensor;
      ops.copyInto(tensor as Tensor, made);
      made.free();
    }
  }
}

/** Every tensor that a step changes. */
function stateOf({ learners, optimizer }: StageCase): Tensor[] {
  return [...learners.flatMap(({ parameters }) => [parameters.flat, parameters.statistics]), ...optimizer.tensors()];
}

function optionsFor(dataset: Dataset, learning: RunnerOptions["learning"]): RunnerOptions {
  const normalizer = new Normalizer(dataset.normalization, "cpu");
  const loader = new Loader(dataset, { batchSize, shuffle: true, augment: true, seed: 5 });
  const setting = { model: tinyModel, device: "cpu", normalizer, cuda: undefined } as const;
  return { learning, setting, loader, seed: 5, captured: true, window };
}

interface Seen {
  numbers: Record<string, number[]>;
  indices: number[];
}

/** Trains, reading the numbers of several steps at once as `trainEpoch` does. */
async function train(runner: StepRunner, fromEpoch = 0, fromStep = 0): Promise<Seen[]> {
  const seen: Seen[] = [];
  const pending: { numbers: StepNumbers; indices: number[] }[] = [];
  const look = () => {
    for (const { numbers, indices } of pending.splice(0)) {
      const read = Object.entries(numbers).map(([name, tensor]) => [name, [...(tensor as Tensor).toFloat32()]]);
      for (const tensor of Object.values(numbers)) (tensor as Tensor).free();
      seen.push({ numbers: Object.fromEntries(read) as Seen["numbers"], indices });
    }
  };
  for (let epoch = fromEpoch; epoch < epochs; epoch++) {
    let step = epoch === fromEpoch ? fromStep : 0;
    for await (const { indices, take } of runner.steps(epoch, step)) {
      pending.push({ numbers: take(rateOf(epoch, step++)), indices: [...indices] });
      if (pending.length === window) look();
    }
    look();
    runner.release();
  }
  runner.free();
  return seen;
}

/** All that a run ends with, as plain numbers. */
function endOf(own: StageCase) {
  return {
    state: stateOf(own).map((tensor) => [...tensor.toFloat32()]),
    counts: own.learners.map(({ parameters }) => parameters.batchesTracked),
  };
}

const cases: [StageName, Record<string, unknown>][] = [
  ["classifier_training", { label_smoothing: 0.1 }],
  ["pretrain", { beta: 0.1, fill: "lr", clip: 1 }],
  ["finetune", { clip: 0.5 }],
  ["finetune", { classifier_bn: "frozen", policy_loss: "sum" }],
  ["finetune2stream", { two_stream_mix: "share" }],
];

describe.each(cases)("%s with %o", (stage, flags) => {
  it.each([
    ["images that stay on the device", noiseDataset(images)],
    ["images that are uploaded batch by batch", { ...streamed(noiseDataset(images)) }],
  ])("is learned alike, with %s", async (_, dataset) => {
    const before = liveHandles();
    const direct = stageCase(stage, flags, place);
    const expected = await train(stepRunner(optionsFor(dataset, direct.learning)));
    const own = stageCase(stage, flags, place);
    const stream = new CallingStream(own);
    const options = optionsFor(dataset, { ...own.learning, step: stream.step });
    expect(await train(new StaticSteps(options, stream))).toEqual(expected);
    expect(endOf(own)).toEqual(endOf(direct));
    // Epoch 1: three steps before the capture; later ones: one. Each last batch has no graph.
    expect([stream.captures, stream.launches]).toEqual([3, 2 + 4 + 4]);
    for (const { free } of [own, direct]) free();
    expect(liveHandles()).toBe(before + 4); // the normalizers' two tensors each
  });
});

describe("a run that goes on inside an epoch", () => {
  it("takes the steps that are left, with the same numbers", async () => {
    const dataset = noiseDataset(images);
    const whole = stageCase("pretrain", {}, place);
    const stream = new CallingStream(whole);
    const all = await train(new StaticSteps(optionsFor(dataset, { ...whole.learning, step: stream.step }), stream));
    const rest = stageCase("pretrain", {}, place);
    const steps = await train(stepRunner(optionsFor(dataset, rest.learning)), 1, 2);
    expect(steps.map(({ indices }) => indices)).toEqual(all.slice(6 + 2).map(({ indices }) => indices));
    for (const { free } of [whole, rest]) free();
  });
});

/** The same data set, as one whose images are not in memory. */
function streamed(dataset: Dataset): Dataset {
  const { name, classes, length, imageSize, labels, normalization, fingerprint } = dataset;
  const read: Dataset["read"] = (...given) => dataset.read(...given);
  return { name, classes, length, imageSize, labels, normalization, fingerprint, read };
}
