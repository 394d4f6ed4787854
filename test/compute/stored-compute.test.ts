import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { readCompute, writeCompute } from "../../src/compute/stored-compute.ts";
import { sampleCompute } from "../report/sample.ts";
import { save, savedConfig } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
const at = (name: string) => join(folder, name);

beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  const record = { sequence: 1, logs: {}, config: savedConfig };
  for (const step of [1, 2]) writeCheckpoint(at(String(step)), save(step), record);
});

it("is read as it was measured, for the weights beside it", () => {
  expect(readCompute(at("1"))).toBeUndefined();
  expect(writeCompute({ ...sampleCompute, checkpoint: at("1") })).toBe(join(at("1"), "compute.json"));
  expect(readCompute(at("1"))).toEqual(sampleCompute);
  cpSync(join(at("1"), "compute.json"), join(at("2"), "compute.json"));
  expect(() => readCompute(at("2"))).toThrow(
    /compute\.json: must have been measured with the weights beside it; measure again: patchdrop profile$/,
  );
});

it("may have joules", () => {
  const { noJoules: _, ...rest } = sampleCompute;
  const metered = { ...rest, rows: rest.rows.map((row) => ({ ...row, joules: 0.25 })) };
  writeCompute({ ...metered, checkpoint: at("1") });
  expect(readCompute(at("1"))).toEqual(metered);
});

it("that has changed is refused", () => {
  const file = writeCompute({ ...sampleCompute, checkpoint: at("1") });
  const stored = readFileSync(file, "utf8");
  for (const other of [stored.replace('"median": 2', '"median": 1'), "null", "{}"]) {
    expect(other).not.toBe(stored);
    writeFileSync(file, other);
    expect(() => readCompute(at("1"))).toThrow(
      /compute\.json: does not match its own checksum; measure again: patchdrop profile$/,
    );
  }
});
