import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { JudgedFile } from "../../src/run/judged-file.ts";

const folder = mkdtempSync(join(tmpdir(), "patchdrop-judged-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const images = 10;
const recordBytes = 12; // two numbers and a checksum
const judgedFile = (path = folder, identity = "a run") => new JudgedFile(path, { images, numbers: 2, identity });
let file: JudgedFile;
beforeEach(() => {
  rmSync(join(folder, "judged.bin"), { force: true });
  file = judgedFile();
});
const part = (epoch: number, first: number, count: number) => ({ epoch, first, count });
const change = (edit: (bytes: Buffer) => Buffer) => writeFileSync(file.path, edit(readFileSync(file.path)));

describe("a file of what was judged", () => {
  it("gives what was written, also in other parts", () => {
    file.write(part(1, 4, 3), Float32Array.of(0.1, -2, 0, 1e-30, 7, 8));
    file.write(part(1, 7, 1), Float32Array.of(9, 10));
    expect(file.read(part(1, 4, 3))).toEqual(Float32Array.of(0.1, -2, 0, 1e-30, 7, 8));
    expect(file.read(part(1, 6, 2))).toEqual(Float32Array.of(7, 8, 9, 10));
    file.close();
    expect(judgedFile().read(part(1, 5, 1))).toEqual(Float32Array.of(0, Math.fround(1e-30)));
  });

  it("has each image of each epoch at a place of its own, in 4 bytes a number and 4 more", () => {
    file.write(part(0, 0, 1), Float32Array.of(1, 2));
    file.write(part(2, 9, 1), Float32Array.of(3, 4));
    const bytes = readFileSync(file.path);
    expect(bytes.length).toBe((2 * images + 10) * recordBytes);
    expect([bytes.readFloatLE(4), bytes.readFloatLE((2 * images + 9) * recordBytes)]).toEqual([2, 3]);
  });

  it("has nothing of images of which one is missing", () => {
    expect(file.read(part(0, 0, 1))).toBeUndefined();
    file.write(part(0, 2, 2), Float32Array.of(1, 2, 3, 4));
    for (const [first, count] of [
      [1, 2],
      [2, 3],
      [0, 1],
    ]) {
      expect(file.read(part(0, first, count))).toBeUndefined();
    }
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ["changed", (bytes) => bytes.fill(1, 3, 4)],
    ["cut", (bytes) => bytes.subarray(0, recordBytes - 1)],
    ["another's", (bytes) => Buffer.concat([bytes.subarray(recordBytes), bytes.subarray(recordBytes)])],
  ])("does not believe a record that is %s", (_, edit) => {
    file.write(part(0, 0, 2), Float32Array.of(1, 2, 3, 4));
    change(edit);
    expect(file.read(part(0, 0, 1))).toBeUndefined();
  });

  it("does not believe a record of another run", () => {
    file.write(part(0, 0, 1), Float32Array.of(1, 2));
    expect(judgedFile(folder, "another").read(part(0, 0, 1))).toBeUndefined();
    expect(judgedFile().read(part(0, 0, 1))).toEqual(Float32Array.of(1, 2));
  });

  it.each<[string, (path: string) => void]>([
    ["a folder", (path) => mkdirSync(path)],
    ["a link", (path) => symlinkSync("/dev/null", path)],
  ])("refuses %s in its place, and says that it may be removed", (_, make) => {
    make(file.path);
    expect(() => file.read(part(0, 0, 1))).toThrow(
      "judged.bin: must be an ordinary file; remove it: what it would hold is found out again",
    );
    rmSync(file.path, { recursive: true });
  });

  it("says where it cannot be written", () => {
    const nowhere = judgedFile(join(folder, "missing"));
    expect(() => nowhere.write(part(0, 0, 1), Float32Array.of(1, 2))).toThrow(
      /missing\/judged\.bin: could not be opened/,
    );
  });
});
