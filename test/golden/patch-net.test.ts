/** The classifier that works on the patches that are there, against torch.nn: logits, gradients and running statistics. */
import { describe, expect, it } from "vitest";
import { graphOf } from "../../src/export/graph.ts";
import { runOnnx } from "../../src/export/parity.ts";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import { asFloat32 } from "../../src/formats/safetensors.ts";
import { makeGrid } from "../../src/method/grid.ts";
import { acquiredView, lowResolution, Normalizer } from "../../src/method/images.ts";
import { enlargePixels } from "../../src/method/pixels.ts";
import { patchNet } from "../../src/models/patch-net.ts";
import { FrozenNetwork, plain } from "../../src/nn/frozen.ts";
import { forward } from "../../src/nn/training.ts";
import { backward, withGradients } from "../../src/tensor/autograd.ts";
import * as networkOps from "../../src/tensor/network-ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { openForTests } from "../gpu/gpu.ts";
import { filled } from "./filled.ts";
import { formulaImages } from "./formula.ts";
import { loadGolden } from "./load.ts";
import { farthest } from "./networks.ts";

openForTests();

const golden = loadGolden("patch-net");
const count = golden.masks.length;
const halves = { mean: [0.5, 0.5, 0.5], std: [1, 1, 1] };
const labels = BigInt64Array.from({ length: count }, (_, i) => BigInt(i));
/** PyTorch's own by another layout differs by 1e-6, its gradients by 9e-4 (patch_net.py --spread). */
const tolerance = { logits: 2e-5, gradients: 3e-3, statistics: 1e-4 };

describe.each(golden.sides)("of images of $side pixels", ({ side, shapes, ...expected }) => {
  const grid = makeGrid(side, side / 4);
  const lowSize = side / 4;
  const network = patchNet(10, { grid, lowSize });
  const learned = () => filled(network, { shapes, base: golden.base, inputSize: side, channels: 4 });

  function seen(): Tensor {
    const pixels = enlargePixels(formulaImages(count), 32, side, 3);
    return scope(() => {
      const normalizer = new Normalizer(halves, "cpu");
      const images = normalizer.images(pixels, side);
      normalizer.free();
      const low = lowResolution(images, { lowSize, lowInput: side });
      const mask = fromArray(Float32Array.from(golden.masks.flat()), [count, 16]);
      return acquiredView(images, mask, { grid, seesMask: true }, low);
    });
  }

  function expectLogits(found: Float32Array, rows: readonly number[][]): void {
    expect(found.length).toBe(rows.flat().length);
    const farthestOf = Math.max(...rows.flat().map((value, i) => Math.abs(value - found[i])));
    expect(farthestOf).toBeLessThan(tolerance.logits);
  }

  it("has PyTorch's names and shapes", () => {
    const { parameters } = learned();
    const own = [...parameters.stateDict()].map(([key, { shape }]) => [key, [...shape]]);
    expect(Object.fromEntries(own)).toEqual(shapes);
    parameters.free();
  });

  it("a step's logits, gradients and running statistics, which are those of the patches that are there", () => {
    const learner = learned();
    const { parameters } = learner;
    parameters.requireGradient();
    scope(() => {
      const { logits, loss } = withGradients(() => {
        const logits = forward(learner, seen(), "fp32", "train");
        return { logits, loss: networkOps.crossEntropy(logits, fromArray(labels, [count])) };
      });
      expectLogits(logits.toFloat32(), expected.logits);
      expect(loss.item()).toBeCloseTo(expected.loss, 5);
      backward(loss, [parameters.flat]);
    });
    const gradients = farthest(parameters.gradients(), expected.gradients);
    expect(gradients.distance, gradients.name).toBeLessThan(tolerance.gradients);
    const running = [...parameters.stateDict()].filter(([name]) => name.includes(".running_"));
    const found = new Map(running.map(([name, tensor]) => [name, asFloat32(tensor)] as const));
    const statistics = farthest(found, expected.statistics);
    expect(statistics.distance, statistics.name).toBeLessThan(tolerance.statistics);
    parameters.free();
  });

  it.each([
    ["in evaluation mode", undefined],
    ["folded and fused", "fused"],
    ["folded, by plain operators, as on a GPU,", "plain"],
  ] as const)("%s gives the same logits", (_, how) => {
    const learner = learned();
    const { parameters } = learner;
    const kernels = how === "plain" ? plain : undefined;
    const frozen = how === undefined ? undefined : new FrozenNetwork(network, parameters, "fp32", kernels);
    scope(() =>
      expectLogits((frozen?.forward(seen()) ?? forward(learner, seen(), "fp32", "eval")).toFloat32(), expected.eval),
    );
    frozen?.free();
    parameters.free();
  });

  it("as an ONNX graph gives the same logits, also of images without a patch alone", async () => {
    const { parameters } = learned();
    const input = { name: "acquired", channels: 4 };
    const graph = graphOf({ network, state: parameters.stateDict(), imageSize: side, input, output: "logits" });
    const bytes = encodeOnnx(graph, { producer: "test", producerVersion: "0", metadata: new Map() });
    const values = scope(() => seen().toFloat32());
    expectLogits(await runOnnx(bytes, values, count), expected.eval);
    expectLogits(await runOnnx(bytes, values.subarray(0, 4 * side * side), 1), expected.eval.slice(0, 1));
    parameters.free();
  });

  it("counts its work by the patch", () => {
    const { multiplyAdds, multiplyAddsPerPatch } = learned().parameters.declaration;
    // What is not the trunk's: at the low resolution 4 → 64 channels, two blocks of 64 and the join from 128; the last layer.
    const fixed = lowSize ** 2 * (9 * 4 * 64 + 4 * 9 * 64 ** 2 + 128 * 64) + 640;
    expect(multiplyAdds - 16 * multiplyAddsPerPatch).toBe(fixed);
    // At the first segment's size, at half and at a quarter of it (32 pixels); a stem at half the size comes before it at 64.
    const [one, two, three] = side === 32 ? [64, 16, 4] : [64, 16, 16];
    const stem = one * 9 * 3 * 32;
    const segments = one * 18 * 32 ** 2 + two * 9 * (32 * 64 + 3 * 64 ** 2) + three * 9 * (64 * 128 + 128 ** 2);
    expect(multiplyAddsPerPatch).toBe(stem + segments);
  });
});
