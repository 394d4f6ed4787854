/** Which files the arguments mean. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { Readable } from "node:stream";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findImages } from "../../src/predict/find-images.ts";

let folder: string;
const names = ["b.png", "a.JPG", "deep/er/c.tif", "deep/d.png", "deep/.e.png", ".git/f.png", "notes.txt", "a[1].png"];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-find-"));
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), "");
  }
  symlinkSync(folder, join(folder, "deep", "loop"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The found paths below the folder. */
async function found(args: readonly string[], list = ""): Promise<string[]> {
  const given = args.map((argument) => (argument === "-" ? argument : join(folder, argument)));
  return (await findImages(given, Readable.from([list]))).map((path) => relative(folder, path));
}

it.each<[string[], string[]]>([
  [["."], ["a.JPG", "a[1].png", "b.png", "deep/d.png", "deep/er/c.tif"]],
  [["deep"], ["deep/d.png", "deep/er/c.tif"]],
  [
    ["*.png", "deep/*"],
    ["a[1].png", "b.png", "deep/d.png"],
  ],
  [["**/?.png"], ["b.png", "deep/d.png"]],
  [["**"], ["a.JPG", "a[1].png", "b.png", "deep/d.png", "deep/er/c.tif"]],
  [["deep/**/*.tif"], ["deep/er/c.tif"]],
  [["*/.e.png"], ["deep/.e.png"]],
  // Named files are taken as they are, each once; whether they can be read shows later.
  [
    ["notes.txt", "b.png", "not-there.png", "b.png", "a[1].png"],
    ["notes.txt", "b.png", "not-there.png", "a[1].png"],
  ],
])("%j is %j", async (args, expected) => {
  expect(await found(args)).toEqual(expected);
});

it("says what a folder or a pattern has that is no image by its name, and nothing of what is hidden or named", async () => {
  const said: string[] = [];
  const at = (name: string) => join(folder, name);
  await findImages([at("deep/d.png"), at("notes.txt"), at("deep"), at("**/n*")], Readable.from([]), (text) =>
    said.push(text),
  ).catch(() => undefined);
  await findImages([at("*"), folder], Readable.from([]), (text) => said.push(text));
  const images = "images end in .jpg, .jpeg, .png, .webp, .tif, .tiff";
  // Of "deep", the link "loop": it leads to a folder, and is not followed.
  expect(said).toEqual([
    `${at("deep")}: passed over: 1 files or folders without an ending; ${images}`,
    `${at("**/n*")}: passed over: 1 .txt; ${images}`,
    `${at("*")}: passed over: 1 .txt; ${images}`,
    `${folder}: passed over: 1 files or folders without an ending, 1 .txt; ${images}`,
  ]);
});

it("a list may end its lines as it likes, and stands where it is named", async () => {
  const list = `${join(folder, "b.png")}\r\n\n${join(folder, "with space.png")}\n${join(folder, "deep/d.png")}`;
  expect(await found(["notes.txt", "-"], list)).toEqual(["notes.txt", "b.png", "with space.png", "deep/d.png"]);
});

it("a list may name what was named before it, and nothing else", async () => {
  expect(await found(["b.png", "-"], `${join(folder, "b.png")}\n`)).toEqual(["b.png"]);
});

it("a list of nothing is an error", async () => {
  const message = "-: must have the path of at least one image, one a line, got nothing";
  await expect(found(["-"], "\n\n")).rejects.toMatchObject({ kind: "input", message });
});

it("a folder or pattern without images is an error that says what counts", async () => {
  const next = "their names end in .jpg, .jpeg, .png, .webp, .tif, .tiff";
  for (const name of [".git/x*", "not-there/*.png"]) {
    const message = `${join(folder, name)}: must stand for at least one image; ${next}`;
    await expect(found([name])).rejects.toMatchObject({ kind: "input", message });
  }
});
