/** Opening libtorch: when koffi is loaded, and what a second opening may ask for. */
import { symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { exitCodes } from "../../src/errors.ts";
import { reward } from "../../src/method/reward.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openedLibtorch, openLibtorch } from "../../src/native/library.ts";
import * as ops from "../../src/tensor/ops.ts";
import { startLibtorch } from "../../src/tensor/start.ts";
import { refusal } from "../refusal.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const { cache } = createRequire(import.meta.url);
const loadedKoffi = () => Object.keys(cache).filter((file) => /[\\/]koffi[\\/]/.test(file));
const found = findLibtorch();

it("koffi is loaded when libtorch is opened, not when tensors' functions are imported", () => {
  expect([typeof ops.add, typeof reward]).toEqual(["function", "function"]);
  expect(loadedKoffi()).toEqual([]);
  expect(openedLibtorch()).toBeUndefined();
  expect(refusal(() => openLibtorch(found, { threads: 1025 })).message).toBe("threads: must be at most 1024, got 1025");
  vi.stubEnv("OMP_NUM_THREADS", "100000");
  expect(refusal(() => openLibtorch(found)).message).toBe("OMP_NUM_THREADS: must be at most 1024, got 100000");
  vi.unstubAllEnvs();
  openLibtorch(found, { threads: 1 });
  expect(loadedKoffi().length).toBeGreaterThan(0);
});

describe("a second opening", () => {
  it("with the same arguments, or none, gives what is open", () => {
    const open = openLibtorch(found, { threads: 1 });
    expect(openLibtorch(found, { threads: 1, cuda: false })).toBe(open);
    expect(openLibtorch(found)).toBe(open);
    expect(open.threads).toBe(1);
    expect(startLibtorch({ device: "cpu" })).toMatchObject({ version: found.version, threads: 1 });
  });

  it("may name the same folder by a link", () => {
    const folder = temporaryFolder(onTestFinished);
    symlinkSync(found.libDir, join(folder, "lib"));
    expect(openLibtorch({ ...found, libDir: join(folder, "lib") })).toBe(openedLibtorch());
  });

  it("with another folder, number of threads, or CUDA is refused, with all of them at once", () => {
    const error = refusal(() => openLibtorch({ ...found, libDir: tmpdir() }, { threads: 3, cuda: true }));
    expect(error.message.split("\n")).toEqual([
      `libtorch: there is one per process, and it is open from ${found.libDir}, got ${tmpdir()}; ` +
        "give that one or none, or start another process",
      "threads: libtorch is open with 1, for as long as the process runs, got 3; " +
        "ask for the same number or leave it out, or start another process",
      "device: libtorch is open without CUDA, which cannot be added, got cuda; " +
        "use the GPU first of all, or start another process",
    ]);
    expect(error.exitCode).toBe(exitCodes.usage);
    expect(refusal(() => startLibtorch({ device: "cpu", threads: 2 })).faults).toHaveLength(1);
  });
});
