/** NCCL as it comes with a libtorch that has CUDA; nothing here needs a GPU. */
import { expect, it } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { ncclVersion, openNccl, uniqueIdBytes } from "../../src/native/nccl.ts";
import { describeUnless } from "../describe-unless.ts";
import { refusal } from "../refusal.ts";

const found = findLibtorch();

describeUnless(found.cuda ? undefined : "this libtorch has no CUDA", "NCCL of libtorch_cuda", () => {
  it("says its version, and makes identities, each another", () => {
    expect(ncclVersion(found)).toMatch(/^2\.\d+\.\d+$/);
    const symbols = openNccl(found);
    const ids = [0, 1].map(() => {
      const id = new Uint8Array(uniqueIdBytes);
      expect(symbols.ncclGetUniqueId(id)).toBe(0);
      return Buffer.from(id).toString("hex");
    });
    expect(ids[0]).not.toBe(ids[1]);
    expect(ids[0]).not.toMatch(/^0+$/);
  });
});

it("where there is none, says what to do", () => {
  const folder = { libDir: "/nowhere" };
  expect(ncclVersion(folder)).toBeUndefined();
  const { message, kind } = refusal(() => openNccl(folder));
  expect(message).toMatch(
    /^\/nowhere\/libtorch_cuda\.so: must come with NCCL, for a job of several GPUs, got .+; run `patchdrop setup --cuda`, or give a PyTorch with CUDA with --torch$/,
  );
  expect(kind).toBe("input");
});
