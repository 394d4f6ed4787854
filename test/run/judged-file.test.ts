import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { JudgedFile } from "../../src/run/judged-file.ts";

const folder = mkdtempSync(join(tmpdir(), "patchdrop-judged-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const images = 10;
const recordBytes = 12; // two numbers and a checksum
let file: JudgedFile;
beforeEach(() => {
  rmSync(join(folder, "judged.bin"), { force: true });
  file = new JudgedFile(folder, images, 2);
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
    expect(new JudgedFile(folder, images, 2).read(part(1, 5, 1))).toEqual(Float32Array.of(0, Math.fround(1e-30)));
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

  it("says where it cannot be written", () => {
    const nowhere = new JudgedFile(join(folder, "missing"), images, 2);
    expect(() => nowhere.write(part(0, 0, 1), Float32Array.of(1, 2))).toThrow(
      /missing\/judged\.bin: could not be written/,
    );
  });
});
