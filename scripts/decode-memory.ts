/**
 * Measures what decoding a picture takes, beside what src/data/decode-memory.ts says of its header:
 *
 *     npx tsx scripts/decode-memory.ts FOLDER           makes the pictures, class folders of tens of megapixels in few bytes
 *     npx tsx scripts/decode-memory.ts FOLDER PICTURE   decodes one
 *
 * Peaks are of the whole process, less what it had before the picture was opened.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { decodePixels } from "../src/data/decode.ts";
import { bytesToDecode, DecodeMemory } from "../src/data/decode-memory.ts";

const [folder, picture] = process.argv.slice(2);
const side = 8000;

if (picture === undefined) {
  const image = () => sharp({ create: { width: side, height: side, channels: 3, background: "teal" } });
  const made = {
    "plain.jpg": image().jpeg(),
    "progressive.jpg": image().jpeg({ progressive: true }),
    "progressive-444.jpg": image().jpeg({ progressive: true, chromaSubsampling: "4:4:4" }),
    "turned.jpg": image().withMetadata({ orientation: 6 }).jpeg(),
    "plain.png": image().png(),
    "interlaced.png": image().png({ progressive: true }),
    "lossless.webp": image().webp({ lossless: true, effort: 0 }),
    "strips.tif": image().tiff({ compression: "deflate" }),
  };
  mkdirSync(folder, { recursive: true });
  for (const [name, one] of Object.entries(made)) await one.toFile(join(folder, name));
} else {
  const path = join(folder, picture);
  const predicted = bytesToDecode(await sharp(path, { limitInputPixels: false }).metadata());
  const before = process.resourceUsage().maxRSS * 1024;
  await decodePixels(path, new DecodeMemory(Number.MAX_SAFE_INTEGER));
  const measured = process.resourceUsage().maxRSS * 1024 - before;
  process.stdout.write(`${picture.padEnd(20)} ${predicted} predicted, ${measured} measured\n`);
}
