/**
 * The formats of pictures that are handed to the decoder, by how their bytes begin. It would take others for pictures too, and
 * by what they hold: an SVG is a program that draws, which reads other files and may never end.
 */
import { beginsAsTiff } from "./tiff.ts";

/** Where one is read, in words. */
export const pictureFormats = "JPEG, PNG, WebP or TIFF";
/** So many bytes of a file say which it is. */
export const beginningBytes = 12;

export type PictureFormat = "jpeg" | "png" | "webp" | "tiff";

/** What the decoder throws, in one line: it says all that it met, a line each. */
export function firstLineOf(error: Error): Error {
  return new Error(error.message.split("\n")[0], { cause: error });
}

/** The format of a file or tile with that beginning; undefined for any other. */
export function pictureFormatOf(bytes: Uint8Array): PictureFormat | undefined {
  const text = Buffer.from(bytes.subarray(0, beginningBytes)).toString("latin1");
  if (text.startsWith("\xff\xd8\xff")) return "jpeg";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (/^RIFF.{4}WEBP/s.test(text)) return "webp";
  return beginsAsTiff(bytes) ? "tiff" : undefined;
}
