/** How a policy ends: worked by hand, in training and frozen. */
import { beforeAll, expect, it } from "vitest";
import { float32Tensor } from "../../src/formats/safetensors.ts";
import { headOf } from "../../src/models/head.ts";
import { findModel } from "../../src/models/registry.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { declare } from "../../src/nn/declare.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import type { Network, Parts } from "../../src/nn/layers.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { forward } from "../../src/nn/training.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

/** Three channels of 3 × 3: mean 5, 0 and 1. */
const map = [1, 2, 3, 4, 5, 6, 7, 8, 9, ...Array(9).fill(0), ...Array(9).fill(1)];

/** What the head says of the map, in both readings, when it takes 2 × the first channel's mean + bias, and of each part 10 × its own. */
function outputsOf(keepsMap: Parts | undefined, bias: readonly number[]): number[][] {
  const network: Network = (layers, x) => headOf(layers, x, { name: "logit", outputs: bias.length, keepsMap });
  const parameters = new Parameters(network, 3, "cpu");
  parameters.load(
    new Map([
      ["logit.weight", float32Tensor([bias.length, 3], Float32Array.from(bias.flatMap(() => [2, 0, 0])))],
      ["logit.bias", float32Tensor([bias.length], Float32Array.from(bias))],
      ...(keepsMap ? [["logit_map.weight", float32Tensor([1, 3], Float32Array.of(10, 0, 0.5))] as const] : []),
    ]),
    "a head",
  );
  return scope(() => {
    const images = fromArray(Float32Array.from(map), [1, 3, 3, 3]);
    const frozen = new FrozenNetwork(network, parameters, "fp32");
    const said = [forward({ network, parameters }, images, "fp32", "eval"), frozen.forward(images)];
    const values = said.map((logits) => [...logits.toFloat32()]);
    frozen.free();
    parameters.free();
    return values;
  });
}

it("the paper's knows the mean alone", () => {
  expect(outputsOf(undefined, [0.5, -1])).toEqual([
    [10.5, 9],
    [10.5, 9],
  ]);
});

it("one that keeps the map adds what each part has: 10 × the first channel + 0.5 × the third", () => {
  // Rows of 1 2 3, 4 5 6, 7 8 9 have means 2, 5 and 8.
  const rows = [10 + 20.5, 10 + 50.5 - 1, 10 + 80.5];
  expect(outputsOf({ rows: 3, columns: 1 }, [0, -1, 0])).toEqual([rows, rows]);
});

it("a position that two parts cut counts in both", () => {
  // 2 × 2 parts of 3 × 3 positions: each takes 2 × 2 of them, and the middle is in all four. Means 3, 4, 6 and 7.
  const parts = [10 + 30.5, 10 + 40.5, 10 + 60.5, 10 + 70.5];
  expect(outputsOf({ rows: 2, columns: 2 }, [0, 0, 0, 0])).toEqual([parts, parts]);
});

it("more parts than positions repeat these", () => {
  const columns = [40.5, 40.5, 50.5, 50.5, 60.5, 60.5].map((own) => 10 + own);
  expect(outputsOf({ rows: 1, columns: 6 }, Array(6).fill(0))).toEqual([columns, columns]);
});

it.each([
  ["mean", 64 * 16 + 16],
  ["map", 64 * 16 + 16 + 64],
] as const)("a %s policy of 16 patches has %d numbers in its head", (policy_head, numbers) => {
  const { policy, policyInput } = findModel({ model: "R32_C10", policy_head });
  const head = declare(policy, policyInput.size).entries.filter(({ name }) => name.startsWith("logit"));
  expect(head.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0)).toBe(numbers);
});
