/** The network of the CIFAR-10 speed runs and its optimizer against torch.nn: logits, gradients, running statistics, two updates. */
import { expect, it } from "vitest";
import { graphOf } from "../../src/export/graph.ts";
import { runOnnx } from "../../src/export/parity.ts";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import { asFloat32, float32Tensor } from "../../src/formats/safetensors.ts";
import { Normalizer } from "../../src/method/images.ts";
import type { Learner } from "../../src/models/networks.ts";
import { speedrun } from "../../src/models/speedrun.ts";
import { FrozenNetwork, plain } from "../../src/nn/frozen.ts";
import { Optimizer } from "../../src/nn/optimizer.ts";
import { forward } from "../../src/nn/training.ts";
import { withGradients } from "../../src/tensor/autograd.ts";
import * as networkOps from "../../src/tensor/network-ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { openForTests } from "../gpu/gpu.ts";
import { filled } from "./filled.ts";
import { formulaImages } from "./formula.ts";
import { loadGolden } from "./load.ts";
import { changesSince, farthest, snapshot } from "./networks.ts";

openForTests();

const golden = loadGolden("speedrun");
const network = speedrun(10);
const labels = BigInt64Array.from({ length: golden.images }, (_, i) => BigInt(i % 10));
const halves = { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] };
/** PyTorch's own by another layout differs by 6e-6, gradients by 3e-5, what two steps change by 4e-3 (speedrun.py --spread). */
const tolerance = { logits: 1e-4, gradients: 5e-4, statistics: 1e-4, changes: [1e-3, 2e-2] };

/** The formula's network, with scales of 1. */
function formulaNetwork(): Learner {
  const learner = filled(network, { shapes: golden.shapes, base: golden.base, inputSize: 32 });
  const state = learner.parameters.stateDict();
  for (const { name, shape, role } of learner.parameters.declaration.entries) {
    if (role === "fixedScale") state.set(name, float32Tensor(shape, new Float32Array(shape[0]).fill(1)));
  }
  learner.parameters.load(state, "formula");
  return learner;
}

function runningStatistics({ parameters }: Learner): Map<string, Float32Array> {
  const running = [...parameters.stateDict()].filter(([name]) => name.includes(".running_"));
  return new Map(running.map(([name, tensor]) => [name, asFloat32(tensor)] as const));
}

const images = () => new Normalizer(halves, "cpu").images(formulaImages(golden.images), 32);

function farthestLogit(logits: Tensor | Float32Array, rows: readonly number[][]): number {
  const found = logits instanceof Float32Array ? logits : logits.toFloat32();
  expect(found.length).toBe(rows.flat().length);
  return Math.max(...rows.flat().map((value, i) => Math.abs(value - found[i])));
}

it("has PyTorch's names and shapes", () => {
  const { parameters } = formulaNetwork();
  const shapes = [...parameters.stateDict()].map(([key, { shape }]) => [key, [...shape]]);
  expect(Object.fromEntries(shapes)).toEqual(golden.shapes);
  parameters.free();
});

it("two steps of Muon, with the rates of biases and of the last layer", () => {
  const learner = formulaNetwork();
  const { parameters } = learner;
  const before = snapshot(learner);
  const optimizer = new Optimizer(new Map([["c", parameters]]), { kind: "muon", momentum: golden.momentum });
  for (const [n, step] of golden.steps.entries()) {
    scope(() => {
      const { logits, loss } = withGradients(() => {
        const logits = forward(learner, images(), "fp32", "train");
        return { logits, loss: networkOps.crossEntropy(logits, fromArray(labels, [golden.images]), 0.2) };
      });
      optimizer.backward(loss);
      expect(loss.item()).toBeCloseTo(step.loss, 4);
      if ("logits" in step) expect(farthestLogit(logits, step.logits)).toBeLessThan(tolerance.logits);
    });
    if ("gradients" in step) {
      const statistics = farthest(runningStatistics(learner), step.statistics);
      expect(statistics.distance, statistics.name).toBeLessThan(tolerance.statistics);
      const gradients = farthest(parameters.gradients(), step.gradients);
      expect(gradients.distance, gradients.name).toBeLessThan(tolerance.gradients);
    }
    optimizer.update(golden.lr);
    const worst = farthest(changesSince(before, learner), step.changes);
    expect(worst.distance, worst.name).toBeLessThan(tolerance.changes[n]);
  }
  optimizer.free();
  parameters.free();
});

it("leaves alone what is not learned", () => {
  const learner = formulaNetwork();
  const { parameters } = learner;
  const kept = () =>
    parameters.declaration.entries
      .filter(({ role }) => role === "whitening" || role === "fixedScale")
      .map(({ name }) => [name, Buffer.from(parameters.stateDict().get(name)!.data).toString("hex")]);
  const before = kept();
  const optimizer = new Optimizer(new Map([["c", parameters]]), { kind: "muon", momentum: 0.85, weightDecay: 0.1 });
  scope(() => {
    const loss = () =>
      networkOps.crossEntropy(forward(learner, images(), "fp32", "train"), fromArray(labels, [golden.images]));
    optimizer.backward(withGradients(loss));
  });
  optimizer.update(0.1);
  expect(before.length).toBe(7);
  expect(kept()).toEqual(before);
  optimizer.free();
  parameters.free();
});

it.each([
  ["in evaluation mode", undefined],
  ["folded and fused", "fused"],
  ["folded, by plain operators, as on a GPU,", "plain"],
] as const)("%s gives the same logits", (_, how) => {
  const learner = formulaNetwork();
  const { parameters } = learner;
  const kernels = how === "plain" ? plain : undefined;
  const frozen = how === undefined ? undefined : new FrozenNetwork(network, parameters, "fp32", kernels);
  scope(() => {
    const logits = frozen?.forward(images()) ?? forward(learner, images(), "fp32", "eval");
    expect(farthestLogit(logits, golden.eval)).toBeLessThan(tolerance.logits);
  });
  frozen?.free();
  parameters.free();
});

it("as an ONNX graph gives the same logits", async () => {
  const { parameters } = formulaNetwork();
  const graph = graphOf({ network, state: parameters.stateDict(), imageSize: 32, output: "logits" });
  const bytes = encodeOnnx(graph, { producer: "test", producerVersion: "0", metadata: new Map() });
  const pixels = scope(() => images().toFloat32());
  expect(farthestLogit(await runOnnx(bytes, pixels, golden.images), golden.eval)).toBeLessThan(tolerance.logits);
  parameters.free();
});

it.each([0, -0.5])("refuses the scale %d, with which pooling and batch norm could not change places", (scale) => {
  const { parameters } = formulaNetwork();
  const state = parameters.stateDict();
  state.set("blocks.0.bn1.weight", float32Tensor([64], new Float32Array(64).fill(scale)));
  expect(() => parameters.load(state, "file")).toThrow(
    `file: blocks.0.bn1.weight: scales must be above 0 here, got ${scale} as element 0 of 64`,
  );
  parameters.free();
});
