/** The sets of models that are committed for the browser page, and how patches are chosen on it. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { choose } from "../../demo/choose.ts";
import type { SetDescription } from "../../demo/description.ts";
import { openExported } from "../../src/inference/exported.ts";

const folder = fileURLToPath(new URL("../../demo/models/", import.meta.url));

describe.each(readdirSync(folder))("demo/models/%s", (name) => {
  const place = join(folder, name);
  const description = JSON.parse(readFileSync(join(place, "model.json"), "utf8")) as SetDescription;

  it("says of its networks what they say of themselves", () => {
    const { models, checkpoint, description: own } = openExported(place);
    const { model, variant, imageSize, patchSize, lowSize, transform, normalization, fill, classes } = own;
    const sizes = { imageSize, patchSize, lowSize };
    const expected = { model: `${model} ${variant}`, checkpoint, ...sizes, transform, ...normalization, fill, classes };
    expect(description).toMatchObject(expected);
    expect([...models.keys()]).toEqual(["policy.onnx", "classifier.onnx"]);
    expect([...models.values()].reduce((sum, bytes) => sum + bytes.length, 0)).toBeLessThan(3_000_000);
  });

  it("has samples of the networks' size, of known classes", async () => {
    expect(description.samples.length).toBeGreaterThan(1);
    for (const { file, label } of description.samples) {
      const { width, height, format } = await sharp(join(place, file)).metadata();
      const size = description.imageSize;
      expect({ width, height, format }).toEqual({ width: size, height: size, format: "png" });
      expect(description.classes).toContain(label);
    }
  });
});

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
