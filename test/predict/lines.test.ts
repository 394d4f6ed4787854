/** Lines as text and as a file to go on with, and the picture of a mask, against what a reader can work out. */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { PassThrough } from "node:stream";
import { parse } from "csv-parse/sync";
import sharp from "sharp";
import { describe, expect, it, onTestFinished } from "vitest";
import type { PatchDropError } from "../../src/errors.ts";
import { makeGrid } from "../../src/method/grid.ts";
import { csvLines, jsonLines, type LineFormat, type Prediction } from "../../src/predict/lines.ts";
import { checkPictures, overlay, writePicture } from "../../src/predict/pictures.ts";
import { openResults } from "../../src/predict/results.ts";
import { Stopped, silentReporter } from "../../src/utils/reporter.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const oddPath = 'a,b "c"\n.png';
const made = { checkpoint: "0123456789ab", settings: "--top 2 --scale 0,10000" };
const said: Prediction = {
  path: oddPath,
  class: "cat",
  top: [
    { class: "cat", probability: 0.75 },
    { class: "dog, small", probability: 0.25 },
  ],
  mask: "0110",
  patches: 2,
  patch_probabilities: [0.1, 0.9, 0.5, 0.2],
  pixels: 144,
  ms: 1.5,
  ...made,
};
const failed = { path: "x.png", error: "cut off, it seems", ...made };

it("CSV has a column a value, and quotes what has to be", () => {
  const { header, line, read } = csvLines(2);
  expect(header).toBe(
    "path,class,probability,class_2,probability_2,mask,patches,pixels,ms,checkpoint,settings,error\n",
  );
  expect(line(said)).toBe(
    '"a,b ""c""\n.png",cat,0.75,"dog, small",0.25,0110,2,144,1.5,0123456789ab,"--top 2 --scale 0,10000",\n',
  );
  expect(line(failed)).toBe('x.png,,,,,,,,,0123456789ab,"--top 2 --scale 0,10000","cut off, it seems"\n');
  expect(parse(header + line(said) + line(failed), { columns: true })).toMatchObject([
    { path: oddPath, class: "cat", class_2: "dog, small", mask: "0110", error: "" },
    failed,
  ]);
  expect(read(line(said))).toEqual({ path: oddPath, ...made });
  expect(read(line(failed))).toEqual(failed);
  expect(read("x.png,cat\n")).toBeUndefined();
  expect(read('"x\n')).toBeUndefined();
});

it("JSON Lines are one object a line", () => {
  const text = jsonLines.line(said);
  expect(text.indexOf("\n")).toBe(text.length - 1);
  expect(JSON.parse(text)).toEqual(said);
  expect(jsonLines.read(text)).toEqual({ path: oddPath, ...made });
  expect(jsonLines.read(jsonLines.line(failed))).toEqual(failed);
  expect(jsonLines.read("[1]\n")).toBeUndefined();
});

it("an overlay darkens dropped patches and draws lines between patches only", () => {
  const image = new Uint8Array(128 * 128 * 3).fill(100);
  const { size, pixels } = overlay(image, Uint8Array.of(1, 0, 0, 1), makeGrid(128, 64));
  expect(size).toBe(256); // enlarged twice
  const red = (y: number, x: number) => pixels[3 * (y * 256 + x)];
  expect([red(0, 0), red(126, 126), red(0, 255), red(255, 0), red(255, 255)]).toEqual([100, 100, 30, 30, 100]);
  // Dark on the last pixel of a patch, light on the first of the next.
  expect([red(5, 127), red(5, 128), red(127, 5), red(128, 5)]).toEqual([0, 255, 0, 255]);
});

it("a picture never replaces another one, nor an image, nor the lines", async () => {
  const folder = temporaryFolder(onTestFinished);
  symlinkSync(folder, join(folder, "link"));
  const refusal = (paths: string[], given: { overlay?: string; masked?: string; out?: string }) =>
    checkPictures(paths, given, silentReporter).then(
      () => undefined,
      ({ message }: PatchDropError) => message,
    );
  const two = { overlay: "o", masked: "m" };
  expect(await refusal(["x.png", "x.jpg", "a/x.png", "./x.png"], two)).toBeUndefined();
  expect(await refusal(["../x.png", "/x.png"], {})).toBeUndefined();
  const next = "give other folders, or these images to two commands";
  const shared = (file: string, some: string, other: string) =>
    `${file}: must be one picture alone, got ${some} and ${other}; ${next}`;
  const [here, above] = [resolve("x.png"), resolve("../x.png")];
  expect(await refusal(["x.png", "../x.png"], two)).toBe(
    shared("o/x.png.png", `--overlay of ${here}`, `--overlay of ${above}`),
  );
  expect(await refusal(["x.png", "/x.png"], { masked: "m" })).toBe(
    shared("m/x.png.png", `--masked of ${here}`, "--masked of /x.png"),
  );
  expect(await refusal(["x.png"], { overlay: "o", masked: "./o/" })).toBe(
    shared("o/x.png.png", `--overlay of ${here}`, `--masked of ${here}`),
  );
  expect(await refusal(["x", "x.png"], { masked: "." })).toBe(
    shared("x.png", "the image x.png", `--masked of ${resolve("x")}`),
  );
  const long = join("m", "none", `${"x".repeat(252)}.png`);
  expect(await refusal([`none/${"x".repeat(252)}`], { masked: "m" })).toBe(
    `${long}: is a longer name than the file system takes; give its image a shorter name`,
  );
  expect(await refusal(["x"], { masked: "m", out: "m/x.png" })).toBe(
    shared("m/x.png", "the lines of --out m/x.png", `--masked of ${resolve("x")}`),
  );
  expect(await refusal(["a.jpg", "a.jpg.png/b/x.jpg"], { overlay: "o" })).toBe(
    `${resolve("o/a.jpg.png")}: would have to be a file and a folder at once, got --overlay of ${resolve("a.jpg")} and --overlay of ${resolve("a.jpg.png/b/x.jpg")}; ${next}`,
  );
  expect(await refusal(["x"], { overlay: join(folder, "o"), masked: join(folder, "link", "o") })).toBe(
    shared(join(folder, "link", "o", "x.png"), `--overlay of ${resolve("x")}`, `--masked of ${resolve("x")}`),
  );
});

it("a picture replaces that of an earlier command, and no other file", async () => {
  const folder = temporaryFolder(onTestFinished);
  const check = () => checkPictures(["a/x.png"], { overlay: folder }, silentReporter);
  const place = join(folder, "a", "x.png.png");
  const pixels = Uint8Array.from({ length: 12 }, (_, i) => i);
  await check();
  await writePicture(folder, "a/x.png", { size: 2, pixels });
  const own = readFileSync(place);
  const { data, info } = await sharp(own, { failOn: "warning" }).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, new Uint8Array(data)]).toEqual([2, 2, pixels]);
  expect((await sharp(own).metadata()).comments).toEqual([{ keyword: "Software", text: "patchdrop" }]);
  await check();
  const raw = { width: 2, height: 2, channels: 3 } as const;
  const picture = await sharp(pixels, { raw }).png().toBuffer();
  const foreign = [() => writeFileSync(place, picture), () => writeFileSync(place, ""), () => mkdirSync(place)];
  for (const put of foreign) {
    rmSync(place);
    put();
    await expect(check()).rejects.toMatchObject({
      kind: "usage",
      message: `${place}: must not be there, or be a picture that predict wrote; move it away, or give another --overlay`,
    });
  }
});

describe("a file to go on with", () => {
  const csv = csvLines(2);
  /** What `text` is refused with, or what is left of it. */
  async function recovered(text: string, format: LineFormat): Promise<string> {
    const out = join(temporaryFolder(onTestFinished), "lines");
    writeFileSync(out, text);
    const opening = { format, made, stream: new PassThrough(), reporter: silentReporter };
    try {
      const { results } = await openResults({ out, resume: true }, opening);
      results.close();
    } catch (error) {
      expect(readFileSync(out, "utf8")).toBe(text);
      const [said] = (error as PatchDropError).message.replace(`${out}: `, "").split("; use the --format ");
      return said.replaceAll("\\", "");
    }
    return readFileSync(out, "utf8");
  }
  const refused = (got: string) => `must hold lines as this run writes them, got ${got}`;
  const lines = (...paths: string[]) => paths.map((path) => csv.line({ ...said, path })).join("");

  it("loses a last line that was cut off, and nothing else", async () => {
    const two = jsonLines.line(said) + jsonLines.line(failed);
    for (let cut = 0; cut < jsonLines.line(failed).length; cut++) {
      expect(await recovered(two.slice(0, two.length - cut - 1), jsonLines)).toBe(jsonLines.line(said));
    }
    const inCsv = csv.header + lines("a\nb.jpg", 'c"\n\n.jpg');
    for (let cut = 1; cut <= lines('c"\n\n.jpg').length; cut++) {
      expect(await recovered(inCsv.slice(0, -cut), csv)).toBe(csv.header + lines("a\nb.jpg"));
    }
    expect(await recovered(csv.header.slice(0, 9), csv)).toBe(csv.header);
  });

  it("is not emptied where it is something else", async () => {
    expect(await recovered('{"my":"results"}', jsonLines)).toBe(refused('{"my":"results"}'));
    expect(await recovered('{"my":"results"}', csv)).toBe(refused('{"my":"results"}'));
    expect(await recovered('{"path":"b\\"c.jpg"}\n', csv)).toBe(refused('{"path":"b"c.jpg"}'));
    const long = `{"path":"${"x".repeat(2 ** 23 + 2 ** 17)}`;
    expect(await recovered(long, jsonLines)).toBe(refused(`{"path":"${"x".repeat(51)}`));
  });

  it("keeps the lines behind a quote that is one too many", async () => {
    const spoiled = csv.header + lines("a.jpg") + lines("b.jpg").replace("b", 'b"') + lines("c.jpg", "d.jpg");
    expect(await recovered(spoiled, csv)).toMatch(/^must hold lines as this run writes them, got b"\.jpg,cat,/);
  });

  it("is read no further at a signal", async () => {
    const out = join(temporaryFolder(onTestFinished), "lines");
    writeFileSync(out, jsonLines.line(said));
    const reporter = { ...silentReporter, stopping: () => "SIGTERM" as const };
    const opened = openResults({ out, resume: true }, { format: jsonLines, made, stream: new PassThrough(), reporter });
    await expect(opened).rejects.toEqual(new Stopped("SIGTERM"));
    expect(existsSync(`${out}.lock`)).toBe(false);
  });

  it("has one lock, by whatever name", async () => {
    const folder = temporaryFolder(onTestFinished);
    const [out, link] = [join(folder, "lines"), join(folder, "link")];
    writeFileSync(out, "");
    symlinkSync(out, link);
    const opening = { format: jsonLines, made, stream: new PassThrough(), reporter: silentReporter };
    const { results } = await openResults({ out, resume: true }, opening);
    await expect(openResults({ out: link, resume: true }, opening)).rejects.toMatchObject({ kind: "locked" });
    results.close();
  });
});
