import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { assertNew, assertWritable, temporaryName, writeFileAtomic } from "../../src/files/atomic.ts";
import { lockBeside, takeLock } from "../../src/files/lock.ts";
import { placeBeside } from "../../src/files/place-beside.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** As long as a name can be on most file systems, in bytes; of characters of two bytes. */
const longest = `${"é".repeat(125)}.json`;

it("keeps a name that leaves room, to the byte", () => {
  const most = "x".repeat(143 - ".lock".length);
  expect(placeBeside(`/a/${most}`, "", ".lock")).toBe(`/a/${most}.lock`);
  const cut = placeBeside(`/a/${most}y`, "", ".lock");
  expect(cut).toMatch(/^\/a\/x{121}~[0-9a-f]{16}\.lock$/);
  expect(placeBeside(`/a/${most}z`, "", ".lock")).not.toBe(cut);
});

it("cuts between characters", () => {
  for (const character of ["é", "漢", "🛰"]) {
    const name = basename(placeBeside(`x${character.repeat(100)}`, ".", ".lock"));
    expect(name).toMatch(new RegExp(`^\\.x(${character})+~[0-9a-f]{16}\\.lock$`, "u"));
    expect(Buffer.byteLength(name)).toBeGreaterThan(143 - Buffer.byteLength(character));
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(143);
  }
});

it("a file of the longest name is written and locked, and what a crash left of it is removed", () => {
  const folder = temporaryFolder(onTestFinished);
  const path = join(folder, longest);
  writeFileAtomic(path, Buffer.from("whole"));
  expect(readFileSync(path, "utf8")).toBe("whole");
  const lock = lockBeside(path);
  // One of a process that has ended, which is taken over by way of a third name.
  writeFileSync(lock, JSON.stringify({ pid: 2 ** 30, host: JSON.parse(heldLock(join(folder, "other.lock"))).host }));
  const release = takeLock(lock);
  expect(readdirSync(folder).sort()).toEqual([basename(lock), longest].sort());
  release();
  const below = join(folder, "below");
  mkdirSync(below);
  const orphan = basename(temporaryName(path)).replace(/\.\d+\.(?=[0-9a-f]{8}-)/, `.${2 ** 30}.`);
  writeFileSync(join(below, orphan), "");
  writeFileAtomic(join(below, longest), Buffer.from("whole"));
  expect(readdirSync(below)).toEqual([longest]);
});

function heldLock(path: string): string {
  const release = takeLock(path);
  const text = readFileSync(path, "utf8");
  release();
  return text;
}

it("a name that is too long is refused before the work, whether or not its folder is there", () => {
  const folder = temporaryFolder(onTestFinished);
  for (const place of [join(folder, `${longest}x`), join(folder, "none", `${longest}x`)]) {
    for (const check of [assertNew, assertWritable]) {
      expect(() => check(place)).toThrow(`${place}: is a longer name than the file system takes; give a shorter one`);
    }
  }
  assertNew(join(folder, "none", longest));
});
