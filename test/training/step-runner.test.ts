/**
 * The way that a GPU goes through a training (fixed inputs, images that stay on the device, a step that is captured and
 * replayed, a last batch without it), gone on the CPU with a graph that calls the step: to the bit the same as the CPU's
 * own way, in everything that is learned, counted and reported.
 */
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { alone, type ProcessGroup } from "../../src/distributed/process-group.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { CapturingStream } from "../../src/tensor/cuda.ts";
import * as ops from "../../src/tensor/ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { Learning, StepNumbers } from "../../src/training/learning.ts";
import { StaticSteps, stepRunner } from "../../src/training/step-runner.ts";
import { prompt, SimulatedCuda } from "../tensor/simulated-cuda.ts";
import { noiseDataset, type StageCase, stageCase } from "./cases.ts";
import { endOf, images, runnerOptions, stageFlags, stateOf, streamed, train } from "./training.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

const place = { device: "cpu", precision: "fp32", cuda: undefined } as const;

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

  /** The case's pass, watched. */
  readonly pass: Learning["pass"] = (batch) => {
    this.#last = this.#case.learning.pass(batch);
    return this.#last;
  };

  capture(body: () => void) {
    this.captures += 1;
    const state = stateOf(this.#case);
    const before = state.map((tensor) => ops.cast(tensor, tensor.dtype));
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

describe.each(stageFlags)("%s with %o", (stage, flags) => {
  it.each([
    ["images that stay on the device", noiseDataset(images)],
    ["images that are uploaded batch by batch", streamed(noiseDataset(images))],
  ])("is learned alike, with %s", async (_, dataset) => {
    const before = liveHandles();
    const direct = stageCase(stage, flags, place);
    const given = runnerOptions(dataset, direct.learning, place);
    const expected = await train(stepRunner(given));
    const own = stageCase(stage, flags, place);
    const stream = new CallingStream(own);
    const options = runnerOptions(dataset, { ...own.learning, pass: stream.pass }, place);
    expect(await train(new StaticSteps(options, stream))).toEqual(expected);
    expect(endOf(own)).toEqual(endOf(direct));
    // Epoch 1: three steps before the capture; later ones: one. Each last batch has no graph.
    expect([stream.captures, stream.launches]).toEqual([3, 2 + 4 + 4]);
    for (const { free } of [own, direct]) free();
    for (const { setting } of [given, options]) setting.normalizer.free();
    expect(liveHandles()).toBe(before);
  });
});

describe("as one of two ranks", () => {
  /** Whose gradients the other's are like. */
  const rankOf = (rank: number): ProcessGroup => ({
    ...alone,
    rank,
    size: 2,
    allReduce: (tensor) => scope(() => ops.copyInto(tensor, ops.scale(tensor, 2))),
  });

  // Of the last batch, of two images, the second rank has none.
  it.each([0, 1])("rank %i learns its share alike", async (rank) => {
    for (const dataset of [noiseDataset(images), streamed(noiseDataset(images))]) {
      const before = liveHandles();
      const direct = stageCase("pretrain", {}, place);
      const given = runnerOptions(dataset, direct.learning, place, rankOf(rank));
      const expected = await train(stepRunner(given));
      expect(expected.map(({ indices }) => indices.length).slice(0, 6)).toEqual([2, 2, 2, 2, 2, 2 * (1 - rank)]);
      const own = stageCase("pretrain", {}, place);
      const stream = new CallingStream(own);
      const options = runnerOptions(dataset, { ...own.learning, pass: stream.pass }, place, rankOf(rank));
      expect(await train(new StaticSteps(options, stream))).toEqual(expected);
      expect(endOf(own)).toEqual(endOf(direct));
      for (const { free } of [own, direct]) free();
      for (const { setting } of [given, options]) setting.normalizer.free();
      expect(liveHandles()).toBe(before);
    }
  });
});

/** Gives `to` all that a checkpoint of `from` would hold. */
function copyInto(to: StageCase, from: StageCase): void {
  for (const [i, { parameters }] of from.learners.entries()) {
    to.learners[i].parameters.load(parameters.stateDict(), "copy");
  }
  to.optimizer.load(from.optimizer.state(), "copy");
}

describe("a run that goes on inside an epoch", () => {
  it("takes the steps that are left, with the same numbers", async () => {
    const dataset = noiseDataset(images);
    const whole = stageCase("pretrain", {}, place);
    const rest = stageCase("pretrain", {}, place);
    const stepsBefore = 6 + 2; // one epoch and two steps
    let taken = 0;
    const pass: Learning["pass"] = (batch) => {
      if (taken++ === stepsBefore) copyInto(rest, whole);
      return whole.learning.pass(batch);
    };
    const all = await train(stepRunner(runnerOptions(dataset, { ...whole.learning, pass }, place)));
    const stream = new CallingStream(rest);
    const options = runnerOptions(dataset, { ...rest.learning, pass: stream.pass }, place);
    expect(await train(new StaticSteps(options, stream), 1, 2)).toEqual(all.slice(stepsBefore));
    expect(endOf(rest)).toEqual(endOf(whole));
    for (const { free } of [whole, rest]) free();
  });
});

describe("CUDA's own allocator", () => {
  afterEach(() => {
    delete process.env.PYTORCH_CUDA_ALLOC_CONF;
  });

  it("is refused with a graph, whose memory it would not keep, and taken without", () => {
    process.env.PYTORCH_CUDA_ALLOC_CONF = "backend:cudaMallocAsync";
    const own = stageCase("classifier_training", {}, place);
    const cuda = new SimulatedCuda(prompt).device;
    const options = runnerOptions(noiseDataset(images), own.learning, { ...place, cuda });
    expect(() => stepRunner(options)).toThrow(
      "PYTORCH_CUDA_ALLOC_CONF: must not name cudaMallocAsync with CUDA graphs, got backend:cudaMallocAsync; " +
        "unset it, or use --no_cuda_graph",
    );
    stepRunner({ ...options, captured: false }).free();
    own.free();
  });
});
