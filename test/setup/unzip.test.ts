import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { requireSpace } from "../../src/setup/space.ts";
import { type UnzipOptions, unzip } from "../../src/setup/unzip.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type ZipEntry, zip } from "./zip.ts";

let folder: string;
let target: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  target = path.join(folder, "target");
});

const text = (content: string) => Buffer.from(content);

async function unpack(archive: readonly ZipEntry[] | Buffer, options?: UnzipOptions): Promise<void> {
  const file = path.join(folder, "archive.zip");
  writeFileSync(file, Buffer.isBuffer(archive) ? archive : zip(archive));
  await unzip(file, target, options);
}

/** The folder beside the target: nothing but the archive and the target may appear there. */
const outside = () => readdirSync(folder).sort();

test("files, folders and a link to a neighbour", async () => {
  const progress: number[][] = [];
  await unpack(
    [
      { name: "a/", bytes: text(""), mode: 0o040755 },
      { name: "a/b/deep.txt", bytes: text("deep") },
      { name: "a/lib.so.1", bytes: text("library") },
      { name: "a/lib.so", bytes: text("lib.so.1"), mode: 0o120777 },
    ],
    { onProgress: (done, total) => progress.push([done, total]) },
  );
  expect(readFileSync(path.join(target, "a/b/deep.txt"), "utf8")).toBe("deep");
  expect(readlinkSync(path.join(target, "a/lib.so"))).toBe("lib.so.1");
  expect(readFileSync(path.join(target, "a/lib.so"), "utf8")).toBe("library");
  // 4 bytes and 7 bytes of files; the link's 8 bytes count in the total.
  expect(progress).toEqual([
    [4, 19],
    [11, 19],
  ]);
});

describe("refused as unsafe, with nothing written", () => {
  test.each([
    ["a path upwards", { name: "../evil", bytes: text("x") }],
    ["a path upwards in the middle", { name: "a/../../evil", bytes: text("x") }],
    ["an absolute path", { name: "/tmp/evil", bytes: text("x") }],
    ["a backslash", { name: "..\\evil", bytes: text("x") }],
    ["a NUL", { name: "a\0b", bytes: text("x") }],
    ["no name", { name: "", bytes: text("x") }],
  ])("%s", async (_, entry) => {
    const attempt = unpack([{ name: "good", bytes: text("x") }, entry]);
    await expect(attempt).rejects.toMatchObject({ kind: "unsafe", exitCode: 4 });
    expect(outside()).toEqual(["archive.zip"]);
  });

  test.each(["../archive.zip", "/etc/passwd", "a/b", "..", ".", "", "x".repeat(300)])("a link to %j", async (to) => {
    const attempt = unpack([{ name: "link", bytes: text(to), mode: 0o120777 }]);
    await expect(attempt).rejects.toMatchObject({ kind: "unsafe", message: expect.stringContaining("got link") });
    expect(readdirSync(target)).toEqual([]);
  });

  test("a device", async () => {
    const attempt = unpack([{ name: "null", bytes: text(""), mode: 0o020666 }]);
    await expect(attempt).rejects.toMatchObject({ kind: "unsafe" });
    expect(readdirSync(target)).toEqual([]);
  });
});

describe("refused as input", () => {
  test("a name that comes twice, so that a file is never written through a link", async () => {
    writeFileSync(path.join(folder, "victim"), "whole");
    mkdirSync(target);
    const attempt = unpack([
      { name: "x", bytes: text("y"), mode: 0o120777 },
      { name: "x", bytes: text("overwritten") },
    ]);
    await expect(attempt).rejects.toMatchObject({ kind: "input", message: expect.stringContaining("each file once") });
    expect(readdirSync(target)).toEqual(["x"]);
  });

  test("a wrong checksum", async () => {
    const attempt = unpack([{ name: "a", bytes: text("content"), crc: 1 }]);
    await expect(attempt).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("checksum, got a;"),
    });
  });

  test("more bytes than stated", async () => {
    const attempt = unpack([{ name: "a", bytes: Buffer.alloc(100_000), size: 10 }]);
    await expect(attempt).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("whole zip archive"),
    });
  });

  const whole = zip([{ name: "a", bytes: text("content") }]);
  test.each([
    ["empty", Buffer.alloc(0)],
    ["cut short by a byte", whole.subarray(0, -1)],
    ["cut in its middle", whole.subarray(0, whole.length >> 1)],
    ["no zip", text("<html>not found</html>")],
  ])("an archive that is %s", async (_, archive) => {
    await expect(unpack(archive)).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("must be a whole zip archive"),
    });
    expect(outside()).toEqual(["archive.zip"]);
  });
});

describe("limits hold before anything is written", () => {
  const three = ["a", "b", "c"].map((name) => ({ name, bytes: Buffer.alloc(1000) }));

  test("number of entries", async () => {
    const attempt = unpack(three, { maxEntries: 2 });
    await expect(attempt).rejects.toMatchObject({
      kind: "resource",
      message: expect.stringContaining("2 entries, got 3"),
    });
    expect(outside()).toEqual(["archive.zip"]);
  });

  test("unpacked size", async () => {
    await unpack(three, { maxBytes: 3000 });
    target = path.join(folder, "second");
    const attempt = unpack(three, { maxBytes: 2999 });
    await expect(attempt).rejects.toMatchObject({ kind: "resource", exitCode: 6 });
    expect(outside()).toEqual(["archive.zip", "target"]);
  });

  // Fifield's construction: many names for the same packed bytes.
  test("entries that share their bytes", async () => {
    const twice = ["a", "b"].map((name) => ({ name, bytes: text("content"), at: 0 }));
    await expect(unpack(twice)).rejects.toMatchObject({
      kind: "unsafe",
      message: `${path.join(folder, "archive.zip")}: entries must not share their bytes, got b`,
    });
    expect(outside()).toEqual(["archive.zip"]);
  });

  // Deflate's limit: 1032 bytes for one. Seven bytes are packed to nine, so at most 10 * 1032 are believed.
  test("a size that the packed bytes cannot hold", async () => {
    await expect(unpack([{ name: "a", bytes: text("content"), size: 10_321 }])).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("no entry may state more bytes than the archive can hold, got a: 10321 from 9"),
    });
    expect(outside()).toEqual(["archive.zip"]);
  });

  test("an entry that lies beyond the file", async () => {
    await expect(unpack([{ name: "a", bytes: text("content"), at: 1000 }])).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("than the archive can hold"),
    });
    expect(outside()).toEqual(["archive.zip"]);
  });

  test("an archive that unpacks to more than a hundred times its size, beyond a first megabyte", async () => {
    const zeros = zip([{ name: "a", bytes: Buffer.alloc(2_000_000) }]);
    const most = 100 * zeros.length + 2 ** 20;
    expect(most).toBeLessThan(2_000_000);
    await expect(unpack(zeros)).rejects.toMatchObject({
      kind: "resource",
      message: expect.stringContaining(`must have at most ${most} bytes when unpacked, got 2000000`),
    });
    expect(outside()).toEqual(["archive.zip"]);
  });

  test("free space", async () => {
    await requireSpace(folder, 1);
    await expect(requireSpace(folder, 1e18)).rejects.toMatchObject({
      kind: "system",
      exitCode: 5,
      message: expect.stringContaining("must have 1000000.0 TB free, got "),
    });
  });
});
