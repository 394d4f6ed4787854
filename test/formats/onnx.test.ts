/** The bytes of ONNX models: one worked out by hand from onnx.proto, and one that ONNX Runtime reads. */
import { describe, expect, it } from "vitest";
import { runOnnx } from "../../src/export/parity.ts";
import { encodeOnnx, type OnnxGraph, type OnnxOrigin } from "../../src/formats/onnx.ts";

const origin: OnnxOrigin = { producer: "p", producerVersion: "1", metadata: new Map([["k", "v"]]) };

/** Bytes as hexadecimal pairs and texts as they are, separated by spaces. */
function bytesOf(text: string): number[] {
  return text
    .trim()
    .split(/\s+/)
    .flatMap((word) => (word.startsWith("'") ? [...Buffer.from(word.slice(1))] : [Number.parseInt(word, 16)]));
}

describe("encodeOnnx", () => {
  it("writes the messages of onnx.proto, field by field", () => {
    const graph: OnnxGraph = {
      name: "g",
      nodes: [{ operator: "Identity", inputs: ["x"], output: "y", attributes: {} }],
      initializers: [],
      input: { name: "x", shape: [1] },
      output: { name: "y", shape: ["n"] },
    };
    // A key is field · 8 + type (0 number, 2 bytes with their length before them).
    const expected = bytesOf(`
      08 08  12 01 'p  1a 01 '1
      3a 3b
        0a 13  0a 01 'x  12 01 'y  1a 01 'y  22 08 'Identity
        12 01 'g
        5a 0f  0a 01 'x  12 0a  0a 08  08 01  12 04  0a 02  08 01
        62 10  0a 01 'y  12 0b  0a 09  08 01  12 05  0a 03  12 01 'n
      42 04  0a 00  10 11
      72 06  0a 01 'k  12 01 'v`);
    expect([...encodeOnnx(graph, origin)]).toEqual(expected);
  });

  it("writes constants and attributes as ONNX Runtime reads them", async () => {
    // The right column of each of three channels, its mean, the three side by side in two rows, and something added.
    const graph: OnnxGraph = {
      name: "hand-worked",
      nodes: [
        { operator: "Slice", inputs: ["x", "from", "to", "axes"], output: "right", attributes: {} },
        { operator: "AveragePool", inputs: ["right"], output: "mean", attributes: { kernel_shape: [2, 1] } },
        { operator: "Flatten", inputs: ["mean"], output: "flat", attributes: { axis: 1 } },
        { operator: "Reshape", inputs: ["flat", "square"], output: "back", attributes: {} },
        { operator: "Resize", inputs: ["back", "", "twice"], output: "wide", attributes: { mode: "nearest" } },
        { operator: "Add", inputs: ["wide", "more"], output: "y", attributes: {} },
      ],
      initializers: [
        { name: "from", shape: [1], values: BigInt64Array.of(1n) },
        { name: "to", shape: [1], values: BigInt64Array.of(2n) },
        { name: "axes", shape: [1], values: BigInt64Array.of(3n) },
        { name: "square", shape: [4], values: BigInt64Array.of(1n, 1n, 1n, 3n) },
        { name: "twice", shape: [4], values: Float32Array.of(1, 1, 2, 1) },
        { name: "more", shape: [1, 1, 1, 3], values: Float32Array.of(10, 20, 300) },
      ],
      input: { name: "x", shape: [1, 3, 2, 2] },
      output: { name: "y", shape: [1, 1, 2, 3] },
    };
    const image = Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
    const result = await runOnnx(encodeOnnx(graph, origin), image, 1);
    expect([...result]).toEqual([13, 27, 311, 13, 27, 311]);
  });
});
