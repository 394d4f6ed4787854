/** What decoding a picture takes by its header, that too much is refused, and that images wait for their share. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { beforeEach, describe, expect, it } from "vitest";
import { decodePixels, holdPixels } from "../../src/data/decode.ts";
import { bytesToDecode, DecodeMemory, forgetHeldMemory, newBudget } from "../../src/data/decode-memory.ts";
import { DecodePool } from "../../src/data/decode-pool.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

/** 200 × 100 pixels: 60,000 bytes are kept of them. */
const picture = (channels: 3 | 4 = 3) =>
  sharp({ create: { width: 200, height: 100, channels, background: { r: 1, g: 2, b: 3, alpha: 1 } } });

async function taken(image: Sharp): Promise<number> {
  return bytesToDecode(await sharp(await image.toBuffer()).metadata());
}

describe("bytes to decode", () => {
  // Beside the 3 that are kept of a pixel, as measured with scripts/decode-memory.ts on pictures of 64 million pixels.
  it.each<[string, number, () => Sharp]>([
    ["a plain JPEG: nothing", 3, () => picture().jpeg()],
    [
      "a progressive JPEG: 16-bit coefficients of one plane and two of a quarter",
      6,
      () => picture().jpeg({ progressive: true }),
    ],
    [
      "with colours as fine: of three planes",
      9,
      () => picture().jpeg({ progressive: true, chromaSubsampling: "4:4:4" }),
    ],
    ["a turned JPEG: its pixels once more", 6, () => picture().withMetadata({ orientation: 6 }).jpeg()],
    ["a plain PNG: nothing", 3, () => picture().png()],
    ["an interlaced PNG: its pixels", 6, () => picture().png({ progressive: true })],
    ["with transparency", 7, () => picture(4).png({ progressive: true })],
    ["of 16 bits: its pixels twice", 15, () => picture().toColourspace("rgb16").png({ progressive: true })],
    ["a plain PNG of 16 bits: its pixels", 9, () => picture().toColourspace("rgb16").png()],
    ["WebP: its pixels, and what its decoder has of its own", 8, () => picture().webp()],
  ])("of %s", async (_, perPixel, image) => {
    expect(await taken(image())).toBe(perPixel * 200 * 100);
  });
});

it("is refused above the limit, with size and flag", async () => {
  const path = join(folder, "a.png");
  await picture().png({ progressive: true }).toFile(path);
  await expect(decodePixels(path, new DecodeMemory(119_999))).rejects.toThrow(
    "200 × 100 pixels of png, which take 120000 bytes to decode where 119999 are allowed; raise --max_image_bytes if that is right",
  );
  expect((await decodePixels(path, new DecodeMemory(120_000))).pixels).toHaveLength(60_000);
});

it("is refused on the threads too, and leaves the others their memory", async () => {
  const paths = ["large.png", "small.png", "broken.png"].map((name) => join(folder, name));
  writeFileSync(paths[0], await picture().png().toBuffer());
  writeFileSync(paths[1], await picture().resize(100, 100).png().toBuffer());
  writeFileSync(paths[2], (await picture().resize(100, 100).png().toBuffer()).subarray(0, -30));
  // Three times one after the other: a share that was not given back would be waited for without end.
  const pool = new DecodePool({ imageSize: 8, transform: "cifar", threads: 1, maxImageBytes: 30_000 });
  for (let n = 0; n < 3; n++) {
    const out = new Uint8Array(new SharedArrayBuffer(3 * 8 * 8 * 3));
    const unreadable = await pool.decode({ paths, slots: Uint32Array.of(0, 1, 2), augmentation: undefined }, out);
    expect(unreadable).toEqual([
      { slot: 0, reason: expect.stringContaining("take 60000 bytes to decode where 30000 are allowed") },
      { slot: 2, reason: expect.any(String) },
    ]);
    expect([...out.subarray(192, 195)]).toEqual([1, 2, 3]);
  }
});

describe("the budget", () => {
  it("is shared, and given in turn: a small image does not pass a large one that waits", async () => {
    const shared = newBudget();
    const [one, other] = [new DecodeMemory(102_400, shared), new DecodeMemory(102_400, shared)];
    const began: string[] = [];
    const take = (memory: DecodeMemory, name: string, bytes: number) =>
      memory.take(bytes).then((release) => {
        began.push(name);
        return release;
      });
    const release = await take(one, "first", 61_440);
    const large = take(other, "large", 51_200);
    const small = take(one, "small", 1024);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(began).toEqual(["first"]);
    release();
    (await large)();
    (await small)();
    expect(began).toEqual(["first", "large", "small"]);
  });

  it("holds for pixels until they have been used", async () => {
    const path = join(folder, "a.png");
    writeFileSync(path, await picture().png().toBuffer());
    const memory = new DecodeMemory(100_000, newBudget());
    const { release } = await holdPixels(path, memory);
    let held = true;
    const second = holdPixels(path, memory).then((next) => {
      expect(held).toBe(false);
      return next;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    held = false;
    release();
    (await second).release();
  });

  it("forgets what a thread held that has ended, also for those who wait already, behind one that ended as it waited", async () => {
    const budget = newBudget();
    const memory = () => new DecodeMemory(102_400, budget);
    const release = await memory().take(102_400);
    const ended = memory().take(1024); // its turn would come first
    const waiting = memory().take(102_400);
    forgetHeldMemory(budget);
    const again = await ended;
    again();
    const last = await waiting;
    release(); // of what was forgotten: nothing is free by that
    const behind = memory().take(102_400);
    const beforeLast = await Promise.race([behind.then(() => true), new Promise((resolve) => setTimeout(resolve, 50))]);
    expect(beforeLast).toBeUndefined();
    last();
    (await behind)();
  });

  it("is not lost to a pool where a thread of another one crashes", async () => {
    const paths = [join(folder, "a.png")];
    writeFileSync(paths[0], await picture().png().toBuffer());
    const pool = () => new DecodePool({ imageSize: 8, transform: "cifar", threads: 1, maxImageBytes: 60_000 });
    const [one, other] = [pool(), pool()];
    const images = { paths, slots: Uint32Array.of(0), augmentation: undefined };
    const out = () => new Uint8Array(new SharedArrayBuffer(8 * 8 * 3));
    expect(await one.decode(images, out())).toEqual([]);
    await expect(other.decode(images, out().subarray(1))).rejects.toThrow("crashed the thread");
    expect(await one.decode(images, out())).toEqual([]);
  });
});
