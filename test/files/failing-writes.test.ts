/** A folder whose files take their time, and what is said about a disk that takes no more. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { assertWritable, makeFolderAtomic, systemFault, writeFileAtomic } from "../../src/files/atomic.ts";
import { takeLock } from "../../src/files/lock.ts";
import { cutFile, LogFile } from "../../src/files/log-file.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const disk = vi.hoisted(() => ({ calls: 0, failAt: 0, code: "ENOSPC", failRemovals: false }));
vi.mock(import("node:fs"), async (original) => {
  const { failingFs } = await import("./failing-disk.ts");
  return failingFs(await original(), disk, 3) as typeof import("node:fs");
});

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});
afterEach(() => {
  disk.failAt = 0;
  disk.failRemovals = false;
});

const at = (...names: string[]) => join(folder, ...names);
const bytes = (text: string) => new TextEncoder().encode(text);
const failNext = (call: number, code = "ENOSPC") => Object.assign(disk, { calls: 0, failAt: call, code });

describe("makeFolderAtomic", () => {
  /** Writes two files, with a pause in which the folder must not be there yet. */
  const make = async (temporary: string) => {
    writeFileSync(join(temporary, "a"), "aa");
    await new Promise(setImmediate);
    expect(existsSync(at("deep", "c"))).toBe(false);
    expect(temporary.startsWith(at("deep", ".patchdrop-tmp-c-"))).toBe(true);
    writeFileSync(join(temporary, "b"), "b");
  };

  it("makes the folder when all is there, and the folders above it", async () => {
    await makeFolderAtomic(at("deep", "c"), make);
    expect(readdirSync(at("deep"))).toEqual(["c"]);
    expect(readdirSync(at("deep", "c")).sort()).toEqual(["a", "b"]);
  });

  it("throws what the maker throws, and leaves nothing", async () => {
    const own = new Error("on purpose");
    const fail = async (temporary: string) => {
      await make(temporary);
      throw own;
    };
    await expect(makeFolderAtomic(at("deep", "c"), fail)).rejects.toBe(own);
    expect(readdirSync(at("deep"))).toEqual([]);
  });

  it("leaves the whole folder or nothing, whichever call fails", async () => {
    // mkdir of the parent, open and fsync of the folder above it; mkdir, open and fsync of the folder, rename, open and
    // fsync of the parent
    for (let call = 1; call <= 9; call++) {
      failNext(call);
      await expect(makeFolderAtomic(at("deep", "c"), make)).rejects.toThrow(
        "/deep/c: could not be written (ENOSPC: injected, write); free some space and run it again; ",
      );
      disk.failAt = 0;
      const left = existsSync(at("deep")) ? readdirSync(at("deep")) : [];
      expect(left, `call ${call}`).toEqual(call > 7 ? ["c"] : []);
      rmSync(at("deep"), { recursive: true, force: true });
    }
    failNext(10);
    await makeFolderAtomic(at("deep", "c"), make);
  });
});

describe("assertWritable", () => {
  it("asks for the folder of a file, and makes nothing", () => {
    assertWritable(at("f"));
    expect(readdirSync(folder)).toEqual([]);
    expect(() => assertWritable(at("none", "f"))).toThrow(
      expect.objectContaining({
        kind: "system",
        message: expect.stringMatching(/\/none\/f: could not be written \(ENOENT: .*\); check the disk and the path$/),
      }),
    );
  });
});

describe("systemFault", () => {
  const coded = (code: string) => Object.assign(new Error("reason"), { code });

  it.each([
    ["ENOSPC", "free some space and run it again; continue a training with --resume"],
    ["EDQUOT", "free some space and run it again; continue a training with --resume"],
    ["EFBIG", "raise the limit on file sizes (ulimit -f) and run it again; continue a training with --resume"],
    ["EACCES", "give a writable folder"],
    ["EPERM", "give a writable folder"],
    ["EROFS", "give a writable folder"],
    ["EIO", "check the disk and the path"],
  ])("says what to do about %s", (code, next) => {
    const error = coded(code);
    const { kind, message, cause } = systemFault("could not be used", "path", 0, error);
    expect([kind, message, cause]).toEqual(["system", `path: could not be used (reason); ${next}`, error]);
  });

  it("says the bytes that are needed, and those that are free where it can", () => {
    expect(systemFault("failed", at("f"), 5, coded("ENOSPC")).message).toMatch(
      /: failed \(reason\); 5 bytes needed, \d+ free; /,
    );
    expect(systemFault("failed", at("none", "f"), 5, coded("ENOSPC")).message).toContain(
      ": failed (reason); 5 bytes needed, an unknown number free; ",
    );
  });

  it("takes whatever was thrown", () => {
    for (const thrown of ["text", null, undefined]) {
      expect(systemFault("failed", "path", 0, thrown).message).toBe(
        `path: failed (${thrown}); check the disk and the path`,
      );
    }
  });
});

describe("a file that cannot be replaced", () => {
  it("says so, and leaves no temporary file", () => {
    mkdirSync(at("f", "deep"), { recursive: true });
    expect(() => writeFileAtomic(at("f"), bytes("x"))).toThrow(/\/f: could not be written \(.*; 1 bytes needed, /);
    expect(readdirSync(folder)).toEqual(["f"]);
  });
});

describe("a lock that cannot be written", () => {
  it.each([
    [1, "EACCES", "give a writable folder"], // the file is not made
    [2, "ENOSPC", "free some space and run it again; continue a training with --resume"], // its first bytes
    [3, "EIO", "check the disk and the path"],
  ])("at call %d by %s is not held", (call, code, next) => {
    failNext(call, code);
    expect(() => takeLock(at("run.lock"))).toThrow(
      expect.objectContaining({
        kind: "system",
        message: expect.stringMatching(
          new RegExp(
            `/run\\.lock: could not be written \\(${code}: injected, write\\); \\d+ bytes needed, \\d+ free; ${next}$`,
          ),
        ),
      }),
    );
    disk.failAt = 0;
    expect(readdirSync(folder)).toEqual([]);
    takeLock(at("run.lock"))();
  });
});

describe("a lock that cannot be removed", () => {
  it("is said to stay, in one line", () => {
    const release = takeLock(at("run.lock"));
    Object.assign(disk, { failRemovals: true, code: "EIO" });
    expect(release).toThrow(
      expect.objectContaining({
        kind: "system",
        message: `${at("run.lock")}: could not be removed (EIO: injected, rm); check the disk and the path`,
      }),
    );
  });
});

describe("LogFile on a disk that fails", () => {
  it("is as it was before the append that failed half-way, and goes on from there", () => {
    const log = new LogFile(at("log"));
    log.append(bytes("one\n"));
    failNext(2); // after three bytes of the line
    expect(() => log.append(bytes("second\n"))).toThrow(
      /\/log: could not be written \(ENOSPC: injected, write\); 7 bytes needed, \d+ free; /,
    );
    disk.failAt = 0;
    expect(readFileSync(at("log"), "utf8")).toBe("one\n");
    expect(log.length).toBe(4);
    log.append(bytes("three\n"));
    log.close();
    expect(readFileSync(at("log"), "utf8")).toBe("one\nthree\n");
  });

  it("says so where it cannot be forced to the disk", () => {
    const log = new LogFile(at("log"));
    failNext(1, "EIO");
    expect(() => log.sync()).toThrow(`${at("log")}: could not be written (EIO: injected, write); check the disk`);
    disk.failAt = 0;
    log.close();
  });

  it("is cut to a length that it has, not to one that it has not", () => {
    writeFileSync(at("log"), "one\ntwo\n");
    expect(cutFile(at("log"), 8)).toBe(true);
    expect(cutFile(at("log"), 9)).toBe(false);
    expect(cutFile(at("log"), 0)).toBe(true);
    expect(readFileSync(at("log"), "utf8")).toBe("");
    failNext(2, "EIO");
    expect(() => cutFile(at("log"), 0)).toThrow(
      expect.objectContaining({
        kind: "system",
        message: `${at("log")}: could not be cut (EIO: injected, write); check the disk and the path`,
      }),
    );
  });
});
