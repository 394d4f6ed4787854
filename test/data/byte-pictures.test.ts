/** Pictures whose values are colours are read as they are; of all others a line says what they are and how to convert them. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { describe, expect, it, onTestFinished } from "vitest";
import { checkData } from "../../src/data/check.ts";
import { decodePixels } from "../../src/data/decode.ts";
import { DecodeMemory } from "../../src/data/decode-memory.ts";
import { cropFmow } from "../../src/data/fmow/crop.ts";
import { openImageFolder } from "../../src/data/image-folder.ts";
import { checkSchema } from "../../src/options/data-options.ts";
import { parseWith } from "../../src/options/parse.ts";
import { defined } from "../../src/utils/defined.ts";
import { type PlainField, type PlainLevel, plainTiff } from "../formats/plain-tiff.ts";
import { makeFolders } from "../make-folders.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const [blackIsZero, rgb, palette] = [1, 2, 3];
const whiteIsZero = 0;
/** ExtraSamples: what the bands behind the first are. */
const extra = (...kinds: number[]): PlainField => [338, "short", kinds];

/** A picture of 2 × 2 pixels whose band b is `first` + 20 b everywhere. */
function picture(bands: number, photometric: number, more: Partial<PlainLevel> & { first?: number } = {}): Buffer {
  const { first = 100, ...level } = more;
  const pixel = () => Array.from({ length: bands }, (_, band) => first + 20 * band);
  return plainTiff([{ width: 2, height: 2, bands, photometric, pixel, ...level }]);
}

/** Its pixels, or why it is refused. */
async function read(bytes: Buffer): Promise<number[] | string> {
  const path = join(temporaryFolder(onTestFinished), "x.tif");
  writeFileSync(path, bytes);
  return decodePixels(path).then(
    ({ pixels }) => [...pixels],
    ({ message }: Error) => message,
  );
}

/** Of four pixels alike. */
const four = (...pixel: number[]) => [pixel, pixel, pixel, pixel].flat();

/** Entry i is red 2 i, green 255 − i, blue 0, in 16 bits. */
const table: PlainField = [
  320,
  "short",
  [(i: number) => 2 * i, (i: number) => 255 - i, () => 0].flatMap((of) =>
    Array.from({ length: 256 }, (_, i) => 257 * (of(i) % 256)),
  ),
];

it.each([
  ["RGB", picture(3, rgb), four(100, 120, 140)],
  ["RGB with transparency", picture(4, rgb, { fields: [extra(2)] }), four(100, 120, 140)],
  ["RGB with near infrared", picture(4, rgb, { fields: [extra(0)] }), four(100, 120, 140)],
  ["grey", picture(1, blackIsZero), four(100, 100, 100)],
  ["grey whose zero is white", picture(1, whiteIsZero), four(155, 155, 155)],
  ["a colour table", picture(1, palette, { first: 7, fields: [table] }), four(14, 248, 0)],
])("reads a TIFF of %s", async (_, bytes, pixels) => {
  expect(await read(bytes)).toEqual(pixels);
});

it.each(["grey", "RGB"])("of a PNG of 16 bits drops the low byte: %s", async (kind) => {
  const channels = kind === "grey" ? 1 : 3;
  const values = [0x0000, 0x00ff, 0x12ff, 0x1300, 0x80ff, 0xff00, 0xffff, 0x7f80, 0x0100, 0xabcd, 0xfeff, 0x0180];
  const raw = { width: values.length / channels, height: 1, channels } as const;
  const png = await sharp(Uint16Array.from(values), { raw })
    .toColourspace(kind === "grey" ? "grey16" : "rgb16")
    .png()
    .toBuffer();
  expect((await sharp(png).metadata()).depth).toBe("ushort");
  expect(await read(png)).toEqual(values.flatMap((value) => Array(3 / channels).fill(value >> 8)));
});

it.each([false, true])(
  "of a PNG of 16 bits refuses a sensor's values, which would be nearly black; alpha: %s",
  async (hasAlpha) => {
    const ofLargest = async (largest: number) => {
      const values = hasAlpha ? [0, 7, largest, 0xffff] : [0, 7, largest];
      const raw = { width: 1, height: 1, channels: hasAlpha ? 4 : 3 } as const;
      return read(await sharp(Uint16Array.from(values), { raw }).toColourspace("rgb16").png().toBuffer());
    };
    expect(await ofLargest(2999)).toBe(
      "16 bits of which the largest value is 2999, nearly black as colours; store the measured values as TIFF, and give for example --scale 0,2999",
    );
    expect(await ofLargest(4096)).toEqual([0, 0, 16]);
  },
);

const toBytes = "-ot Byte -scale BLACK WHITE 0 255";
const toRgb = "-b RED -b GREEN -b BLUE -co PHOTOMETRIC=RGB";
const notANumber = Number.NaN;
const [which, grey, values] = ["--bands 3,2,1", "--bands 1,1,1", "--scale 0,3000"];
const three = "--bands 1,2,3";
const [wide, shares] = [`${values} (0,65535 for the whole range)`, "--scale 0,1"];

it.each([
  ["3 RGB bands of 16 bits with a sign", picture(3, rgb, signed(3)), values],
  ["3 RGB bands of 16 bits", picture(3, rgb, { samples: "1/16" }), wide],
  ["1 grey band of 16 bits", picture(1, blackIsZero, { samples: "1/16" }), `${grey} ${wide}`],
  ["3 grey bands of 16 bits", picture(3, blackIsZero, { samples: "1/16", fields: [extra(0, 0)] }), `${three} ${wide}`],
  ["3 RGB bands of floating point", picture(3, rgb, { samples: "3/32", first: notANumber }), shares],
  ["1 grey band of floating point", picture(1, blackIsZero, { samples: "3/32", first: 0.5 }), `${grey} ${shares}`],
  ["2 grey bands of 8 bits", picture(2, blackIsZero, { fields: [extra(0)] }), grey],
  ["3 grey bands of 8 bits", picture(3, blackIsZero, { fields: [extra(0, 0)] }), three],
  ["4 grey bands of 8 bits", picture(4, blackIsZero, { fields: [extra(0, 0, 0)] }), which],
  ["5 grey bands of 8 bits", picture(5, blackIsZero, { fields: [extra(0, 0, 0, 0)] }), which],
  ["5 RGB bands of 8 bits", picture(5, rgb, { fields: [extra(0, 0)] }), which],
])("refuses a TIFF of %s, and takes it with what it says to give", async (found, bytes, flags) => {
  const reason = `${found} where 8-bit RGB or grey is read; give for example ${flags}`;
  expect(await read(bytes)).toBe(reason);
  const [bands, scale] = ["--bands", "--scale"].map((flag) => flags.split(`${flag} `)[1]?.split(" ")[0]);
  const { pixels } = await givenOf(bytes, bands, scale);
  expect(pixels).toHaveLength(12);
});

/** Its pixels with the flags as a command reads them. */
async function givenOf(bytes: Buffer, bands: string | undefined, scale: string | undefined) {
  const path = join(temporaryFolder(onTestFinished), "x.tif");
  writeFileSync(path, bytes);
  const rendering = parseWith(checkSchema, { data_dir: "x", ...defined({ bands, scale }) }, "data check");
  return { pixels: (await decodePixels(path, new DecodeMemory(), { rendering })).pixels };
}

it("refuses a TIFF of colours that none of them says, with how to convert it", async () => {
  expect(await read(picture(3, 77))).toBe(
    `3 unnamed bands of 8 bits where 8-bit RGB or grey is read; convert it with \`gdal_translate ${toRgb} IN.tif OUT.tif\``,
  );
});

function signed(bands: number): Partial<PlainLevel> {
  return { samples: "1/16", fields: [[339, "short", Array(bands).fill(2)]] };
}

describe("every command that reads pictures refuses them by name", () => {
  const odd = picture(3, blackIsZero, { samples: "1/16", fields: [extra(0, 0)] });
  const found = "3 grey bands of 16 bits where 8-bit RGB or grey is read";
  const reason = `${found}; give for example ${three} ${wide}`;
  const folders = () =>
    makeFolders(temporaryFolder(onTestFinished), {
      "train/a/1.tif": picture(3, rgb),
      "train/a/2.tif": odd,
      "test/a/1.tif": picture(1, blackIsZero),
    });

  it("data check", async () => {
    const dataDir = folders();
    const { images, unreadable } = await checkData({ dataDir });
    expect([images, unreadable]).toEqual([3, [{ path: join(dataDir, "train/a/2.tif"), reason }]]);
  });

  it("a training on class folders, with the whole line", async () => {
    const dataDir = folders();
    const next = "1 in all, --skip_bad allows 0: do that, replace the files, or raise --skip_bad";
    const message = `${join(dataDir, "train/a/2.tif")}: must be a whole image, got ${reason}; ${next}`;
    await expect(openImageFolder({ dataDir, imageSize: 2 })).rejects.toMatchObject({ kind: "input", message });
  });

  it("data fmow", async () => {
    const box = JSON.stringify({ bounding_boxes: [{ ID: 0, box: [0, 0, 3, 3], category: "zoo" }] });
    const input = makeFolders(temporaryFolder(onTestFinished), {
      "train/zoo/zoo_0/zoo_0_0_rgb.json": box,
      "train/zoo/zoo_0/zoo_0_0_rgb.jpg": odd,
    });
    await expect(cropFmow({ input, output: join(input, "crops") })).rejects.toThrow(
      `zoo_0_0_rgb.jpg: must be a picture, got ${found}; convert it with \`gdal_translate ${toBytes} ${toRgb} IN.tif OUT.tif\``,
    );
  });
});

it("a pipe is not waited for, and a device not read", async () => {
  const pipe = join(temporaryFolder(onTestFinished), "pipe.png");
  execFileSync("mkfifo", [pipe]);
  for (const path of [pipe, "/dev/zero"]) {
    await expect(decodePixels(path)).rejects.toThrow("not a file, but a folder, a pipe or a device");
  }
});

describe("other formats than those that are read", () => {
  const picture = sharp({ create: { width: 8, height: 8, channels: 3, background: "red" } });

  it.each<[string, () => Promise<Buffer> | Buffer, string]>([
    // Drawn, it would be red.
    ["SVG", () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"><rect/></svg>'), '<svg xmlns="'],
    ["SVG, packed", () => gzipSync('<svg xmlns="http://www.w3.org/2000/svg"/>'), "\\.\\.\\.\\."],
    ["GIF", () => picture.clone().gif().toBuffer(), "GIF89a\\.\\.\\.\\.\\.\\."],
    ["AVIF", () => picture.clone().avif({ effort: 0 }).toBuffer(), "\\.{4}ftypavif"],
    ["text", () => Buffer.from("text"), "text"],
  ])("are refused by what they begin with: %s", async (_, bytes, beginning) => {
    const rule = "^not JPEG, PNG, WebP or TIFF, since it begins with";
    expect(await read(await bytes())).toMatch(new RegExp(`${rule} ${beginning}.*; convert it to one of them$`));
  });
});

it("says what to do about a picture that the decoder can't read", async () => {
  const raw = { width: 40, height: 40, channels: 3 } as const;
  const png = await sharp(Buffer.alloc(4800, "noise"), { raw }).png().toBuffer();
  const damaged = /^cut or damaged \(.+\); copy it again$/;
  for (const length of [12, 20, 40, png.length / 2]) expect(await read(png.subarray(0, length))).toMatch(damaged);
  const doubles = picture(1, blackIsZero, { samples: "3/32", fields: [[258, "short", [64]]] });
  expect(await read(doubles)).toBe(
    "bands of more than 32 bits where 8-bit RGB or grey is read; convert it with `gdal_translate -ot Byte -scale BLACK WHITE 0 255 IN.tif OUT.tif`",
  );
  expect(await read(picture(3, rgb, { fields: [[259, "short", [50000]]] }))).toBe(
    "packed by ZSTD, which is not read; pack it anew with `gdal_translate -co COMPRESS=DEFLATE IN.tif OUT.tif`",
  );
});
