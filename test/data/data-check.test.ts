import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { dataCommand } from "../../src/cli/data-command.ts";
import { commandFlags } from "../../src/cli/flags.ts";
import { checkData } from "../../src/data/check.ts";

let folder = "";
let image = Buffer.alloc(0);
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-check-"));
  const noise = { type: "gaussian", mean: 128, sigma: 30 } as const;
  image = await sharp({ create: { width: 64, height: 64, channels: 3, background: "black", noise } })
    .jpeg()
    .toBuffer();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function make(files: Record<string, string | Buffer>): Promise<string> {
  const dataDir = join(folder, `case-${serial++}`);
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(dataDir, name)), { recursive: true });
    await writeFile(join(dataDir, name), content);
  }
  return dataDir;
}

const classFolders = () => ({
  "train/cat/1.jpg": image,
  "train/cat/2.jpg": image.subarray(0, 900),
  "train/dog/1.jpg": Buffer.alloc(0),
  "train/dog/2.jpg": image,
  "test/cat/1.jpg": image,
  "test/dog/1.jpg": "this is text",
});

describe("checkData", () => {
  it("finds every unreadable image of class folders, in their order", async () => {
    const dataDir = await make(classFolders());
    for (const parallel of [1, 8]) {
      let told = 0;
      const { images, unreadable } = await checkData({ dataDir, parallel, onProgress: (done) => (told = done) });
      expect([images, told]).toEqual([6, 6]);
      expect(unreadable).toEqual([
        { path: join(dataDir, "train/cat/2.jpg"), reason: expect.stringContaining("premature end") },
        { path: join(dataDir, "train/dog/1.jpg"), reason: "an empty file" },
        { path: join(dataDir, "test/dog/1.jpg"), reason: expect.stringContaining("not JPEG, PNG, WebP or TIFF") },
      ]);
    }
  });

  it("finds those of a validation split, behind the others", async () => {
    const dataDir = await make({ ...classFolders(), "val/cat/1.jpg": "this is text", "val/dog/1.jpg": image });
    const { images, unreadable } = await checkData({ dataDir });
    expect(images).toBe(8);
    expect(unreadable.slice(2).map(({ path }) => path)).toEqual([
      join(dataDir, "test/dog/1.jpg"),
      join(dataDir, "val/cat/1.jpg"),
    ]);
  });

  it("does not take a pipe for an empty file", async () => {
    const dataDir = await make({ "train/cat/1.jpg": image, "test/cat/1.jpg": image });
    const pipe = join(dataDir, "test/cat/2.jpg");
    execFileSync("mkfifo", [pipe]);
    const { unreadable } = await checkData({ dataDir });
    expect(unreadable).toEqual([{ path: pipe, reason: "not a file, but a folder, a pipe or a device" }]);
  });

  it("finds those of csv lists", async () => {
    const dataDir = await make({
      "train.csv": "0,a.jpg\n1,no.jpg\n",
      "test.csv": "1,b.jpg\n",
      "a.jpg": image,
      "b.jpg": image,
    });
    expect(await checkData({ dataDir })).toEqual({
      images: 3,
      unreadable: [{ path: join(dataDir, "no.jpg"), reason: "there is no such file" }],
    });
  });
});

it("names a folder that is not there", async () => {
  const dataDir = join(folder, "nowhere");
  await expect(checkData({ dataDir })).rejects.toThrow(
    `${dataDir}: must be a folder that can be read, got no such folder; check --data_dir`,
  );
});

describe("patchdrop data check", () => {
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });

  async function run(...args: string[]): Promise<[output: string, exitCode: typeof process.exitCode]> {
    const write = vi.spyOn(process.stdout, "write").mockReturnValue(true);
    await dataCommand(await commandFlags()).parseAsync(["check", ...args], { from: "user" });
    const exitCode = process.exitCode;
    return [write.mock.calls.map(([text]) => text).join(""), exitCode];
  }

  it("prints path and reason, and ends with 3", async () => {
    const dataDir = await make(classFolders());
    const [output, exitCode] = await run("--data_dir", dataDir);
    const lines = output.trimEnd().split("\n");
    expect(lines[1]).toBe(`${join(dataDir, "train/dog/1.jpg")}: an empty file`);
    expect(lines[3]).toBe("3 of 6 images can be read");
    expect(exitCode).toBe(3);
  });

  it("counts what is no image by its name", async () => {
    const dataDir = await make({
      "train/cat/1.jpg": image,
      "train/cat/2.bmp": "",
      "train/cat/3.BMP": "",
      "train/cat/.hidden": "",
      "train/cat/more/4.jpg": image,
      "train/5.jpg": image,
      "test/cat/1.jpg": image,
      "test/cat/README": "",
      "validation/cat/1.jpg": image,
    });
    const [output] = await run("--data_dir", dataDir);
    expect(output).toBe(
      [
        "passed over: 2 .bmp, 2 files or folders without an ending, 1 .jpg beside the class folders; images lie in class folders and end in .jpg, .jpeg, .png, .webp, .tif, .tiff",
        "passed over beside train/: validation/; images lie in train/, test/ and val/; to choose by the images in validation/, call it val/",
        "2 of 2 images can be read",
        "",
      ].join("\n"),
    );
  });

  it("prints a line each, whatever a file's name holds", async () => {
    const name = "x\u202egpj.\u001b[31mexe\nerror: all fine.jpg";
    const dataDir = await make({ "train/cat/1.jpg": image, "test/cat/1.jpg": image, [`test/cat/${name}`]: "" });
    const [output] = await run("--data_dir", dataDir);
    const shown = "x\\u202egpj.\\u001b[31mexe\\nerror: all fine.jpg";
    expect(output).toBe(`${join(dataDir, "test/cat", shown)}: an empty file\n2 of 3 images can be read\n`);
  });

  it("prints JSON, and ends with 0 where all is well", async () => {
    const dataDir = await make({ "train/cat/1.jpg": image, "test/cat/1.jpg": image });
    const [output, exitCode] = await run("--data_dir", dataDir, "--json");
    expect(JSON.parse(output)).toEqual({ images: 2, unreadable: [] });
    expect(exitCode).toBeUndefined();
  });
});
