import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readBytes, readBytesIfAny } from "../../src/files/read.ts";
import { temporaryFolder } from "../temporary-folder.ts";

it("reads a file, and says where there is none", ({ onTestFinished }) => {
  const file = join(temporaryFolder(onTestFinished), "a.txt");
  expect(readBytesIfAny(file)).toBeUndefined();
  expect(() => readBytes(file)).toThrow(`${file}: could not be read (ENOENT`);
  writeFileSync(file, "abc");
  expect([readBytes(file).toString(), readBytesIfAny(file)?.toString()]).toEqual(["abc", "abc"]);
});

it("does not wait for a pipe, nor read a device that never ends", ({ onTestFinished }) => {
  const pipe = join(temporaryFolder(onTestFinished), "pipe");
  execFileSync("mkfifo", [pipe]);
  for (const path of [pipe, "/dev/zero"]) {
    for (const read of [readBytes, readBytesIfAny]) {
      expect(() => read(path)).toThrow(
        `${path}: could not be read (neither a file nor a folder, but a pipe or a device)`,
      );
    }
  }
});
