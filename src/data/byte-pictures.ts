/**
 * Which picture files are understood: those whose pixels are bytes of RGB or grey, by what the decoder says of them. It gives
 * pixels of all others too, as if their values were colours: a float as linear light, the first band of several as grey, the
 * high byte of 16 bits. What these values mean only the user knows.
 */

import type { Metadata } from "sharp";
import { exampleBands, scaleExample } from "./rendering.ts";

type Pictured = Pick<Metadata, "format" | "space" | "channels" | "depth">;

/** What libvips calls the meaning of the bands; "scrgb" is how it takes floats. */
const kinds: Readonly<Record<string, string | undefined>> = {
  "b-w": "grey",
  grey16: "grey",
  srgb: "RGB",
  rgb16: "RGB",
  scrgb: "RGB",
  cmyk: "CMYK",
};

const depths: Readonly<Record<string, string | undefined>> = {
  uchar: "8 bits",
  char: "8 bits with a sign",
  ushort: "16 bits",
  short: "16 bits with a sign",
  uint: "32 bits",
  int: "32 bits with a sign",
  float: "floating point",
  double: "double precision",
};

/** What is read, for errors. */
const read = "where 8-bit RGB or grey is read";

/**
 * Why a picture is not read, with what to do, in less than an error's longest value; undefined for one that is.
 * @param hasFlags whether whoever reads it can say what its values mean (rendering.ts)
 */
export function reasonToRefuse(picture: Pictured, hasFlags = false): string | undefined {
  const options = [...scaling(picture), ...choosing(picture)];
  if (options.length === 0) return undefined;
  const { channels, space, depth } = picture;
  const bands = [channels, kinds[space] ?? "unnamed", channels === 1 ? "band" : "bands"].join(" ");
  const conversion = `convert it with \`gdal_translate ${options.join(" ")} IN.tif OUT.tif\``;
  const next = (hasFlags && flagsFor(picture)) || conversion;
  return `${bands} of ${depths[depth] ?? depth} ${read}; ${next}`;
}

/** What the decoder's words mean, where they do not say what to do. */
const meanings: readonly (readonly [words: RegExp, meaning: string])[] = [
  [/exceeds channel limit/, `more than 5 bands ${read}; give for example --bands 3,2,1 --scale 0,3000`],
  [
    /samples out of range/,
    `bands of more than 32 bits ${read}; convert it with \`gdal_translate -ot Byte -scale BLACK WHITE 0 255 IN.tif OUT.tif\``,
  ],
  [
    /(\w+) compression support is not configured/,
    "packed by $1, which is not read; pack it anew with `gdal_translate -co COMPRESS=DEFLATE IN.tif OUT.tif`",
  ],
];

/** Why the decoder does not read a picture of a known format, with what to do. */
export function reasonOfDecoder(message: string): string {
  for (const [words, meaning] of meanings) {
    const said = words.exec(message);
    if (said !== null) return meaning.replace("$1", said[1]);
  }
  const [line] = message.split("\n", 1);
  const words = line.replace(/^Input (?:file|buffer) (?:has corrupt header:|contains unsupported image format)\s*/, "");
  // Of a picture in memory the decoder may know no more than that.
  const known = words === "" ? "its header" : words.replace(/^Unknown error$/, "its pixels");
  return `cut or damaged (${known}); copy it again`;
}

/** The choices that a TIFF of known kind needs, by the rules of rendering.ts. */
function flagsFor({ format, space, channels, depth }: Pictured): string | undefined {
  const kind = kinds[space];
  if (format !== "tiff" || kind === undefined || kind === "CMYK" || depth === "double") return undefined;
  const hasColours = kind === "RGB" && (channels === 3 || channels === 4);
  const bands = hasColours ? [] : [`--bands ${exampleBands(channels)}`];
  const scale = depth === "uchar" ? [] : [scaleExample(depth)];
  return `give for example ${[...bands, ...scale].join(" ")}`;
}

/** Of other than bytes: white is 65535 where a format has 16 bits for finer colours, and in a TIFF whatever was measured. */
function scaling({ format, depth }: Pictured): readonly string[] {
  const isKnown = depth === "uchar" || (depth === "ushort" && format !== "tiff");
  return isKnown ? [] : ["-ot Byte -scale BLACK WHITE 0 255"];
}

/** Of bands that are no colours: the decoder takes any further band of a TIFF for transparency. */
function choosing({ format, space, channels }: Pictured): readonly string[] {
  const most = { grey: format === "tiff" ? 1 : 2, RGB: 4, CMYK: 4 }[kinds[space] ?? ""] ?? 0;
  // As in `acquire`, a fourth band of RGB may be transparency or near infrared: the colours come first.
  if (channels <= most) return [];
  return channels < 3 ? ["-b BAND"] : ["-b RED -b GREEN -b BLUE -co PHOTOMETRIC=RGB"];
}
