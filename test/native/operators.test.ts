/** The generated wrappers against the loaded libtorch, and what its failures look like. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { PatchDropError } from "../../src/errors.ts";
import { failureOf } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { schemas } from "../../src/native/operators.generated.ts";
import { checkPlantedGradients } from "../../src/tensor/autograd.ts";
import * as networkOps from "../../src/tensor/network-ops.ts";
import * as ops from "../../src/tensor/ops.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, zeros } from "../../src/tensor/tensor.ts";

const found = findLibtorch();
openLibtorch(found, { threads: 1 });

/** The schemas travel with PyTorch's wheel, beside `torch`; a LibTorch archive has none. */
const yaml = path.join(found.root, "..", "torchgen", "packaged", "ATen", "native", "native_functions.yaml");

describe(`libtorch ${found.version}`, () => {
  it.skipIf(!existsSync(yaml))(
    "has the schemas that the wrappers were generated from (skipped without torchgen)",
    () => {
      const output = execFileSync("node", ["scripts/generate-operators.mjs", "--check", yaml], {
        encoding: "utf8",
        stdio: "pipe",
      });
      expect(output).toBe("");
      expect(schemas.length).toBeGreaterThan(40);
    },
  );

  it("adopts planted gradients", () => {
    expect(() => checkPlantedGradients()).not.toThrow();
  });

  it("turns a wrong shape into an error with the operator's name and the shapes", () => {
    scope(() => {
      const call = () => networkOps.conv2d(zeros([1, 3, 8, 8]), zeros([4, 5, 3, 3]));
      expect(call).toThrow(PatchDropError);
      expect(call).toThrow("aten::conv2d([1,3,8,8], [4,5,3,3], none)");
      expect(() => networkOps.linear(zeros([2, 3]), zeros([4, 5]), null)).toThrow("aten::linear([2,3], [4,5], none)");
      expect(() => ops.view(zeros([2, 3]), [4])).toThrow("aten::view");
    });
  });

  it("tells memory that ran out on a GPU from a bug of its own", () => {
    const said = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.1 GiB\nmore";
    const full = failureOf("aten::conv2d([512,3,32,32])", said);
    expect(full.message).toBe(
      "aten::conv2d([512,3,32,32]): must fit into the GPU's memory, got CUDA out of memory. Tried to allocate " +
        "2.00 GiB. GPU 0 has a total capacity of 79.1 GiB; lower --batch_size, use --precision bf16, or stop other " +
        "processes on the GPU",
    );
    expect([full.kind, full.exitCode]).toEqual(["resource", 6]);
    expect(failureOf("aten::mul", "shapes differ\nmore").message).toBe("aten::mul: shapes differ");
    expect(failureOf("aten::mul", undefined).kind).toBe("internal");
  });

  it("refuses an upload of another size before libtorch sees it", () => {
    scope(() => {
      expect(() => fromArray(new Float32Array(3), [2, 2])).toThrow(
        "Tensor.upload: needs 16 bytes for a contiguous float32 [2,2], got 12",
      );
    });
  });

  it("computes", () => {
    scope(() => {
      const a = fromArray(Float32Array.of(1, -2, 3, 4), [2, 2]);
      expect(Array.from(ops.add(a, a, 0.5).toFloat32())).toEqual([1.5, -3, 4.5, 6]);
      expect(Array.from(ops.subtract(a, a, 2).toFloat32())).toEqual([-1, 2, -3, -4]);
      expect(Array.from(ops.padChannels(ops.view(a, [1, 2, 1, 2]), 1).toFloat32())).toEqual([1, -2, 3, 4, 0, 0]);
      expect(Array.from(ops.permute(a, [1, 0]).toFloat32())).toEqual([1, 3, -2, 4]);
      expect(
        Array.from(networkOps.resizeNearest(fromArray(Float32Array.of(1, 2, 3, 4), [1, 1, 2, 2]), 4).toFloat32()),
      ).toEqual([1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]);
      expect(Array.from(ops.lerp(a, ops.neg(a), fromArray(Float32Array.of(0, 1, 0, 1), [2, 2])).toFloat32())).toEqual([
        1, 2, 3, -4,
      ]);
      expect(ops.allFinite(a)).toBe(true);
      expect(ops.allFinite(ops.log(a))).toBe(false);
    });
  });

  it("rounds to bfloat16 to nearest even", () => {
    scope(() => {
      // bfloat16 has 8 bits of precision: 1 + 2^-8 lies half way and rounds to the even 1; 1 + 3·2^-8 to 1 + 2^-6.
      const rounded = ops.cast(fromArray(Float32Array.of(1 + 2 ** -8, 1 + 3 * 2 ** -8, -2.5), [3]), "bfloat16");
      expect(Array.from(rounded.toFloat32())).toEqual([1, 1 + 2 ** -6, -2.5]);
    });
  });
});
