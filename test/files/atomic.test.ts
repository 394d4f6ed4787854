import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  linkAtomic,
  makeFolder,
  removeFolderAtomic,
  removeTemporaries,
  writeFileAtomic,
  writeFolderAtomic,
} from "../../src/files/atomic.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const disk = vi.hoisted(() => ({ calls: 0, failAt: 0, code: "ENOSPC" }));
vi.mock(import("node:fs"), async (original) => {
  const { failingFs } = await import("./failing-disk.ts");
  // At most 3 bytes a call: the system may always take fewer than it was given.
  return failingFs(await original(), disk, 3) as typeof import("node:fs");
});

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});
afterEach(() => {
  disk.failAt = 0;
});

const bytes = (text: string) => new TextEncoder().encode(text);

/** Runs `action` once for each of its file system calls, with that call failing, and returns the errors. */
function failEach(action: () => void, check: (error: unknown) => void): number {
  for (let failAt = 1; ; failAt++) {
    Object.assign(disk, { calls: 0, failAt });
    let error: unknown;
    try {
      action();
    } catch (thrown) {
      error = thrown;
    }
    const { calls } = disk;
    disk.failAt = 0;
    if (calls < failAt) return failAt - 1;
    check(error);
  }
}

describe("writeFileAtomic", () => {
  it("writes and replaces a file, and leaves nothing else", () => {
    const path = join(folder, "f.json");
    writeFileAtomic(path, bytes("first"));
    writeFileAtomic(path, bytes("the second one"));
    expect(readFileSync(path, "utf8")).toBe("the second one");
    expect(readdirSync(folder)).toEqual(["f.json"]);
  });

  it("replaces a link, not the file that it names", () => {
    const path = join(folder, "link");
    writeFileSync(join(folder, "target"), "kept");
    symlinkSync("target", path);
    writeFileAtomic(path, bytes("new"));
    expect(readFileSync(join(folder, "target"), "utf8")).toBe("kept");
    expect(readFileSync(path, "utf8")).toBe("new");
  });

  it("keeps the old file whichever call fails, and says what is needed and free", () => {
    const path = join(folder, "f");
    writeFileSync(path, "old");
    const failures = failEach(
      () => writeFileAtomic(path, bytes("new, longer")),
      (error) => {
        expect(error).toMatchObject({ kind: "system", exitCode: 5 });
        expect((error as Error).message).toMatch(
          new RegExp(
            `^${path}: could not be written \\(ENOSPC: injected, write\\); 11 bytes needed, \\d+ free; ` +
              "free some space and run it again; continue a training with --resume$",
          ),
        );
        expect(readdirSync(folder)).toEqual(["f"]);
        // The last two calls come after the rename, which cannot be taken back
        expect(readFileSync(path, "utf8")).toMatch(disk.calls > 7 ? /^new, longer$/ : /^old$/);
      },
    );
    expect(failures).toBe(9); // open, 4 writes of 3 bytes, fsync, rename, open and fsync of the folder
  });

  it.each([
    ["EROFS", "give a writable folder"],
    ["EFBIG", "raise the limit on file sizes (ulimit -f) and run it again; continue a training with --resume"],
    ["EIO", "check the disk and the path"],
  ])("says what to do about %s", (code, next) => {
    Object.assign(disk, { calls: 0, failAt: 1, code });
    expect(() => writeFileAtomic(join(folder, "f"), bytes("x"))).toThrow(`free; ${next}`);
    disk.code = "ENOSPC";
  });
});

describe("writeFolderAtomic", () => {
  const files = new Map([
    ["a", bytes("aaaa")],
    ["b", bytes("bb")],
  ]);

  it("writes the files", () => {
    writeFolderAtomic(join(folder, "c"), files);
    expect(readdirSync(folder)).toEqual(["c"]);
    expect(readFileSync(join(folder, "c/a"), "utf8")).toBe("aaaa");
    expect(readFileSync(join(folder, "c/b"), "utf8")).toBe("bb");
  });

  it("leaves the whole folder or nothing, whichever call fails", () => {
    const failures = failEach(
      () => writeFolderAtomic(join(folder, "c"), files),
      (error) => {
        expect((error as Error).message).toContain(
          "/c: could not be written (ENOSPC: injected, write); 6 bytes needed, ",
        );
        const left = readdirSync(folder);
        if (left.length > 0) {
          expect(left).toEqual(["c"]);
          expect(readFileSync(join(folder, "c/a"), "utf8") + readFileSync(join(folder, "c/b"), "utf8")).toBe("aaaabb");
        }
        rmSync(join(folder, "c"), { recursive: true, force: true });
      },
    );
    expect(failures).toBe(13); // mkdir; open, 2 writes, fsync; open, 1 write, fsync; 2 of the folder; rename; 2 of its parent
  });
});

describe("linkAtomic", () => {
  it("makes a link and points it elsewhere", () => {
    linkAtomic(join(folder, "last"), "checkpoints/a");
    linkAtomic(join(folder, "last"), "checkpoints/b");
    expect(readlinkSync(join(folder, "last"))).toBe("checkpoints/b");
    expect(readdirSync(folder)).toEqual(["last"]);
  });

  it("keeps the old target when it fails", () => {
    linkAtomic(join(folder, "last"), "a");
    Object.assign(disk, { calls: 0, failAt: 2 }); // symlink, rename
    expect(() => linkAtomic(join(folder, "last"), "b")).toThrow(
      "/last: could not be written (ENOSPC: injected, write); ",
    );
    expect(readlinkSync(join(folder, "last"))).toBe("a");
    expect(readdirSync(folder)).toEqual(["last"]);
  });
});

describe("makeFolder", () => {
  it("makes what is missing, and leaves what is there", () => {
    makeFolder(join(folder, "a/b/c"));
    makeFolder(join(folder, "a/b/d"));
    makeFolder(join(folder, "a/b"));
    expect(readdirSync(join(folder, "a/b"))).toEqual(["c", "d"]);
  });

  it("ends where no folder can be made", () => {
    for (const place of ["/proc/none/below", "/dev/null/below"]) {
      expect(() => makeFolder(place)).toThrow(`${place}: could not be made (E`);
    }
  });

  it("refuses a file in its place", () => {
    writeFileSync(join(folder, "file"), "");
    expect(() => makeFolder(join(folder, "file"))).toThrow("/file: could not be made (EEXIST: ");
  });
});

it.runIf(existsSync("/proc/self"))("says of a file system without files that it is one", () => {
  expect(() => writeFolderAtomic("/proc/x", new Map())).toThrow(
    /^\/proc\/x: could not be written \(ENOENT: no such file or directory, mkdir\): it lies in a file system that holds no files; give a place on a disk$/,
  );
});

describe("removal", () => {
  it("takes a folder away, and says so when it cannot", () => {
    mkdirSync(join(folder, "c"));
    writeFileSync(join(folder, "c/a"), "");
    removeFolderAtomic(join(folder, "c"));
    expect(readdirSync(folder)).toEqual([]);
    expect(() => removeFolderAtomic(join(folder, "c"))).toThrow("/c: could not be removed (ENOENT: no such file");
  });

  it("finds what a crash left, and nothing else", () => {
    writeFileSync(join(folder, ".patchdrop-tmp-f-1"), "");
    mkdirSync(join(folder, ".patchdrop-tmp-c-2/deep"), { recursive: true });
    writeFileSync(join(folder, ".hidden"), "");
    removeTemporaries(folder);
    expect(readdirSync(folder)).toEqual([".hidden"]);
  });
});
