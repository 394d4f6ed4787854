/** Every layer as ONNX nodes computes what libtorch's layer does, with batch norm whose statistics are not 0 and 1. */
import { beforeAll, describe, expect, it } from "vitest";
import { Exporting, graphOf } from "../../src/export/graph.ts";
import { runOnnx } from "../../src/export/parity.ts";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import { float32Tensor } from "../../src/formats/safetensors.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { ConvolutionSpec, Layers, Network } from "../../src/nn/layers.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { forward } from "../../src/nn/training.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";
import { randomState } from "./random-state.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const size = 12;
const images = new Random(1, "images").normals(new Float32Array(2 * 3 * size * size));
/** Bright enough for a ReLU6 to end at 6. */
const bright = images.map((value) => 10 * value);
const names = (n: number) => ({ conv: `conv${n}`, bn: `bn${n}` });
const tolerance = 1e-5;

/** A layer, or the few that it takes to have an input for it. */
type Case = <V>(layers: Layers<V>, x: V) => V;

const same = (spec: Pick<ConvolutionSpec, "kernel" | "stride">) => ({ ...spec, channels: 4, padding: "same" }) as const;
const relu6 = (spec: ConvolutionSpec): ConvolutionSpec => ({ ...spec, activation: "relu6" });
const cases: Record<string, Case> = {
  convBnRelu: (layers, x) => layers.convBnRelu(x, names(1), { channels: 5, kernel: 3, stride: 2 }),
  "convBn with a kernel of 7": (layers, x) => layers.convBn(x, names(1), { channels: 4, kernel: 7, stride: 2 }),
  "convBn with a kernel of 1": (layers, x) => layers.convBn(x, names(1), { channels: 4, kernel: 1, stride: 2 }),
  "convBn, depthwise": (layers, x) => layers.convBn(x, names(1), { channels: 3, kernel: 5, groups: 3 }),
  "convBn with zeros behind": (layers, x) => layers.convBn(x, names(1), same({ kernel: 3, stride: 2 })),
  "convBn with zeros on both sides and behind": (layers, x) =>
    layers.convBn(x, names(1), same({ kernel: 5, stride: 2 })),
  "convBn with an epsilon of its own": (layers, x) =>
    layers.convBn(x, names(1), { channels: 4, kernel: 3, batchNorm: { epsilon: 0.5, momentum: 0.1 } }),
  "convBnRelu up to 6": (layers, x) => layers.convBnRelu(x, names(1), relu6({ channels: 5, kernel: 3 })),
  "convBnAddRelu up to 6": (layers, x) => layers.convBnAddRelu(x, x, names(1), relu6({ channels: 3, kernel: 3 })),
  convBnAdd: (layers, x) => layers.convBnAdd(x, x, names(1), { channels: 3, kernel: 3 }),
  convBnAddRelu: (layers, x) => layers.convBnAddRelu(x, x, names(1), { channels: 3, kernel: 3 }),
  averagePool: (layers, x) => layers.averagePool(x, 2),
  maxPool: (layers, x) => layers.maxPool(x, 3, 2, 1),
  padChannels: (layers, x) => layers.padChannels(x, 2),
  globalAveragePool: (layers, x) => layers.globalAveragePool(x),
  linear: (layers, x) => layers.linear(layers.globalAveragePool(x), "fc", 4),
  "linearOfParts that divide the map": (layers, x) => layers.linearOfParts(x, "map", { rows: 3, columns: 2 }),
  "linearOfParts that cut positions": (layers, x) => layers.linearOfParts(x, "map", { rows: 5, columns: 7 }),
  "linearOfParts of a map of fewer positions": (layers, x) =>
    layers.linearOfParts(layers.averagePool(x, 5), "map", { rows: 4, columns: 4 }),
  add: (layers, x) => layers.add(layers.globalAveragePool(x), layers.linear(layers.globalAveragePool(x), "fc", 3)),
  block: (layers, x) => layers.block(() => layers.averagePool(x, 3)),
};

it("stores weights as halves where that is asked for, and biases as they are", async () => {
  const third = Math.fround(1 / 3);
  const state = new Map([
    ["fc.weight", float32Tensor([2, 3], Float32Array.of(third, 0, 0, 0, -2, 0))],
    ["fc.bias", float32Tensor([2], Float32Array.of(third, 0))],
  ]);
  const network: Network = (layers, x) => layers.linear(layers.globalAveragePool(x), "fc", 2);
  const graph = graphOf({ network, state, imageSize: 1, output: "logits", half: true });
  const bytes = encodeOnnx(graph, { producer: "test", producerVersion: "0", metadata: new Map() });
  const got = await runOnnx(bytes, Float32Array.of(1, 5, 9), 1);
  // The half next to 1/3 is 0x3555, which is 1365 / 4096; -2 is a half.
  expect([...got]).toEqual([Math.fround(1365 / 4096 + third), -10]);
});

describe("a layer as ONNX nodes", () => {
  it.each(Object.entries(cases))("%s", async (name, network) => {
    const parameters = new Parameters(network, size, "cpu");
    parameters.load(randomState(parameters, 1), name);
    const isBounded = name.endsWith("up to 6");
    const input = isBounded ? bright : images;
    const { values, rank } = scope(() => {
      const result = forward({ network, parameters }, fromArray(input, [2, 3, size, size]), "fp32", "eval");
      return { values: result.toFloat32(), rank: result.shape.length };
    });

    const layers = new Exporting(parameters.stateDict(), parameters.declaration);
    const output = network(layers, "image");
    const graph = {
      name,
      nodes: layers.nodes,
      initializers: layers.initializers,
      input: { name: "image", shape: ["batch", 3, size, size] },
      output: { name: output, shape: ["batch", "channels", "height", "width"].slice(0, rank) },
    };
    const bytes = encodeOnnx(graph, { producer: "test", producerVersion: "0", metadata: new Map() });
    const got = await runOnnx(bytes, input, 2);
    expect(got.length).toBe(values.length);
    const farthest = Math.max(...Array.from(values, (value, i) => Math.abs(value - got[i])));
    expect(farthest).toBeLessThan(tolerance);
    if (isBounded) expect(Math.max(...values)).toBe(6);
    // Equal would also be two lists of nothing.
    expect(new Set(values).size).toBeGreaterThan(4);
    parameters.free();
  });
});
