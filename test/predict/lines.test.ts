/** Lines as text, and the picture of a mask, against what a reader can work out. */
import { resolve } from "node:path";
import { parse } from "csv-parse/sync";
import { expect, it } from "vitest";
import type { PatchDropError } from "../../src/errors.ts";
import { makeGrid } from "../../src/method/grid.ts";
import { csvLines, jsonLines, type Prediction } from "../../src/predict/lines.ts";
import { overlay, refuseSharedNames } from "../../src/predict/pictures.ts";

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

it("a picture never replaces another one, nor an image", () => {
  const refusal = (paths: string[], folders: { overlay?: string; masked?: string }) => {
    try {
      refuseSharedNames(paths, folders);
      return undefined;
    } catch (error) {
      return (error as PatchDropError).message;
    }
  };
  const two = { overlay: "o", masked: "m" };
  expect(refusal(["x.png", "x.jpg", "a/x.png", "./x.png"], two)).toBeUndefined();
  expect(refusal(["../x.png", "/x.png"], {})).toBeUndefined();
  const next = "give other folders, or these images to two commands";
  const shared = (file: string, some: string, other: string) =>
    `${file}: must be one picture alone, got ${some} and ${other}; ${next}`;
  const [here, above] = [resolve("x.png"), resolve("../x.png")];
  expect(refusal(["x.png", "../x.png"], two)).toBe(
    shared("o/x.png.png", `--overlay of ${here}`, `--overlay of ${above}`),
  );
  expect(refusal(["x.png", "/x.png"], { masked: "m" })).toBe(
    shared("m/x.png.png", `--masked of ${here}`, "--masked of /x.png"),
  );
  expect(refusal(["x.png"], { overlay: "o", masked: "./o/" })).toBe(
    shared("o/x.png.png", `--overlay of ${here}`, `--masked of ${here}`),
  );
  expect(refusal(["x", "x.png"], { masked: "." })).toBe(
    shared("x.png", "the image x.png", `--masked of ${resolve("x")}`),
  );
});
