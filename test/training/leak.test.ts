/**
 * Who frees what: the rule of scope.ts, and that no stage's step leaves anything behind in hundreds of repetitions, neither
 * tensors (counted) nor other memory of the process.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitCodes } from "../../src/errors.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import * as ops from "../../src/tensor/ops.ts";
import { keep, scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { refusal } from "../refusal.ts";
import { type StageCase, stageCase } from "./cases.ts";
import { residentBytes, runStep } from "./repeated-step.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const vector = (...values: number[]) => fromArray(Float32Array.from(values), [values.length]);

describe("ownership", () => {
  it("frees at the end of a scope what the scope does not return", () => {
    const before = liveHandles();
    let inner: Tensor | undefined;
    const sum = scope(() => {
      inner = vector(1, 2);
      return ops.add(inner, vector(3, 4));
    });
    expect(inner?.isFreed).toBe(true);
    expect(liveHandles()).toBe(before + 1);
    expect([...sum.toFloat32()]).toEqual([4, 6]);
    sum.free();
    expect(liveHandles()).toBe(before);
  });

  it("moves a nested scope's results to the scope around it, also out of arrays and objects", () => {
    const before = liveHandles();
    const seen = scope(() => {
      const moved = scope(() => ({ one: vector(1), more: [vector(2), vector(3)], dropped: vector(4).shape }));
      expect(liveHandles()).toBe(before + 3);
      expect(moved.more[1].item()).toBe(3);
      return [moved.one, ...moved.more].map((tensor) => () => tensor.isFreed);
    });
    expect(seen.map((isFreed) => isFreed())).toEqual([true, true, true]);
    expect(liveHandles()).toBe(before);
  });

  it("leaves to its holder what keep() took out, however deep", () => {
    const before = liveHandles();
    const kept: Tensor[] = [];
    scope(() => scope(() => void kept.push(keep(vector(7)))));
    expect(kept[0].item()).toBe(7);
    expect(liveHandles()).toBe(before + 1);
    kept[0].free();
    kept[0].free();
    expect(liveHandles()).toBe(before);
  });

  it("says what to do when a freed tensor is used", () => {
    const freed = vector(1, 2);
    expect(freed.shape).toEqual([2]);
    freed.free();
    const uses = [() => freed.handle, () => freed.toFloat32(), () => ops.neg(freed), () => ops.mul(freed, freed)];
    for (const use of uses) {
      expect(use).toThrow(
        "tensor: must be alive, but this one of shape [2] was freed; return it from its scope(), or keep() it",
      );
    }
    const error = refusal(uses[0]);
    expect([error.kind, error.exitCode]).toEqual(["internal", exitCodes.internal]);
  });

  it("frees a scope's tensors when its body throws, and leaves the scopes around it as they were", () => {
    const before = liveHandles();
    scope(() => {
      const own = vector(1);
      expect(() =>
        scope(() => {
          scope(() => vector(2));
          throw new Error("on purpose");
        }),
      ).toThrow("on purpose");
      expect(liveHandles()).toBe(before + 1);
      expect(own.item()).toBe(1);
      vector(3); // belongs to the outer scope again
    });
    expect(liveHandles()).toBe(before);
  });

  it("names the operator and the shapes when libtorch refuses them, and frees what was made before", () => {
    const before = liveHandles();
    const error = refusal(() => scope(() => ops.mul(vector(1, 2), vector(1, 2, 3))));
    expect(error.message).toMatch(/^aten::mul(\.Tensor)?\(\[2\], \[3\]\): /);
    expect(liveHandles()).toBe(before);
  });
});

const steps = 400;
/** The allocator settles within them. */
const warmUpSteps = 200;
const mostGrowthBytes = 8 * 2 ** 20;
const limitMs = 600_000;
const cpu = { device: "cpu", precision: "fp32" } as const;

describe(`${steps} steps`, () => {
  let atStart = 0;
  beforeAll(() => {
    atStart = liveHandles();
  });
  afterAll(() => {
    expect(liveHandles()).toBe(atStart);
  });

  it.each<[string, () => StageCase]>([
    ["classifier_training on the low resolution", () => stageCase("classifier_training", { stream_id: "LR" }, cpu)],
    [
      "pretrain with its curriculum and an entropy bonus",
      () => stageCase("pretrain", { beta: 0.1, fill: "lr", clip: 1 }, cpu),
    ],
    ["finetune", () => stageCase("finetune", { clip: 1 }, cpu)],
    [
      "finetune2stream, whose low-resolution classifier is frozen",
      () => stageCase("finetune2stream", { two_stream_mix: "share", clip: 1 }, cpu),
    ],
  ])(
    "of %s leave no tensor behind and take no more memory",
    (_, prepare) => {
      const prepared = prepare();
      for (let index = 0; index < warmUpSteps; index++) runStep(prepared, index);
      const handles = liveHandles();
      const bytes = [residentBytes()];
      for (let index = 0; index < steps; index++) {
        runStep(prepared, index);
        if (liveHandles() !== handles)
          throw new Error(`step ${index}: ${liveHandles()} live handles, ${handles} before`);
        if ((index + 1) % (steps / 2) === 0) bytes.push(residentBytes());
      }
      prepared.free();
      // What is left behind in each step shows in both halves; what settles late, in one.
      const [start, middle, end] = bytes;
      expect(Math.min(middle - start, end - middle)).toBeLessThan(mostGrowthBytes / 2);
      expect(liveHandles()).toBe(atStart);
    },
    limitMs,
  );
});
