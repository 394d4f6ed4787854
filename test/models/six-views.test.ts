/** Six views against the views themselves, made here pixel by pixel and classified one by one. */
import { expect, it } from "vitest";
import { graphOf } from "../../src/export/graph.ts";
import { runOnnx } from "../../src/export/parity.ts";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import { cifarResNet } from "../../src/models/cifar-resnet.ts";
import { sixViews } from "../../src/models/six-views.ts";
import { speedrun } from "../../src/models/speedrun.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { FrozenNetwork } from "../../src/nn/frozen.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

openLibtorch(findLibtorch(), { threads: 1 });

const [count, side, outputs] = [3, 32, 5];
const images = new Random(1, "images").normals(new Float32Array(count * 3 * side * side));

/** Each pixel from where the view has it; a place outside is the nearest inside. */
function view(by: number, isMirrored: boolean): Float32Array {
  const inside = (at: number) => Math.max(0, Math.min(side - 1, at));
  return images.map((_, i) => {
    const [x, y, plane] = [i % side, Math.floor(i / side) % side, Math.floor(i / side ** 2)];
    const across = isMirrored ? side - 1 - x : x;
    return images[(plane * side + inside(y - by)) * side + inside(across - by)];
  });
}

it.each([
  ["ResNet-8", cifarResNet({ blocks: 1, outputs })],
  ["the speed runs' network", speedrun(outputs)],
])(
  "of %s, frozen and as an ONNX graph, are the mean of the views, half as much of the shifted ones",
  async (_, network) => {
    const parameters = new Parameters(network, side, "cpu");
    parameters.initialize(new Random(2, "weights"));
    const whitening = parameters.declaration.whitenings.at(0);
    if (whitening !== undefined) {
      const weights = new Random(3, "white").normals(new Float32Array(24 * 12));
      parameters.setFixed(`${whitening.name}.weight`, weights);
    }
    const [plain, six] = [network, sixViews(network)].map((read) => new FrozenNetwork(read, parameters, "fp32"));
    const logits = (frozen: FrozenNetwork, pixels: Float32Array) =>
      scope(() => frozen.forward(fromArray(pixels, [count, 3, side, side]))).toFloat32();
    const expected = new Float32Array(count * outputs);
    for (const by of [0, -1, 1]) {
      for (const isMirrored of [false, true]) {
        const own = logits(plain, view(by, isMirrored));
        for (const [i, value] of own.entries()) expected[i] += (by === 0 ? 0.25 : 0.125) * value;
      }
    }
    const found = logits(six, images);
    const graph = graphOf({
      network: sixViews(network),
      state: parameters.stateDict(),
      imageSize: side,
      output: "logits",
    });
    const names = graph.initializers.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const bytes = encodeOnnx(graph, { producer: "test", producerVersion: "0", metadata: new Map() });
    const inOnnx = await runOnnx(bytes, images, count);
    const size = Math.max(...expected.map(Math.abs));
    for (const [i, value] of expected.entries()) {
      expect(Math.abs(found[i] - value)).toBeLessThan(1e-4 * size);
      expect(Math.abs(inOnnx[i] - value)).toBeLessThan(1e-4 * size);
    }
    // The views differ.
    expect(Math.max(...logits(plain, images).map((value, i) => Math.abs(value - expected[i])))).toBeGreaterThan(
      1e-2 * size,
    );
    for (const frozen of [plain, six]) frozen.free();
    parameters.free();
  },
);
