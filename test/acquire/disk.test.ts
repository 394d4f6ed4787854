/** A disk that fails at any call while an acquisition is written: the folder is whole or not there. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import { blockScene, brightPolicy, limits, writeScene } from "./scenes.ts";

const disk = vi.hoisted(() => ({ calls: 0, failAt: 0, code: "ENOSPC" }));
vi.mock(import("node:fs"), async (original) => {
  const { failingFs } = await import("../files/failing-disk.ts");
  return failingFs(await original(), disk) as typeof import("node:fs");
});

let folder: string;
const at = (name: string) => join(folder, name);
const choices = { ...limits, top: 2, batch_size: 64 };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-disk-"));
  await writeScene(at("scene.tif"), blockScene(40, 30));
});
afterAll(() => {
  disk.failAt = 0;
  rmSync(folder, { recursive: true, force: true });
});

it("leaves all files or none, whichever call fails", async () => {
  await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("whole") });
  const files = readdirSync(at("whole")).sort();
  let failures = 0;
  for (let failAt = 1; ; failAt++) {
    Object.assign(disk, { calls: 0, failAt });
    const error = await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("out") }).catch(
      (thrown) => thrown,
    );
    const { calls } = disk;
    disk.failAt = 0;
    if (calls < failAt) break;
    failures++;
    expect(error).toMatchObject({ kind: "system", message: expect.stringContaining("ENOSPC: injected") });
    const left = readdirSync(folder).sort();
    // The last calls come after the rename, which cannot be taken back.
    if (left.includes("out")) expect(readdirSync(at("out")).sort()).toEqual(files);
    expect(left.filter((name) => name !== "out")).toEqual(["scene.tif", "whole"]);
    rmSync(at("out"), { recursive: true, force: true });
  }
  expect(failures).toBeGreaterThan(30);
});
