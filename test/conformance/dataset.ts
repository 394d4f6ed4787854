/** What every data set must do, whatever it reads: call it within a test file with a way to open the data set. */

import { describe, expect, it } from "vitest";
import { type Dataset, imageLength } from "../../src/data/dataset.ts";
import { checkDataset } from "../../src/data/dataset-rules.ts";

/**
 * @param title what is opened
 * @param open opens the data set; called anew for each test
 * @param openChanged opens it with one label, pixel or image changed
 */
export function datasetConformance(
  title: string,
  open: () => Promise<Dataset>,
  openChanged: () => Promise<Dataset>,
): void {
  const readOne = async (dataset: Dataset, index: number): Promise<Uint8Array> => {
    const out = new Uint8Array(imageLength(dataset));
    await dataset.read(Uint32Array.of(index), out);
    return out;
  };

  describe(`${title} as a data set`, () => {
    it("has a label within its classes for each image", async () => {
      const { classes, labels, length } = await open();
      expect(length).toBeGreaterThan(0);
      expect(labels.length).toBe(length);
      expect(new Set(classes).size).toBe(classes.length);
      expect([...labels].filter((label) => label < 0 || label >= classes.length)).toEqual([]);
    });

    it("reads the same bytes each time, alone or among others, in the order asked for", async () => {
      const dataset = await open();
      const bytes = imageLength(dataset);
      const last = dataset.length - 1;
      const out = new Uint8Array(3 * bytes).fill(7);
      expect([...(await dataset.read(Uint32Array.of(last, 0, last), out))]).toEqual([last, 0, last]);
      const image = (position: number): Uint8Array => out.subarray(position * bytes, (position + 1) * bytes);
      expect(Buffer.compare(image(0), await readOne(dataset, last))).toBe(0);
      expect(Buffer.compare(image(1), await readOne(dataset, 0))).toBe(0);
      expect(Buffer.compare(image(2), image(0))).toBe(0);
    });

    it("gives the same bits for the same augmentation, whatever the batch", async () => {
      const dataset = await open();
      const bytes = imageLength(dataset);
      const together = new Uint8Array(3 * bytes);
      await dataset.read(Uint32Array.of(0, 0, 0), together, { seed: 7, epoch: 2, firstPosition: 5 });
      for (const slot of [0, 1, 2]) {
        const alone = new Uint8Array(bytes);
        await dataset.read(Uint32Array.of(0), alone, { seed: 7, epoch: 2, firstPosition: 5 + slot });
        const image = together.subarray(slot * bytes, (slot + 1) * bytes);
        expect(Buffer.compare(image, alone)).toBe(0);
      }
    });

    it("gives copies: writing into what was read changes nothing", async () => {
      const dataset = await open();
      const first = await readOne(dataset, 0);
      const kept = first.slice();
      first.forEach((byte, at) => {
        first[at] = byte ^ 255;
      });
      expect(Buffer.compare(await readOne(dataset, 0), kept)).toBe(0);
    });

    it("refuses an index beyond its end", async () => {
      const dataset = await open();
      const read = async (): Promise<Uint32Array> =>
        dataset.read(Uint32Array.of(dataset.length), new Uint8Array(imageLength(dataset)));
      await expect(read()).rejects.toThrow(`index must be below ${dataset.length}, got ${dataset.length}`);
    });

    it("says of itself what a training asks for", async () => {
      checkDataset(await open());
    });

    it("has statistics to normalize by, one a band", async () => {
      const { bands, normalization } = await open();
      const { mean, std } = normalization;
      expect([mean.length, std.length]).toEqual([bands.length, bands.length]);
      expect([...mean, ...std].filter((value) => !(value > 0 && value < 1))).toEqual([]);
    });

    it("has a fingerprint that stays, and that tells a change", async () => {
      const { fingerprint } = await open();
      expect(fingerprint).toMatch(/^[0-9a-f]{64}$/);
      expect((await open()).fingerprint).toBe(fingerprint);
      expect((await openChanged()).fingerprint).not.toBe(fingerprint);
    });
  });
}
