/** The sets of models that are committed for the browser page, and how patches are chosen on it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { choose, lookAt } from "../../demo/choose.ts";
import type { SetDescription } from "../../demo/description.ts";
import { packagedSets, writePageModels } from "../../scripts/page-models.ts";
import type { HeldBatch } from "../../src/inference/engine.ts";
import { openExported, temperatureOf } from "../../src/inference/exported.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { maskBits } from "../../src/method/grid.ts";
import { Random } from "../../src/utils/random.ts";

writePageModels();
const folder = fileURLToPath(new URL("../../demo/models/", import.meta.url));

const isPackaged = (name: string) => packagedSets.some((packaged) => packaged === name);

describe.each(readdirSync(folder))("demo/models/%s", (name) => {
  const place = join(folder, name);
  const description = JSON.parse(readFileSync(join(place, "model.json"), "utf8")) as SetDescription;

  it("says of its networks what they say of themselves", () => {
    const exported = openExported(place);
    const { models, checkpoint, description: own } = exported;
    const { model, variant, imageSize, patchSize, lowSize, transform, normalization, fill, classes, rounds } = own;
    const sizes = { imageSize, patchSize, lowSize };
    const expected = { model: `${model} ${variant}`, checkpoint, ...sizes, transform, ...normalization, fill, classes };
    expect(description).toMatchObject(expected);
    expect(description.rounds ?? 1).toBe(rounds);
    expect(description.temperature).toBe(temperatureOf(exported));
    expect([...models.keys()]).toEqual(["policy.onnx", "classifier.onnx"]);
    expect([...models.values()].reduce((sum, bytes) => sum + bytes.length, 0)).toBeLessThan(
      isPackaged(name) ? 7_200_000 : 3_000_000,
    );
  });

  it("has samples of the networks' size, of known classes", async () => {
    expect(description.samples.length).toBe(isPackaged(name) ? 0 : 10);
    for (const { file, label } of description.samples) {
      const { width, height, format } = await sharp(join(place, file)).metadata();
      const size = description.imageSize;
      expect({ width, height, format }).toEqual({ width: size, height: size, format: "png" });
      expect(description.classes).toContain(label);
    }
  });
});

it.each(packagedSets)(
  "demo/models/%s, of halves, computes what the weights that come with the program do",
  { timeout: 600_000 },
  async (name) => {
    const [page, program] = [
      await openPredictor(join(folder, name), { engine: "onnx", threads: 1 }),
      await openPredictor(`patchdrop:${name}`, { precision: "fp32", threads: 1 }),
    ];
    const random = new Random(1, "images");
    const images = new Uint8Array(2 * page.model.imageSize ** 2 * 3).map(() => random.integer(256));
    const [found, expected] = [await page.predict(images), await program.predict(images)];
    await page.free();
    await program.free();
    // A half is off by at most 2^-11 of itself, and so is, about, what a layer makes of them, and a probability of its logits.
    const most = 2 ** -8;
    const off = (some: Float32Array, others: Float32Array) =>
      Math.max(...some.map((one, i) => Math.abs(one - others[i])));
    expect(off(found.classes, expected.classes)).toBeLessThan(most);
    expect(off(found.patches!, expected.patches!)).toBeLessThan(most);
    expect([...found.mask]).toEqual([...expected.mask]);
    // They are not the same numbers, or nothing was stored as halves.
    expect(off(found.classes, expected.classes)).toBeGreaterThan(0);
  },
);

describe("choose", () => {
  const probabilities = Float32Array.of(0.5, 0.9, 0.1, 0.5, 0.49);

  it("takes what the policy rather wants than not", () => {
    expect([...choose(probabilities)]).toEqual([1, 1, 0, 1, 0]);
  });

  it.each([
    [0, [0, 0, 0, 0, 0]],
    [1, [0, 1, 0, 0, 0]],
    [2, [1, 1, 0, 0, 0]],
    [4, [1, 1, 0, 1, 1]],
    [5, [1, 1, 1, 1, 1]],
  ])("takes the %i most wanted, of two as wanted the first", (budget, mask) => {
    expect([...choose(probabilities, budget)]).toEqual(mask);
  });
});

describe("lookAt", () => {
  /** Of four patches, by what is there: what the policy wants, and the classifier's logits. */
  const numbers: Record<string, readonly [number[], number[]]> = {
    "0000": [
      [0.9, 0.6, 0.7, 0.1],
      [0, Math.log(3)],
    ],
    "1010": [
      [0.2, 0.3, 0.8, 0.6],
      [0, 0],
    ],
    "1011": [
      [1, 0.4, 1, 1],
      [Math.log(4), 0],
    ],
    "1000": [
      [1, 1, 1, 1],
      [Math.log(9), 0],
    ],
  };
  const of = (mask: Uint8Array, which: 0 | 1) => Float32Array.from(numbers[maskBits(mask)][which]);
  const held: HeldBatch = {
    probabilities: (acquired) => of(acquired?.mask ?? new Uint8Array(4), 0),
    logits: (mask) => of(mask, 1),
    free() {},
  };
  const look = async (rounds: number | undefined, budget?: number) => {
    const looks = await lookAt(held, { imageSize: 4, patchSize: 2, rounds }, { budget });
    return looks.map(({ before, after, probabilities, sure }) => ({
      masks: [maskBits(before), maskBits(after)],
      wanted: Array.from(probabilities, (one) => Number(one.toFixed(6))),
      sure: sure && Number(sure.toFixed(6)),
    }));
  };
  const first = [0.9, 0.6, 0.7, 0.1];

  it("is one look of a policy that decides once, which is not told what the classifier thinks", async () => {
    expect(await look(undefined)).toEqual([{ masks: ["0000", "1110"], wanted: first, sure: undefined }]);
    expect(await look(1, 1)).toEqual([{ masks: ["0000", "1000"], wanted: first, sure: undefined }]);
  });

  it("goes on until the rounds are over, with at most its share of the patches a round", async () => {
    // Two a round; of those that are there it keeps what it wanted them for.
    expect(await look(2)).toEqual([
      { masks: ["0000", "1010"], wanted: first, sure: 0.75 },
      { masks: ["1010", "1011"], wanted: [0.9, 0.3, 0.7, 0.6], sure: 0.5 },
    ]);
  });

  it("ends with the look that asks for nothing more", async () => {
    // Three rounds of at most two, the third of which takes nothing.
    const looks = await look(3);
    expect(looks.map(({ masks }) => masks[1])).toEqual(["1010", "1011", "1011"]);
    expect(looks[2]).toEqual({ masks: ["1011", "1011"], wanted: [0.9, 0.4, 0.7, 0.6], sure: 0.8 });
  });

  it.each([
    [0, ["0000"]],
    [1, ["1000"]],
    [2, ["1010"]],
    [3, ["1010", "1011"]],
  ])("spends a budget of %i, and does not look when it is spent", async (budget, masks) => {
    expect((await look(3, budget)).map((one) => one.masks[1])).toEqual(masks);
  });

  it.each([
    // The confidences without a patch, with two and with three are 3/4, 1/2 and 4/5; at T = 1/2 they are 9/10, 1/2 and 16/17.
    [0.7, 1, undefined, ["0000-0000 0.7500"]],
    [0.78, 1, undefined, ["0000-1010", "1010-1011", "1011-1011 0.8000"]],
    [0.78, 1, 3, ["0000-1010", "1010-1011"]],
    [0.89, 0.5, undefined, ["0000-0000 0.9000"]],
    [0.91, 0.5, undefined, ["0000-1010", "1010-1011", "1011-1011 0.9412"]],
    [0.81, 1, undefined, ["0000-1010", "1010-1011", "1011-1011"]],
  ] as const)(
    "leaves from a confidence of %f on, at T = %f, of %s patches",
    async (confidence, temperature, budget, expected) => {
      const how = { budget, exit: { confidence, temperature } };
      const looks = await lookAt(held, { imageSize: 4, patchSize: 2, rounds: 3 }, how);
      const said = looks.map(({ before, after, leaves }) => [
        `${maskBits(before)}-${maskBits(after)}`,
        ...(leaves === undefined ? [] : [leaves.toFixed(4)]),
      ]);
      expect(said.map((parts) => parts.join(" "))).toEqual(expected);
    },
  );
});
