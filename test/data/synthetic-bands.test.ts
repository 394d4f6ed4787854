/** The generated scenes of four bands of 16 bits: what is stored, what is measured of it, and which band tells the classes. */
import { describe, expect, it } from "vitest";
import { imageLength } from "../../src/data/dataset.ts";
import { makeSynthetic } from "../../src/data/synthetic.ts";
import { makeSyntheticBands, storedScene, syntheticBandsReader } from "../../src/data/synthetic-bands.ts";

const scenes = Array.from({ length: 60 }, (_, index) => storedScene(0, "train", index));
const hasData = (scene: Uint16Array, pixel: number) => scene[4 * pixel] !== 0;
const made = makeSyntheticBands(0);

describe("a stored scene", () => {
  it("has reflectances of 1 to 10,000, and 0 in all bands where there are no data: 21 pixels in a corner", () => {
    for (const [index, scene] of scenes.entries()) {
      const missing = Array.from({ length: 1024 }, (_, pixel) => pixel).filter((pixel) => !hasData(scene, pixel));
      for (const pixel of missing) expect([...scene.subarray(4 * pixel, 4 * pixel + 4)]).toEqual([0, 0, 0, 0]);
      expect(missing.length === 0 || (missing.length === 21 && index % 4 === 0)).toBe(true);
      for (const pixel of missing) {
        const [x, y] = [pixel % 32, Math.floor(pixel / 32)];
        expect(Math.min(x, 31 - x) + Math.min(y, 31 - y)).toBeLessThan(6);
      }
      expect(Math.max(...scene)).toBeLessThanOrEqual(10_000);
      expect(Math.min(...scene.filter((value) => value > 0))).toBeGreaterThanOrEqual(100);
    }
    expect(scenes.filter((scene) => scene.includes(0)).length).toBeGreaterThan(10);
  });

  it("has the dark spots of its class in near infrared alone, and there one for each of their pixels", async () => {
    const { train } = await makeSynthetic({ seed: 0, trainLength: scenes.length, testLength: 1 });
    const picture = new Uint8Array(3 * 1024);
    for (const [index, scene] of scenes.entries()) {
      train.read(Uint32Array.of(index), picture);
      for (let pixel = 0; pixel < 1024; pixel++) {
        if (!hasData(scene, pixel)) continue;
        // The scene in colour has its spots where blue is 15; bytes are 100 + 30 · byte, and up to 29 more.
        const isSpot = picture[3 * pixel + 2] === 15;
        expect(scene[4 * pixel + 3] < 600).toBe(isSpot);
        if (isSpot) expect(scene[4 * pixel + 2]).toBeGreaterThan(100 + 30 * 15 + 29);
        else expect(Math.floor((scene[4 * pixel + 2] - 100) / 30)).toBe(picture[3 * pixel + 2]);
      }
    }
  });

  it("is the same for the same seed, and another for another", () => {
    expect(storedScene(0, "train", 7)).toEqual(scenes[7]);
    expect(storedScene(1, "train", 7)).not.toEqual(scenes[7]);
    expect(storedScene(0, "test", 7)).not.toEqual(scenes[7]);
  });
});

describe("the data set", () => {
  it("has reflectances, and the band's mean where there are no data", async () => {
    const { train, test } = await made;
    expect([train.length, test.length, train.imageSize, train.pixelType]).toEqual([4000, 1000, 32, "float32"]);
    expect(train.bands).toEqual(["red", "green", "blue", "nir"]);
    expect([...train.labels.subarray(0, 12)]).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    const image = new Float32Array(imageLength(train));
    for (const [index, scene] of scenes.entries()) {
      train.read(Uint32Array.of(index), image);
      const expected = Float32Array.from(scene, (value, at) => {
        return value === 0 ? train.normalization.mean[at % 4] : 1e-4 * value;
      });
      expect(image).toEqual(expected);
    }
  });

  it("is normalized by what `data stats` measures of its training images", async () => {
    const { train } = await made;
    const measured = await syntheticBandsReader.measure!({ seed: 0 });
    expect(measured.map(({ mean, std, p2, p98 }) => [mean, std, p2, p98])).toEqual(
      measured.map((_, n) => [
        ...[train.normalization.mean[n], train.normalization.std[n]],
        ...[train.stretch!.black[n], train.stretch!.white[n]],
      ]),
    );
    const stored = Array.from({ length: 4000 }, (_, index) => storedScene(0, "train", index));
    for (const [band, { band: name, mean, least, most, pixels, missing }] of measured.entries()) {
      expect(name).toBe(train.bands[band]);
      let [sum, count, empty, lowest, highest] = [0, 0, 0, Number.POSITIVE_INFINITY, 0];
      for (const scene of stored) {
        for (let at = band; at < scene.length; at += 4) {
          const value = scene[at];
          if (value === 0) empty++;
          else {
            sum += value;
            count++;
            lowest = Math.min(lowest, value);
            highest = Math.max(highest, value);
          }
        }
      }
      expect([pixels, missing]).toEqual([count, empty]);
      expect(mean).toBeCloseTo((1e-4 * sum) / count, 7);
      expect([least, most]).toEqual([Math.fround(1e-4 * lowest), Math.fround(1e-4 * highest)]);
    }
  });

  it("is seen as a run has seen it that goes on with it", async () => {
    const { train } = await made;
    const normalization = { mean: [0, 0, 0, 0.5], std: [1, 1, 1, 2] };
    const form = { bands: train.bands, pixelType: "float32", normalization } as const;
    const seen = await makeSyntheticBands(0, form);
    expect(seen.train.normalization).toEqual(normalization);
    expect(seen.test.stretch).toBeUndefined();
  });
});
