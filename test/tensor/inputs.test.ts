/** Inputs at fixed addresses: one block, typed parts, and the order of the copies between three memories. */
import { beforeAll, describe, expect, it } from "vitest";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { type InputShape, Inputs } from "../../src/tensor/inputs.ts";
import { Random } from "../../src/utils/random.ts";
import { prompt, SimulatedCuda } from "./simulated-cuda.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

const shapes = {
  images: { dtype: "uint8", shape: [3, 5] },
  labels: { dtype: "int64", shape: [3] },
  uniforms: { dtype: "float32", shape: [3, 0] },
  rate: { dtype: "float32", shape: [] },
} as const satisfies Record<string, InputShape>;

const values = (step: number) => ({
  images: Uint8Array.from({ length: 15 }, (_, i) => (step * 15 + i) % 256),
  labels: BigInt64Array.of(BigInt(step), -1n, 2n ** 40n),
  uniforms: new Float32Array(0),
  rate: Float32Array.of(step / 8),
});

describe("inputs", () => {
  it("hold what was put, by type and shape, at the same addresses", () => {
    const before = liveHandles();
    const inputs = new Inputs(shapes, "cpu", undefined);
    const { images, labels, uniforms, rate } = inputs.tensors;
    for (const step of [3, 4]) {
      const put = values(step);
      inputs.put(put);
      expect(images.toUint8()).toEqual(put.images);
      expect([images.dtype, labels.dtype, rate.dtype]).toEqual(["uint8", "int64", "float32"]);
      // 2^40 does not fit int32, which is what can be read back; its low word is 0.
      expect([...labels.toInt32()]).toEqual([step, -1, 0]);
      expect(rate.item()).toBe(step / 8);
    }
    expect([images.shape, labels.shape, uniforms.shape, rate.shape]).toEqual([[3, 5], [3], [3, 0], []]);
    inputs.free();
    expect(liveHandles()).toBe(before);
  });

  it("refuse what has another type or length", () => {
    const inputs = new Inputs(shapes, "cpu", undefined);
    const put = { ...values(0), labels: BigInt64Array.of(1n) };
    expect(() => inputs.put(put)).toThrow("input labels: needs int64 [3], got 1 of int64");
    const typed = { ...values(0), rate: Int32Array.of(1) };
    expect(() => inputs.put(typed)).toThrow("input rate: needs float32 [], got 1 of int32");
    inputs.free();
  });
});

/** Puts step after step without waiting, and sees what each step's kernel reads. */
function seenBySteps(cuda: SimulatedCuda, steps: number): number[] {
  const inputs = new Inputs({ value: { dtype: "float32", shape: [4] } }, "cpu", cuda.device);
  const seen: number[] = [];
  for (let step = 0; step < steps; step++) {
    inputs.put({ value: new Float32Array(4).fill(step) });
    cuda.launch(() => seen.push(...new Set(inputs.tensors.value.toFloat32())));
  }
  inputs.free();
  return seen;
}

describe("inputs on a GPU (simulated)", () => {
  const steps = 12;
  const expected = Array.from({ length: steps }, (_, step) => step);

  it("are seen by their own step, in whatever order the streams go on", () => {
    for (let seed = 0; seed < 200; seed++) {
      const random = new Random(seed, "schedule");
      const cuda = new SimulatedCuda({
        pick: (count) => random.integer(count),
        eagerness: () => random.integer(4),
      });
      expect(seenBySteps(cuda, steps), `seed ${seed}`).toEqual(expected);
    }
  });

  it("are seen when nothing goes on before it is waited for, and when everything goes on at once", () => {
    const lazy = { pick: (count: number) => count - 1, eagerness: () => 0 };
    expect(seenBySteps(new SimulatedCuda(lazy), steps)).toEqual(expected);
    expect(seenBySteps(new SimulatedCuda(prompt), steps)).toEqual(expected);
  });

  it("travel in one copy to the GPU a step, whatever their number", () => {
    const cuda = new SimulatedCuda(prompt);
    const inputs = new Inputs(shapes, "cpu", cuda.device);
    cuda.calls.length = 0;
    inputs.put(values(1));
    expect(cuda.calls.filter((name) => name === "cudaMemcpyAsync")).toHaveLength(2);
    expect(cuda.calls).not.toContain("cudaStreamSynchronize");
    inputs.free();
  });
});
