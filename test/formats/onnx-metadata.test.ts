/** Metadata of ONNX models, read back from what onnx.ts writes, from bytes worked out by hand, and from broken ones. */
import { describe, expect, it } from "vitest";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import { readOnnxMetadata } from "../../src/formats/onnx-metadata.ts";

const metadata = new Map([
  ["classes", '["Käfer", "鳥"]'],
  ["long", "x".repeat(300)],
  ["empty", ""],
]);
const model = encodeOnnx(
  {
    name: "g",
    nodes: [{ operator: "Identity", inputs: ["x"], output: "y", attributes: {} }],
    initializers: [{ name: "w", shape: [3], values: Float32Array.of(1, 2, 3) }],
    input: { name: "x", shape: [1] },
    output: { name: "y", shape: [1] },
  },
  { producer: "p", producerVersion: "1", metadata },
);

describe("readOnnxMetadata", () => {
  it("finds what was written", () => {
    expect(readOnnxMetadata(model, "m.onnx")).toEqual(metadata);
  });

  it("steps over fields of every kind, and fills in what a message leaves out", () => {
    // Field 1 a number of three bytes, 2 eight bytes, 3 four bytes, then metadata with a key alone, then with none.
    const bytes = [0x08, 0x80, 0x80, 0x01, 0x11, ...Array(8).fill(0x72), 0x1d, 0x72, 0x72, 0x72, 0x72];
    const found = readOnnxMetadata(Uint8Array.from([...bytes, 0x72, 3, 0x0a, 1, 0x6b, 0x72, 0]), "m.onnx");
    expect(found).toEqual(
      new Map([
        ["k", ""],
        ["", ""],
      ]),
    );
  });

  it("is the same wherever the file is cut, or an error that names it", () => {
    for (let length = 0; length < model.length; length += 7) {
      try {
        for (const [key, value] of readOnnxMetadata(model.subarray(0, length), "m.onnx")) {
          expect(metadata.get(key)).toBe(value);
        }
      } catch (error) {
        expect(error).toMatchObject({ kind: "input", message: expect.stringMatching(/^m\.onnx: byte \d+: /) });
      }
    }
  });

  it.each([
    ["text", Buffer.from("no model at all"), /wire type|bytes must follow/],
    ["a length beyond the end", Uint8Array.of(0x72, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), /must follow/],
    ["a number without end", new Uint8Array(20).fill(0xff), /at most ten bytes/],
    ["a group, which is no longer used", Uint8Array.of(0x0b), /wire type 3/],
    ["a key that is no UTF-8", Uint8Array.of(0x72, 3, 0x0a, 1, 0xff), /must have metadata in UTF-8/],
  ])("refuses %s", (_, bytes, message) => {
    expect(() => readOnnxMetadata(bytes, "m.onnx")).toThrow(message);
    expect(() => readOnnxMetadata(bytes, "m.onnx")).toThrow(/^m\.onnx: /);
  });
});
