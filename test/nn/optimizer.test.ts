/** SGD, Adam and clipping against their rules, computed here in float64 for a gradient that is known. */
import { expect, it } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { Network } from "../../src/nn/layers.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { withGradients } from "../../src/tensor/autograd.ts";
import * as ops from "../../src/tensor/ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

openLibtorch(findLibtorch(), { threads: 1 });

/** One linear layer: 6 weights, 2 biases. */
const network: Network = (layers, x) => layers.linear(layers.globalAveragePool(x), "fc", 2);
const gradient = Float32Array.of(1, -2, 3, -0.5, 0.25, 0, 4, -1);

/** Parameters after `steps` updates with the gradient above, which is that of Σ gradient·parameter. */
function updated(options: ConstructorParameters<typeof Optimizer>[1], lr: number, steps: number) {
  const parameters = new Parameters(network, 4, "cpu");
  parameters.initialize(new Random(1, "test"));
  const before = parameters.flat.toFloat32();
  const optimizer = new Optimizer(new Map([["n", parameters]]), options);
  for (let step = 0; step < steps; step++) {
    scope(() => optimizer.backward(withGradients(() => ops.sum(ops.mul(parameters.flat, fromArray(gradient, [8]))))));
    optimizer.update(lr);
  }
  const after = parameters.flat.toFloat32();
  const state = optimizer.state();
  optimizer.free();
  parameters.free();
  return { before, after, state };
}

function expectClose(found: Float32Array, expected: number[]): void {
  for (const [i, value] of expected.entries()) expect(found[i], `element ${i}`).toBeCloseTo(value, 6);
}

it("SGD with momentum and weight decay: v ← m·v + g + d·w, w ← w − lr·v", () => {
  const { before, after } = updated({ kind: "sgd", momentum: 0.9, weightDecay: 0.01 }, 0.1, 3);
  const expected = Array.from(before, (start, i) => {
    let [w, v] = [start, 0];
    for (let step = 0; step < 3; step++) {
      v = 0.9 * v + gradient[i] + 0.01 * w;
      w -= 0.1 * v;
    }
    return w;
  });
  expectClose(after, expected);
});

it("Adam: bias-corrected moments, ε = 1e-8 outside the root", () => {
  const { before, after } = updated({ kind: "adam", weightDecay: 0.01 }, 0.05, 3);
  const expected = Array.from(before, (start, i) => {
    let [w, m, v] = [start, 0, 0];
    for (let step = 1; step <= 3; step++) {
      const g = gradient[i] + 0.01 * w;
      m = 0.9 * m + 0.1 * g;
      v = 0.999 * v + 0.001 * g * g;
      w -= (0.05 * (m / (1 - 0.9 ** step))) / (Math.sqrt(v / (1 - 0.999 ** step)) + 1e-8);
    }
    return w;
  });
  for (const [i, value] of expected.entries()) expect(after[i], `element ${i}`).toBeCloseTo(value, 4);
});

it("clips by the norm of all gradients together, and leaves a smaller norm alone", () => {
  const norm = Math.hypot(...gradient);
  const clipped = updated({ kind: "sgd", clip: 1 }, 1, 1);
  expectClose(
    clipped.after,
    Array.from(clipped.before, (w, i) => w - gradient[i] / norm),
  );
  const free = updated({ kind: "sgd", clip: 100 }, 1, 1);
  expectClose(
    free.after,
    Array.from(free.before, (w, i) => w - gradient[i]),
  );
});

it("goes on from a saved state to the same bits", () => {
  const whole = updated({ kind: "adam" }, 0.05, 3);
  const parameters = new Parameters(network, 4, "cpu");
  const half = updated({ kind: "adam" }, 0.05, 2);
  parameters.flat.upload(half.after);
  const optimizer = new Optimizer(new Map([["n", parameters]]), { kind: "adam" });
  optimizer.load(half.state, "saved");
  scope(() => optimizer.backward(withGradients(() => ops.sum(ops.mul(parameters.flat, fromArray(gradient, [8]))))));
  optimizer.update(0.05);
  expect(parameters.flat.toFloat32()).toEqual(whole.after);
});
