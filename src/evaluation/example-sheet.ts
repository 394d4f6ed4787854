/** A few images of a split as one small picture: whole above, and below what the classifier sees of them. */
import { type Showing, shownBy } from "./show-images.ts";

/** Evenly spread over the split, so that they are the same in each test and of several classes. */
const images = 4;
/** Larger images are shown as large as this, in pixels: a sheet is logged after each test. */
const largestSide = 96;
const gap = 2;

export interface Sheet {
  /** In pixels. */
  readonly width: number;
  readonly height: number;
  readonly png: Uint8Array;
}

/** The sheet of what a run with a policy takes. */
export async function exampleSheet(showing: Showing): Promise<Sheet> {
  const { length } = showing.split;
  const count = Math.min(images, length);
  const shown = await shownBy(
    showing,
    Uint32Array.from({ length: count }, (_, i) => Math.floor((i * length) / count)),
  );
  const rows = [shown.map(({ image }) => image), shown.map(({ masked }) => masked)];
  return sheetOf(rows, showing.run.model.imageSize);
}

/** Rows of square RGB images of `size` pixels, with gaps between them. */
export async function sheetOf(rows: readonly (readonly Uint8Array[])[], size: number): Promise<Sheet> {
  const { default: sharp } = await import("sharp");
  const side = Math.min(size, largestSide);
  const [width, height] = [rows[0].length, rows.length].map((tiles) => tiles * (side + gap) - gap);
  const tiles = rows.flatMap((row, r) =>
    row.map(async (pixels, c) => ({
      input: await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
        .resize(side)
        .png()
        .toBuffer(),
      left: c * (side + gap),
      top: r * (side + gap),
    })),
  );
  const sheet = sharp({ create: { width, height, channels: 3, background: "white" } });
  const png = await sheet
    .composite(await Promise.all(tiles))
    .removeAlpha()
    .png()
    .toBuffer();
  return { width, height, png };
}
