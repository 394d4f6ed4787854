/** A captured step: when it is called, captured and replayed, whose memory its results are in, and what is repeated. */
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { library, openLibtorch } from "../../src/native/library.ts";
import { CapturedStep, onEveryRun } from "../../src/tensor/captured.ts";
import type { CapturingStream } from "../../src/tensor/cuda.ts";
import * as ops from "../../src/tensor/ops.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

const log: string[] = [];
beforeEach(() => {
  log.length = 0;
});

/** The step of these tests: doubles its input, and counts. */
function doubling(input: Tensor) {
  const state = { runs: 0, last: undefined as Tensor | undefined };
  const body = () => {
    log.push("body");
    onEveryRun(() => {
      state.runs += 1;
    });
    state.last = ops.add(input, input);
    return { doubled: state.last, absent: undefined };
  };
  return { state, body };
}

/** Notes what it is asked; a launch writes into the captured result what the input then makes. */
function notingStream(input: Tensor, captured: () => Tensor): CapturingStream {
  return {
    capture(body) {
      log.push("capture");
      body();
      const result = captured();
      return {
        launch() {
          log.push("launch");
          const doubled = ops.add(input, input);
          ops.copyInto(result, doubled);
          doubled.free();
        },
        free: () => void log.push("free"),
      };
    },
  };
}

const put = (input: Tensor, value: number) => input.upload(Float32Array.of(value, -value));

describe("a captured step", () => {
  it("warms up with real steps, is captured once, and replayed from then on", () => {
    const input = fromArray(Float32Array.of(0, 0), [2]);
    const { state, body } = doubling(input);
    const step = new CapturedStep(body, { stream: notingStream(input, () => state.last!), window: 2 });
    const results = [1, 2, 3, 4, 5].map((value) => {
      put(input, value);
      const { doubled } = step.run();
      const read = [...doubled.toFloat32()];
      doubled.free();
      return read;
    });
    expect(results).toEqual([1, 2, 3, 4, 5].map((value) => [2 * value, -2 * value]));
    expect(log).toEqual(["body", "body", "body", "capture", "body", "launch", "launch"]);
    expect(state.runs).toBe(5);
    step.free();
    input.free();
  });

  it("keeps the results of the last `window` runs apart, in memory from before the capture", () => {
    const before = liveHandles();
    const input = fromArray(Float32Array.of(0, 0), [2]);
    const { state, body } = doubling(input);
    const step = new CapturedStep(body, { stream: notingStream(input, () => state.last!), window: 3 });
    const run = (value: number) => {
      put(input, value);
      return step.run().doubled;
    };
    for (const value of [1, 2, 3]) run(value).free();
    const beforeCapture = liveHandles();
    const kept = [4, 5, 6].map(run);
    // The captured result and three views: no room was made after the capture, where the graph would write into it.
    expect(liveHandles()).toBe(beforeCapture + 1 + 3);
    expect(kept.map((tensor) => tensor.toFloat32()[0])).toEqual([8, 10, 12]);
    const next = run(7);
    expect(kept.map((tensor) => tensor.toFloat32()[0])).toEqual([14, 10, 12]);
    for (const tensor of [...kept, next]) tensor.free();
    step.free();
    input.free();
    expect(liveHandles()).toBe(before);
  });

  it("allocates nothing while its graph lives: not by replaying it, nor by reading the results", () => {
    const input = fromArray(Float32Array.of(1, 2), [2]);
    const { state, body } = doubling(input);
    const stream = notingStream(input, () => state.last!);
    let called: string[] | undefined;
    const quiet: CapturingStream = {
      capture(own) {
        const { launch, free } = stream.capture(own);
        const launchUnseen = () => {
          const seen = called;
          called = undefined;
          launch();
          called = seen;
        };
        return { launch: launchUnseen, free };
      },
    };
    const step = new CapturedStep(body, { stream: quiet, window: 2 });
    for (let run = 0; run < 4; run++) step.run().doubled.free();
    const { symbols } = library();
    const { torch_call_dispatcher: call, aoti_torch_empty_strided: empty } = symbols;
    called = [];
    symbols.torch_call_dispatcher = (name, ...rest) => {
      called?.push(Buffer.from(name).toString("utf8", 0, name.length - 1));
      return call(name, ...rest);
    };
    symbols.aoti_torch_empty_strided = (...given) => {
      called?.push("empty_strided");
      return empty(...given);
    };
    try {
      for (let run = 0; run < 3; run++) {
        const { doubled } = step.run();
        expect([...doubled.toFloat32()]).toEqual([2, 4]);
        doubled.free();
      }
      // A view.
      expect(called).toEqual(Array(3).fill("aten::select"));
    } finally {
      Object.assign(symbols, { torch_call_dispatcher: call, aoti_torch_empty_strided: empty });
    }
    step.free();
    input.free();
  });

  it("is captured anew, after one step without, when its graph was let go", () => {
    const input = fromArray(Float32Array.of(1, 2), [2]);
    const { state, body } = doubling(input);
    const step = new CapturedStep(body, { stream: notingStream(input, () => state.last!), window: 1 });
    for (let run = 0; run < 4; run++) step.run().doubled.free();
    step.release();
    step.release();
    log.length = 0;
    for (let run = 0; run < 3; run++) step.run().doubled.free();
    step.free();
    expect(log).toEqual(["body", "capture", "body", "launch", "launch", "free"]);
    input.free();
  });

  it("is called each time where there is nothing to capture with", () => {
    const input = fromArray(Float32Array.of(1, 2), [2]);
    const { state, body } = doubling(input);
    const step = new CapturedStep(body, { window: 1 });
    for (let run = 0; run < 6; run++) step.run().doubled.free();
    expect(log).toEqual(Array(6).fill("body"));
    expect(state.runs).toBe(6);
    step.free();
    input.free();
  });

  it("that fails in its capture leaves nothing behind, and the next failure is its own", () => {
    const before = liveHandles();
    const input = fromArray(Float32Array.of(1, 2), [2]);
    const { body } = doubling(input);
    const failing: CapturingStream = {
      capture(own) {
        own();
        throw new Error("on purpose");
      },
    };
    const step = new CapturedStep(body, { stream: failing, window: 1 });
    for (let run = 0; run < 3; run++) step.run().doubled.free();
    expect(() => step.run()).toThrow("on purpose");
    expect(() => step.run()).toThrow("on purpose");
    step.free();
    input.free();
    expect(liveHandles()).toBe(before);
  });
});
