import { cpSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import type { Headroom } from "../../src/headroom/headroom.ts";
import { readHeadroom, writeHeadroom } from "../../src/headroom/stored-headroom.ts";
import { sampleHeadroom } from "../report/sample.ts";
import { save, savedConfig } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
const at = (name: string) => join(folder, name);
const measured = (checkpoint: string, more: Partial<Headroom> = {}): Headroom => ({
  ...sampleHeadroom,
  checkpoint: at(checkpoint),
  ...more,
});

beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  const record = { sequence: 1, logs: {}, config: savedConfig };
  for (const step of [1, 2]) writeCheckpoint(at(String(step)), save(step), record);
});

it("is read as it was measured, for the weights beside it", () => {
  expect(readHeadroom(at("1"))).toBeUndefined();
  expect(writeHeadroom(measured("1"))).toBe(join(at("1"), "headroom.json"));
  expect(readHeadroom(at("1"))).toEqual(sampleHeadroom);
  cpSync(join(at("1"), "headroom.json"), join(at("2"), "headroom.json"));
  expect(() => readHeadroom(at("2"))).toThrow(
    /headroom\.json: must have been measured with the weights beside it; measure again: patchdrop headroom$/,
  );
});

it("may have found that a fixed mask is enough, and lies beside a checkpoint that is one file", () => {
  const verdict = { best: undefined, sentence: "A fixed mask is enough." };
  writeFileSync(at("hr.pth"), "weights");
  writeHeadroom(measured("hr.pth", { verdict }));
  expect(existsSync(at("hr.pth.headroom.json"))).toBe(true);
  expect(readHeadroom(at("hr.pth"))?.verdict).toEqual(verdict);
});

it("that has changed is refused", () => {
  const file = writeHeadroom(measured("1"));
  const stored = readFileSync(file, "utf8");
  for (const other of [stored.replace("3000", "3001"), "null", "{}"]) {
    writeFileSync(file, other);
    expect(() => readHeadroom(at("1"))).toThrow(
      /headroom\.json: does not match its own checksum; measure again: patchdrop headroom$/,
    );
  }
  writeFileSync(file, "{");
  expect(() => readHeadroom(at("1"))).toThrow(/headroom\.json: must be JSON/);
});
