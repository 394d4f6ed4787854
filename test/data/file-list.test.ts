import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { FileList } from "../../src/data/file-list.ts";

const names = ["a/1.png", "a/ö 2.png", "b/猫.png", "c"];
const labels = Int32Array.of(0, 0, 1, 2);

function pathsOf(list: FileList): string[] {
  return Array.from(list.labels, (_, index) => list.path(index));
}

describe("FileList", () => {
  it("gives back the names, below its root", () => {
    const list = FileList.of("root", names, labels);
    expect(list.length).toBe(4);
    expect(pathsOf(list)).toEqual(names.map((name) => join("root", name)));
  });

  it("is the same made of parts, of which some are empty", () => {
    const part = (from: number, to: number): FileList =>
      FileList.of("root", names.slice(from, to), labels.slice(from, to));
    const list = FileList.concat("root", [part(0, 0), part(0, 2), part(2, 2), part(2, 4)]);
    expect(pathsOf(list)).toEqual(names.map((name) => join("root", name)));
    expect([...list.labels]).toEqual([...labels]);
    expect(list.digest()).toBe(FileList.of("root", names, labels).digest());
  });

  it("has a digest that tells names and labels, not the root", () => {
    const digest = (...list: Parameters<typeof FileList.of>): string => FileList.of(...list).digest();
    const same = digest("root", names, labels);
    expect(digest("elsewhere", names, labels)).toBe(same);
    expect(digest("root", ["a/1.pnga/ö 2.png", ...names.slice(2)], labels.slice(1))).not.toBe(same);
    expect(digest("root", names, Int32Array.of(0, 1, 1, 2))).not.toBe(same);
  });
});
