/** A convolution in groups that learns in bf16: by way of float32 on a CPU, it must still be what it is in fp32, but for rounding. */
import { expect, it } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import type { Precision } from "../../src/nn/precision.ts";
import { forward } from "../../src/nn/training.ts";
import { backward, withGradients } from "../../src/tensor/autograd.ts";
import * as ops from "../../src/tensor/ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

openLibtorch(findLibtorch(), { threads: 1 });

const [count, channels, size] = [2, 4, 9];
/** An ordinary convolution first, so that a gradient has to flow through the other one. */
const network: Network = (layers, images) => {
  const wide = layers.convBnRelu(images, { conv: "conv", bn: "bn" }, { channels, kernel: 1 });
  const depthwise = { channels, kernel: 5, stride: 2, groups: channels, padding: "same" } as const;
  const map = layers.convBnRelu(wide, { conv: "deep", bn: "deepBn" }, depthwise);
  return layers.linear(layers.globalAveragePool(map), "fc", 3);
};

function gradients(precision: Precision) {
  const parameters = new Parameters(network, size, "cpu");
  parameters.initialize(new Random(1, "weights"));
  parameters.requireGradient();
  const random = new Random(2, "images");
  const pixels = Float32Array.from({ length: count * 3 * size * size }, () => random.integer(256) / 64 - 2);
  scope(() => {
    const images = ops.channelsLast(fromArray(pixels, [count, 3, size, size]));
    const loss = withGradients(() => {
      const logits = forward({ network, parameters }, images, precision, "train");
      return ops.sum(ops.mul(logits, logits));
    });
    backward(loss, [parameters.flat]);
  });
  const found = parameters.gradients();
  parameters.free();
  return found;
}

it("has the gradients of fp32, within bf16's rounding", () => {
  const [exact, rounded] = [gradients("fp32"), gradients("bf16")];
  for (const name of ["conv.weight", "deep.weight", "fc.weight"]) {
    const [a, b] = [exact.get(name)!, rounded.get(name)!];
    const norm = Math.hypot(...a);
    expect(norm, name).toBeGreaterThan(1e-3);
    expect(Math.hypot(...a.map((value, i) => value - b[i])) / norm, name).toBeLessThan(0.03);
  }
  // A rounded pass it must be, or fp32 was compared with itself.
  expect(rounded.get("deep.weight")).not.toEqual(exact.get("deep.weight"));
});
