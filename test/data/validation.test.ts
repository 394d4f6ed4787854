import { describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { SubsetDataset } from "../../src/data/subset.ts";
import { asHeldOut, withValidation } from "../../src/data/validation.ts";
import { imageBytes, imagesOf, numberedImages } from "./numbered.ts";

/** `counts[k]` images of class k, in turn. */
function numbered(...counts: number[]) {
  const labels = counts.flatMap((count, label) => Array<number>(count).fill(label));
  return numberedImages(
    labels,
    counts.map((_, label) => `class${label}`),
  );
}

const whole = numbered(20, 9, 1);
const test = numbered(1, 1, 1);
const classCounts = ({ labels }: Dataset) => [0, 1, 2].map((label) => labels.filter((one) => one === label).length);

describe("a validation split", () => {
  it("has its share of each class, and the training split the rest", async () => {
    const { train, val } = withValidation({ train: whole, test }, 0.25);
    // 5 of 20; 2.25 of 9; 0.25 of 1.
    expect(classCounts(val!)).toEqual([5, 2, 0]);
    expect(classCounts(train)).toEqual([15, 7, 1]);
    const [held, learned] = [await imagesOf(val!), await imagesOf(train)];
    expect([...held, ...learned].sort((a, b) => a - b)).toEqual(Array.from({ length: 30 }, (_, i) => i));
    // Labels stay with their images.
    expect([...val!.labels]).toEqual(held.map((image) => whole.labels[image]));
    expect([...train.labels]).toEqual(learned.map((image) => whole.labels[image]));
  });

  it("is the same for all stages, and part of a larger one", async () => {
    const at = async (share: number) => imagesOf(withValidation({ train: whole, test }, share).val!);
    const [small, again, large] = [await at(0.1), await at(0.1), await at(0.4)];
    expect(again).toEqual(small);
    expect(large).toEqual(expect.arrayContaining(small));
    expect(large).toHaveLength(8 + 4);
  });

  it("is none without a share, or the data's own", () => {
    for (const data of [
      { train: whole, test },
      { train: whole, test, val: test },
    ]) {
      expect(withValidation(data, 0)).toBe(data);
    }
  });

  it("is refused where the data have one", () => {
    expect(() => withValidation({ train: whole, test, val: test }, 0.25)).toThrow(
      "--val_fraction: must be 0 for data with a validation split of their own, got 0.25; leave out the flag, or the split",
    );
  });

  it("is refused where a side would be empty", () => {
    expect(() => withValidation({ train: numbered(2, 2), test }, 0.1)).toThrow(
      "--val_fraction: must leave images for training and for validation, got 0.1 of 4 images",
    );
  });

  it("is, for a run that held some out, those, even if the data have others by now; of other data, their own", async () => {
    const held = withValidation({ train: whole, test }, 0.25);
    const now = { train: whole, test, val: numbered(2, 2, 2) };
    const seen = asHeldOut(now, 0.25, held.train.fingerprint);
    expect(await imagesOf(seen.val!)).toEqual(await imagesOf(held.val!));
    expect(seen.train.length).toBe(23);
    expect(asHeldOut(now, 0.25, "that of other data")).toBe(now);
    expect(asHeldOut(now, 0, whole.fingerprint)).toBe(now);
  });

  it("has a fingerprint of its own, by which a resumed run knows it", () => {
    const of = (share: number, data = whole) => withValidation({ train: data, test }, share).train.fingerprint;
    expect(of(0.25)).toBe(of(0.25));
    expect(new Set([of(0), of(0.25), of(0.5), of(0.25, numbered(20, 10))]).size).toBe(4);
  });
});

describe("some images of a data set", () => {
  const some = Uint32Array.of(3, 7, 21);

  it("are held by a device as the bytes of the same images", async () => {
    const subset = new SubsetDataset(whole, some);
    expect([...subset.inMemory!.images].filter((_, at) => at % imageBytes === 0)).toEqual([3, 7, 21]);
    const moves = { seed: 1, epoch: 0, firstPosition: 0 };
    expect(subset.inMemory!.moves(3, moves)).toEqual(whole.inMemory.moves(3, moves));
    expect(new SubsetDataset({ ...subset, read: subset.read, inMemory: undefined }, some).inMemory).toBeUndefined();
  });

  it("are augmented as the whole's at the same place of a batch", () => {
    const subset = new SubsetDataset(whole, some);
    const augmentation = { seed: 1, epoch: 2, firstPosition: 5 };
    const [own, of] = [new Uint8Array(2 * imageBytes), new Uint8Array(2 * imageBytes)];
    expect(subset.read(Uint32Array.of(2, 0), own, augmentation)).toEqual(Uint32Array.of(2, 0));
    whole.read(Uint32Array.of(21, 3), of, augmentation);
    expect(own).toEqual(of);
  });

  /** As a data set of files does: image 7 can't be read, and the next stands in its place. */
  const replacing = (asynchronous: boolean): Dataset => ({
    ...numbered(20, 9, 1),
    read(indices, out, augmentation) {
      const shown = indices.map((index) => (index === 7 ? 8 : index));
      whole.read(shown, out, augmentation);
      return asynchronous ? Promise.resolve(shown) : shown;
    },
  });

  it.each([true, false])(
    "never have one of the others in place of one that can't be read (asynchronous: %s)",
    async (isLater) => {
      const subset = new SubsetDataset(replacing(isLater), some);
      const out = new Uint8Array(3 * imageBytes);
      // The whole shows image 8, which belongs to another subset: the one at 8 mod 3 takes its place.
      expect(await subset.read(Uint32Array.of(0, 1, 2), out)).toEqual(Uint32Array.of(0, 2, 2));
      expect([0, 1, 2].map((i) => out[i * imageBytes])).toEqual([3, 21, 21]);
    },
  );

  it("are refused where none can be read", async () => {
    const subset = new SubsetDataset(replacing(true), Uint32Array.of(7));
    await expect(subset.read(Uint32Array.of(0), new Uint8Array(imageBytes))).rejects.toThrow(
      "numbered: must hold readable images",
    );
  });
});
