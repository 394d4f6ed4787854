/** A save that is cut between its two links leaves `best` ahead of `last`, from which the run then meets that best again. */
import { readlinkSync } from "node:fs";
import { basename, join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { RunFolder } from "../../src/run/run-folder.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { config, save } from "./example.ts";

const disk = vi.hoisted(() => ({ calls: 0, failAt: 0, code: "ENOSPC" }));
vi.mock(import("node:fs"), async (original) => {
  const { failingFs } = await import("../files/failing-disk.ts");
  return failingFs(await original(), disk) as typeof import("node:fs");
});

let parent: string;
beforeEach((context) => {
  parent = temporaryFolder(context.onTestFinished);
});
afterEach(() => {
  disk.failAt = 0;
});

/** Saves a first checkpoint and a better second one, whose call `failAt` fails; whether that call was made. */
function cutSecondSave(dir: string, failAt: number): boolean {
  const run = RunFolder.create(dir, config);
  run.save(save(1, true));
  Object.assign(disk, { calls: 0, failAt });
  try {
    run.save(save(2, true));
  } catch {}
  disk.failAt = 0;
  run.close();
  return disk.calls >= failAt;
}

it("never names a better checkpoint `last` before `best`", () => {
  const names = [1, 2].map((step) => save(step).name);
  const seen = new Set<string>();
  for (let failAt = 1; cutSecondSave(join(parent, String(failAt)), failAt); failAt++) {
    const step = (link: string) => 1 + names.indexOf(basename(readlinkSync(join(parent, String(failAt), link))));
    seen.add(`best ${step("best")}, last ${step("last")}`);
  }
  expect([...seen]).toEqual(["best 1, last 1", "best 2, last 1", "best 2, last 2"]);
});
