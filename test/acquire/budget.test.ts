/** Budgets of a scene in bytes, seconds and money, and scenes that are read as a whole where that costs no more. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import { savingsLines } from "../../src/acquire/savings.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { refusal } from "../options/commands.ts";
import { blockScene, brightPolicy, limits, writeScene } from "./scenes.ts";

const scene = blockScene(160, 128);
const choices = { ...limits, top: 2, batch_size: 3, egress_per_gb: 1 };
let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const json = (...names: string[]) => JSON.parse(readFileSync(at(...names), "utf8"));

interface Properties {
  readonly chosen: boolean;
  readonly free?: boolean;
  readonly probability: number;
  readonly bytes: number;
  readonly pixels: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
}
const cellsOf = (name: string): Properties[] =>
  json(name, "patches.geojson").features.map(({ properties }: { properties: Properties }) => properties);
const placesOf = (name: string) =>
  cellsOf(name)
    .filter(({ chosen }) => chosen)
    .map(({ pixels }) => `${pixels.x} ${pixels.y}`);
const worthOf = (name: string) =>
  cellsOf(name).reduce((sum, { chosen, probability }) => sum + (chosen ? probability : 0), 0);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-budget-"));
  await writeScene(at("scene.tif"), scene);
  await writeScene(at("coarse.tif"), scene, { tileSize: 32 });
  await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("plain") });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("a budget in bytes is kept, and buys of what is wanted the more the larger it is", async () => {
  const plain = json("plain", "savings.json");
  const looking = plain.read.by.header.bytes + plain.read.by.low.bytes;
  let before = 0;
  for (const share of [0, 0.1, 0.3, 0.6]) {
    const budget_bytes = Math.ceil(looking + share * plain.read.by.high.bytes + 1);
    const out = `bytes-${share}`;
    const acquired = await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at(out), budget_bytes });
    expect(acquired.read.bytes).toBeLessThanOrEqual(budget_bytes);
    expect(acquired.seconds.decide).toBeGreaterThan(0);
    const wanted = new Set(placesOf("plain"));
    expect(placesOf(out).every((place) => wanted.has(place))).toBe(true);
    const value = worthOf(out);
    expect(value).toBeGreaterThanOrEqual(before);
    // By value for cost, a share of the bytes buys at least that share of the value.
    expect(value).toBeGreaterThanOrEqual(share * 0.95 * worthOf("plain"));
    before = value;
    const masked = await sharp(at(out, "masked.tif")).raw().toBuffer();
    for (const { chosen, pixels } of cellsOf(out)) {
      if (!chosen) continue;
      const [x, y] = [pixels.x + 3, pixels.y + 5];
      expect(masked.readUInt8(3 * (y * 160 + x))).toBe(scene.pixels[3 * (y * 160 + x)]);
    }
  }
  expect(before).toBeGreaterThan(0);
});

it("windows that leave early are counted, and take nothing of a budget", async () => {
  const leaving: PatchPolicy = {
    ...brightPolicy,
    exit: { confidence: 0.9, temperature: 1 },
    async decide(low, acquired) {
      const asked = await brightPolicy.decide(low, acquired);
      const { patches } = brightPolicy.model.grid;
      // Every second window of a batch is sure.
      const leaves = Uint8Array.from({ length: asked.mask.length / patches }, (_, i) => i % 2);
      const stays = (at: number) => leaves[Math.floor(at / patches)] === 0;
      return {
        mask: asked.mask.map((bit, at) => (stays(at) ? bit : 0)),
        patches: asked.patches.map((p, at) => (stays(at) ? p : 0)),
        leaves,
      };
    },
  };
  const options = { ...choices, out: at("leaving"), budget_bytes: 10_000_000, batch_size: 2 };
  const { windows, left } = await acquire(at("scene.tif"), leaving, options);
  const lines = readFileSync(at("leaving", "predictions.jsonl"), "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  const gone = lines.filter((line) => line.left === true);
  expect([gone.length, lines.length]).toEqual([left, windows]);
  expect(left).toBeGreaterThan(windows / 4);
  expect(new Set(gone.map(({ mask, patch_probabilities }) => `${mask} ${patch_probabilities}`))).toEqual(
    new Set([`${"0".repeat(16)} undefined`]),
  );
});

it("a budget for all that is wanted changes nothing, whatever the batches", async () => {
  const all = { ...choices, budget_bytes: 10_000_000, batch_size: 64 };
  await acquire(at("scene.tif"), brightPolicy, { ...all, out: at("all") });
  for (const name of ["patches.geojson", "predictions.jsonl", "order.geojson", "masked.tif"]) {
    const [one, other] = ["plain", "all"].map((out) => readFileSync(at(out, name)));
    expect(Buffer.compare(one, other), name).toBe(0);
  }
  const seconds = await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("long"), budget_seconds: 1000 });
  expect(seconds.cells).toEqual(json("plain", "savings.json").cells);
});

it("a budget that looking alone takes is refused with what that costs, and nothing is written", async () => {
  const asked = (budget: object) =>
    refusal(() => acquire(at("scene.tif"), brightPolicy, { ...choices, ...budget, out: at("poor") }));
  expect(await asked({ budget_bytes: 100 })).toMatch(
    /^usage: --budget_bytes: must pay for more than looking: header and looking at the low resolution take \d+, got 100/,
  );
  expect(await asked({ budget_money: 1e-7 })).toMatch(/^usage: --budget_money: must pay for more than looking/);
  expect(await asked({ budget_seconds: 1e-6 })).toMatch(/^resource: --budget_seconds: must pay for more than looking/);
  expect(existsSync(at("poor"))).toBe(false);
  expect(readdirSync(folder).filter((name) => name.startsWith("."))).toEqual([]);
});

it("money is spent by area and by bytes, and the smallest order is paid for", async () => {
  const prices = { price_per_km2: 1000, egress_per_gb: undefined };
  const plain = await acquire(at("scene.tif"), brightPolicy, { ...choices, ...prices, out: at("by-area") });
  const budget_money = 0.4 * plain.money!.used;
  const half = await acquire(at("scene.tif"), brightPolicy, { ...choices, ...prices, budget_money, out: at("money") });
  expect(half.money!.used).toBeLessThanOrEqual(budget_money);
  expect(half.money!.used).toBeGreaterThan(0.9 * budget_money);
  // Cells of the same price: those that are most probable.
  const taken = cellsOf("money").filter(({ chosen }) => chosen);
  const left = cellsOf("by-area").filter(
    ({ chosen, pixels }) => chosen && !placesOf("money").includes(`${pixels.x} ${pixels.y}`),
  );
  const least = Math.min(...taken.map(({ probability }) => probability));
  expect(Math.max(...left.map(({ probability }) => probability))).toBeLessThanOrEqual(least);
  const min_area_km2 = plain.area_km2!.chosen / 4;
  const charged = { ...choices, ...prices, egress_per_gb: 1, budget_money, min_area_km2 };
  const least4 = await acquire(at("scene.tif"), brightPolicy, { ...charged, out: at("charged") });
  expect(least4.money!.used).toBeLessThanOrEqual(budget_money);
  expect(least4.cells.chosen).toBeGreaterThan(0);
});

it("of a policy in rounds, a budget is for what it wants at first; it goes on in rounds where there is none", async () => {
  // A further patch a round, whatever is there.
  const inRounds: PatchPolicy = {
    ...brightPolicy,
    rounds: 3,
    decide: (low, { mask: there }) => {
      const mask = new Uint8Array((low.length / (8 * 8 * 3)) * 16);
      for (let at = 0; at < mask.length; at += 16) mask[at + there.subarray(at, at + 16).indexOf(0)] = 1;
      return { mask, patches: Float32Array.from(mask) };
    },
  };
  const one = await acquire(at("scene.tif"), inRounds, { ...choices, out: at("first"), budget_bytes: 1e6 });
  expect(one.cells.chosen).toBe(20);
  expect(one.rounds.map(({ patches }) => patches)).toEqual([20, 0, 0]);
  const all = await acquire(at("scene.tif"), inRounds, { ...choices, out: at("rounds"), whole_if_cheaper: true });
  expect(all.rounds.map(({ patches }) => patches)).toEqual([20, 20, 20]);
});

/** Of each window the top left patch of 8 × 8: in tiles of 32, all are touched. */
const corner: PatchPolicy = {
  ...brightPolicy,
  decide(low) {
    const mask = new Uint8Array((low.length / (8 * 8 * 3)) * 16).map((_, n) => (n % 16 === 0 ? 1 : 0));
    return { mask, patches: Float32Array.from(mask) };
  },
};

it("everything is read, and said to be, where the chosen patches' tiles and looking come to as much", async () => {
  const notes: string[] = [];
  const reporter = { ...silentReporter, note: (text: string) => notes.push(text) };
  const asked = { ...choices, whole_if_cheaper: true };
  const whole = await acquire(at("coarse.tif"), corner, { ...asked, out: at("whole") }, reporter);
  expect(notes).toEqual([expect.stringMatching(/all of it is read, and all patches are used$/)]);
  expect(whole.cells).toEqual({ all: 320, chosen: 20, free: 300 });
  expect(whole.tiles).toEqual({ all: 20, read: 20 });
  expect(Buffer.compare(await sharp(at("whole", "masked.tif")).raw().toBuffer(), Buffer.from(scene.pixels))).toBe(0);
  expect(cellsOf("whole").every(({ chosen, free }) => chosen !== free)).toBe(true);
  const plain = await acquire(at("coarse.tif"), corner, { ...choices, out: at("corners") }, reporter);
  expect(whole.read.bytes).toBeLessThanOrEqual(plain.read.bytes + 16 * 20);
  // The policy that wants less than all tiles has is not overruled.
  const few = await acquire(at("scene.tif"), corner, { ...asked, out: at("few") }, reporter);
  expect(few.cells).toEqual({ all: 320, chosen: 20 });
  expect(notes).toHaveLength(1);
});

it("what took more than the whole would have says why", async () => {
  const plain = json("corners", "savings.json");
  expect(plain.bytes.saved).toBeLessThan(0);
  expect(plain.why).toMatch(/^20 of 20 tiles hold a patch that was read, and the low resolution came on top/);
  expect(savingsLines(plain).at(-1)).toBe(`why     ${plain.why}`);
});
