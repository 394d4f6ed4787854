/**
 * Acquisitions in rounds, by policies whose wishes are written down: two windows of 128 pixels, of 2 × 2 patches, each of which
 * is a tile of the file.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import { addUp } from "../../src/acquire/sum-scenes.ts";
import { type Acquired, remarkLines } from "../../src/acquire/tally.ts";
import { makeGrid, maskBits } from "../../src/method/grid.ts";
import { bytesIn } from "../../src/utils/pixel-array.ts";
import { Random } from "../../src/utils/random.ts";
import { row } from "../../src/utils/rows.ts";
import { limits, type Scene, writeScene } from "./scenes.ts";
import { serveFile } from "./server.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);

/** Noise, so that a tile has more bytes than the gaps that are read over; the patch at the top left is bright. */
function noise(width: number, height: number): Scene {
  const random = new Random(3, "noise", width);
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, byte) => {
    const [x, y] = [Math.floor(byte / 3) % width, Math.floor(byte / 3 / width)];
    return random.integer(60) + (x < 64 && y < 64 ? 190 : 10);
  });
  return { width, height, pixels };
}
/** Two windows, and one and a half: of the second, patches 1 and 3 lie outside. */
const [whole, cut] = [noise(256, 128), noise(192, 128)];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-in-rounds-"));
  await writeScene(at("whole.tif"), whole, { tileSize: 64 });
  await writeScene(at("cut.tif"), cut, { tileSize: 64 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Wish = (there: string, image: Uint8Array) => string | undefined;

/** What a policy was shown of a window. */
interface Shown {
  readonly there: string;
  readonly image: Uint8Array;
}

/** Wants of each window what `wish` says, with a probability of 0.9, less 0.1 for each patch that is there. */
function wishing(rounds: number, wish: Wish): { policy: PatchPolicy; shown: Shown[] } {
  const shown: Shown[] = [];
  const policy: PatchPolicy = {
    ...{
      model: { imageSize: 128, lowSize: 32, grid: makeGrid(128, 64) },
      classes: ["any"],
      checkpoint: "by hand",
      rounds,
    },
    decide(low, { images, mask }) {
      const windows = Array.from({ length: low.length / (32 * 32 * 3) }, (_, i) => {
        const own = { there: maskBits(row(mask, i, 4)), image: bytesIn(row(images, i, 128 * 128 * 3)).slice() };
        shown.push(own);
        const count = own.there.replaceAll("0", "").length;
        return { bits: wish(own.there, own.image) ?? "0000", probability: 0.9 - 0.1 * count };
      });
      return {
        mask: Uint8Array.from(windows.flatMap(({ bits }) => [...bits].map(Number))),
        patches: Float32Array.from(windows.flatMap(({ probability }) => Array<number>(4).fill(probability))),
      };
    },
    classify: (_, mask) => new Float32Array(mask.length / 4).fill(1),
  };
  return { policy, shown };
}

/** Of the top left patch: of the noise, 190 … 249 or 10 … 69. */
const cornerIsBright = (image: Uint8Array) => image[0] > 127;
/** First the corner; where that is bright, the corner opposite, and then whatever is left, one by one. */
const curious: Wish = (there, image) =>
  cornerIsBright(image) || there === "0000"
    ? { "0000": "1000", "1000": "0001", "1001": "0100", "1101": "0010" }[there]
    : undefined;

const choices = { ...limits, top: 1, batch_size: 2 };
const linesOf = (out: string) =>
  readFileSync(at(out, "predictions.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
const asked = ({ rounds }: Acquired) => rounds.map(({ windows, patches, requests }) => [windows, patches, requests]);

it.each([1, 2])(
  "asks for more once it has seen what came, until the rounds are over; %d windows a batch",
  async (batch_size) => {
    const server = await serveFile(readFileSync(at("whole.tif")));
    const { policy } = wishing(3, curious);
    const out = `three-${batch_size}`;
    const acquired = await acquire(server.url, policy, { ...choices, batch_size, out: at(out) });
    await server.close();

    // Tiles 0 and 2 of the first row, of 4; the tile between them is more than the gap that is read over. Then tile 5, then 1.
    expect(asked(acquired)).toEqual([
      [2, 2, 2],
      [1, 1, 1],
      [1, 1, 1],
    ]);
    expect(acquired.rounds.reduce((sum, { seconds }) => sum + seconds, 0)).toBeCloseTo(acquired.seconds.acquire, 9);
    expect(acquired.cells).toEqual({ all: 8, chosen: 4 });
    expect(acquired.read).toMatchObject({ requests: server.ranges.length, bytes: server.sent });
    expect(acquired.read.by.high.requests).toBe(4);
    expect(remarkLines(acquired)).toEqual(["rounds  3 of 3: 2 patches in 2 windows, 1 in 1, 1 in 1"]);

    const [left, right] = linesOf(out);
    // Each probability is of when the patch was last decided on: those not taken, when the window last looked.
    expect(left).toMatchObject({ mask: "1101", patches: 3, rounds: 3, patch_probabilities: [0.9, 0.7, 0.7, 0.8] });
    expect(right).toMatchObject({ mask: "1000", patches: 1, rounds: 1, patch_probabilities: [0.9, 0.8, 0.8, 0.8] });
    // A tile for each chosen cell, no byte more.
    expect(left.bytes + right.bytes).toBe(acquired.read.by.high.bytes);
    const { features } = JSON.parse(readFileSync(at(out, "patches.geojson"), "utf8"));
    expect(features.map((one: { properties: { probability: number } }) => one.properties.probability)).toEqual([
      ...left.patch_probabilities,
      ...right.patch_probabilities,
    ]);

    const masked = await sharp(at(out, "masked.tif")).raw().toBuffer();
    const fine = (tile: number) => {
      const [x, y] = [64 * (tile % 4), 64 * Math.floor(tile / 4)];
      return Array.from({ length: 64 }, (_, dy) => 3 * ((y + dy) * 256 + x)).every(
        (from) => Buffer.compare(masked.subarray(from, from + 192), whole.pixels.subarray(from, from + 192)) === 0,
      );
    };
    expect([0, 1, 2, 3, 4, 5, 6, 7].filter(fine)).toEqual([0, 1, 2, 5]);
  },
);

it("looks no further when no window asks for anything", async () => {
  const { policy, shown } = wishing(4, (there) => (there === "0000" ? "0110" : undefined));
  const acquired = await acquire(at("whole.tif"), policy, { ...choices, out: at("stopped") });
  // Tiles 1 and 4, and 3 and 6; 3 and 4 lie side by side in the file.
  expect(asked(acquired)).toEqual([
    [2, 4, 3],
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  expect(shown.map(({ there }) => there)).toEqual(["0000", "0000", "0110", "0110"]);
  expect(remarkLines(acquired)).toEqual(["rounds  1 of 4: 4 patches in 2 windows"]);
  expect(linesOf("stopped").map(({ rounds }) => rounds)).toEqual([1, 1]);

  const none = await acquire(at("whole.tif"), wishing(4, () => undefined).policy, { ...choices, out: at("none") });
  expect(remarkLines(none)).toEqual(["rounds  0 of 4"]);
  expect(linesOf("none").map(({ rounds }) => rounds)).toEqual([0, 0]);
});

it("counts the windows that leave early, in a scene and over scenes", async () => {
  const { policy } = wishing(3, curious);
  const leaving: PatchPolicy = {
    ...policy,
    exit: { confidence: 0.9, temperature: 1 },
    async decide(low, acquired) {
      const asked = await policy.decide(low, acquired);
      // A window is sure of its class once it has seen its bright corner.
      const leaves = Uint8Array.from({ length: acquired.mask.length / 4 }, (_, i) =>
        Number(acquired.mask[4 * i] === 1 && cornerIsBright(bytesIn(row(acquired.images, i, 128 * 128 * 3)))),
      );
      return { ...asked, mask: asked.mask.map((bit, k) => (leaves[k >> 2] === 1 ? 0 : bit)), leaves };
    },
  };
  const acquired = await acquire(at("whole.tif"), leaving, { ...choices, out: at("leaving") });
  expect(acquired).toMatchObject({ windows: 2, left: 1, cells: { all: 8, chosen: 2 } });
  expect(remarkLines(acquired)).toEqual([
    "left    1 of 2 windows early, sure enough of their class",
    "rounds  1 of 3: 2 patches in 2 windows",
  ]);
  expect(linesOf("leaving").map(({ left }) => left)).toEqual([true, undefined]);
  expect(addUp([acquired, acquired])).toMatchObject({ windows: 4, left: 2 });
});

it("asks once for a cell outside the scene: it is there from then on, and shows the low resolution", async () => {
  // First the right half, which of the second window lies outside, then the corner.
  const { policy, shown } = wishing(4, (there) => ({ "0000": "0101", "0101": "1000" })[there]);
  const acquired = await acquire(at("cut.tif"), policy, { ...choices, batch_size: 1, out: at("cut") });
  expect(asked(acquired)).toEqual([
    [2, 2, 2],
    [2, 2, 2],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  expect(linesOf("cut")).toMatchObject([
    { mask: "1101", rounds: 2 },
    { mask: "1000", rounds: 2 },
  ]);
  expect(shown.map(({ there }) => there)).toEqual(["0000", "0000", "0101", "0101", "1101", "1101"]);
  // The mean of the last block of the first row, 4 × 4 pixels, rounded twice on its way; repeated over what lies outside.
  const { image } = shown[3];
  const block = Array.from({ length: 16 }, (_, i) => cut.pixels[3 * ((i >> 2) * 192 + 188 + (i % 4))]);
  const mean = block.reduce((sum, value) => sum + value, 0) / 16;
  expect(Math.abs(image[3 * 64] - mean)).toBeLessThanOrEqual(1);
  expect(new Set(Array.from({ length: 64 }, (_, x) => image[3 * (64 + x)]))).toEqual(new Set([image[3 * 64]]));
});

it("says of a policy that decides once what its one round brought, and prints nothing of it", async () => {
  const { policy } = wishing(1, curious);
  const acquired = await acquire(at("whole.tif"), policy, { ...choices, out: at("once") });
  expect(asked(acquired)).toEqual([[2, 2, 2]]);
  expect(remarkLines(acquired)).toEqual([]);
  for (const line of linesOf("once")) expect(line).not.toHaveProperty("rounds");
});
