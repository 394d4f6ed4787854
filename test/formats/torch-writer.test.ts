import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { float32Tensor, type TensorData } from "../../src/formats/safetensors.ts";
import { readStoredZip } from "../../src/formats/stored-zip.ts";
import { readTorchFile } from "../../src/formats/torch-file.ts";
import { type TorchTree, writeTorchFile } from "../../src/formats/torch-writer.ts";

const counter: TensorData = { dtype: "I64", shape: [], data: new Uint8Array(BigInt64Array.of(7n).buffer) };
const tree: TorchTree = new Map<string, TorchTree>([
  [
    "agent",
    new Map([
      ["é.weight", float32Tensor([2, 1], Float32Array.of(1.5, -2))],
      ["tracked", counter],
    ]),
  ],
  ["none", new Map()],
  ["empty", float32Tensor([0, 3], new Float32Array(0))],
  ["epoch", 2],
  ["minus", -3],
  ["wide", 2 ** 40],
  ["half", 0.5],
]);

/**
 * That PyTorch reads these files was seen with scripts/fixtures/make-torch-files.py --check, by 2.15. Here they are read
 * by our reader, which is held against PyTorch's own files.
 */
describe("writeTorchFile", () => {
  it("writes what is read back equal", () => {
    expect(readTorchFile(writeTorchFile(tree), "file")).toEqual(tree);
  });

  it("writes PyTorch's entries, each at a multiple of 64 bytes, and the same bytes each time", () => {
    const bytes = writeTorchFile(tree);
    const entries = readStoredZip(bytes, "file");
    expect([...entries.keys()]).toEqual(
      ["data.pkl", "byteorder", "data/0", "data/1", "data/2", "version", ".data/serialization_id"].map(
        (name) => `archive/${name}`,
      ),
    );
    expect([...entries.values()].map(({ byteOffset }) => byteOffset % 64)).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(Buffer.from(entries.get("archive/.data/serialization_id")!).toString()).toMatch(/^\d{40}$/);
    expect(writeTorchFile(tree)).toEqual(bytes);
  });

  it("writes every type of PyTorch's own files again", () => {
    const original = readFileSync(new URL("fixtures/torch/everything-zip.pth", import.meta.url));
    const { tensors } = Object.fromEntries(readTorchFile(original, "file") as ReadonlyMap<string, TorchTree>);
    expect(readTorchFile(writeTorchFile(tensors), "file")).toEqual(tensors);
  });

  it("refuses a type that PyTorch has no storage for", () => {
    const odd: TensorData = { dtype: "U16", shape: [1], data: new Uint8Array(2) };
    expect(() => writeTorchFile(odd)).toThrow(
      "torch file: a PyTorch file can hold F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL, got U16; write .safetensors",
    );
  });
});
