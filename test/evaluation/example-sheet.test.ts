/** The picture of a few images, above and below. */
import sharp from "sharp";
import { expect, it } from "vitest";
import { sheetOf } from "../../src/evaluation/example-sheet.ts";

const filled = (size: number, value: number) => new Uint8Array(size * size * 3).fill(value);

/** Rows of the first channel. */
async function channel(png: Uint8Array, width: number): Promise<number[][]> {
  const bytes = await sharp(png).raw().toBuffer();
  const values = Array.from(bytes).filter((_, i) => i % 3 === 0);
  return Array.from({ length: values.length / width }, (_, y) => values.slice(y * width, (y + 1) * width));
}

it("has its images pixel by pixel, two white pixels apart", async () => {
  const corner = Uint8Array.of(9, 0, 0, 8, 0, 0, 7, 0, 0, 6, 0, 0); // 2 × 2, red 9 8 / 7 6
  const { width, height, png } = await sheetOf(
    [
      [corner, filled(2, 1)],
      [filled(2, 2), filled(2, 3)],
    ],
    2,
  );
  expect([width, height]).toEqual([6, 6]);
  expect(await channel(png, width)).toEqual([
    [9, 8, 255, 255, 1, 1],
    [7, 6, 255, 255, 1, 1],
    ...Array(2).fill(Array(6).fill(255)),
    ...Array(2).fill([2, 2, 255, 255, 3, 3]),
  ]);
});

it("is small: a large image has 96 pixels", async () => {
  const { width, height, png } = await sheetOf([[filled(224, 100)], [filled(224, 50)]], 224);
  expect([width, height]).toEqual([96, 194]);
  expect(await sharp(png).metadata()).toMatchObject({ width: 96, height: 194, channels: 3 });
  const rows = await channel(png, width);
  expect([rows[0][0], rows[193][95]]).toEqual([100, 50]);
});
