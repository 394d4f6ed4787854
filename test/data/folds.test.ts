/** Training images in folds: how many of each class, which they are, and what a classifier that leaves one out learns from. */
import { describe, expect, it } from "vitest";
import type { DataSplits } from "../../src/data/dataset.ts";
import { foldsOf, parseFold, withoutFold } from "../../src/data/folds.ts";
import { asHeldOut, withValidation } from "../../src/data/validation.ts";
import { imagesOf, numberedImages } from "./numbered.ts";

const numbered = (labels: readonly number[]) => numberedImages(labels, ["a", "b", "c"]);

/** 20 images of class 0, 9 of class 1 and one of class 2, mixed. */
const labels = Array.from({ length: 30 }, (_, i) => (i === 17 ? 2 : i % 3 === 0 && i > 0 ? 1 : 0));
const whole = numbered(labels);
const data: DataSplits = { train: whole, test: numbered([0, 1, 2]) };

/** How many images of each class a fold has. */
const sizes = (folds: Uint8Array, fold: number) =>
  [0, 1, 2].map((label) => labels.filter((own, image) => own === label && folds[image] === fold).length);

describe("folds", () => {
  it("have the same share of each class and of all images, but for one", () => {
    // Dealt in turn: 20 of class 0 from fold 0 on; 9 from fold 0 on; the last, the 30th, falls to fold 1.
    const two = foldsOf(whole, 2);
    expect([0, 1].map((fold) => sizes(two, fold))).toEqual([
      [10, 5, 0],
      [10, 4, 1],
    ]);
    // 20 = 7 + 7 + 6; the 9 begin with fold 2, and so does the last.
    const three = foldsOf(whole, 3);
    expect([0, 1, 2].map((fold) => sizes(three, fold))).toEqual([
      [7, 3, 0],
      [7, 3, 0],
      [6, 3, 1],
    ]);
  });

  it("depend on the labels alone", () => {
    const others = { ...numbered(labels), labels: Int32Array.from(labels), name: "others", fingerprint: "another" };
    expect(foldsOf(others, 4)).toEqual(foldsOf(whole, 4));
    // By chance, and not by the order of the images.
    const inOrder = labels.map((label, image) => labels.slice(0, image).filter((own) => own === label).length % 2);
    expect([...foldsOf(whole, 2)]).not.toEqual(inOrder);
  });

  it("are each left out by one classifier, and learned from by all others", async () => {
    const learned = await Promise.all([1, 2, 3].map((i) => imagesOf(withoutFold(data, `${i}/3`).train)));
    const all = Array.from({ length: 30 }, (_, i) => i);
    const folds = foldsOf(whole, 3);
    expect(learned).toEqual([0, 1, 2].map((fold) => all.filter((image) => folds[image] !== fold)));
    expect(all.map((image) => learned.filter((images) => images.includes(image)).length)).toEqual(Array(30).fill(2));
  });

  it("are of what is left behind the images that are held out, which stay held out", async () => {
    const held = withValidation(data, 0.2);
    const parts = [withoutFold(held, "1/2"), withoutFold(held, "2/2")];
    expect(parts.map(({ val, test }) => [val, test])).toEqual(Array(2).fill([held.val, data.test]));
    const [one, two] = await Promise.all(parts.map(({ train }) => imagesOf(train)));
    const left = await imagesOf(held.train);
    expect([...one, ...two].sort((a, b) => a - b)).toEqual(left);
    // Labels stay with their images.
    expect([...parts[0].train.labels]).toEqual(one.map((image) => labels[image]));
  });

  it("are none where none is named, and refused where there are fewer images", () => {
    expect(withoutFold(data, undefined)).toBe(data);
    const few = { ...data, train: numbered([0, 1]) };
    expect(withoutFold(few, "2/2").train.length).toBe(1);
    expect(() => withoutFold(few, "1/3")).toThrow(
      "--fold: must leave images for each fold, got 1/3 of 2 images; give fewer folds",
    );
  });

  it("are said as i/n", () => {
    expect(parseFold("2/10")).toEqual({ number: 2, count: 10 });
    expect(["", "1", "0/2", "3/2", "1/1", "11/11", "1/2 ", "x1/2", "-1/2"].map(parseFold)).toEqual(
      Array(9).fill(undefined),
    );
  });
});

describe("the data of a run that left out a fold", () => {
  const leftOut = { val_fraction: 0.2, fold: "1/2" };
  const { train, val } = withoutFold(withValidation(data, 0.2), "1/2");

  it("are found again by the fingerprint of what it learned from", async () => {
    const again = asHeldOut(data, leftOut, train.fingerprint);
    expect(await imagesOf(again.train)).toEqual(await imagesOf(train));
    expect(await imagesOf(again.val!)).toEqual(await imagesOf(val!));
    const alone = withoutFold(data, "2/2").train;
    const found = asHeldOut(data, { val_fraction: 0, fold: "2/2" }, alone.fingerprint);
    expect([found.train.fingerprint, found.val]).toEqual([alone.fingerprint, undefined]);
  });

  it("are whole where they are others", () => {
    expect(asHeldOut(data, { ...leftOut, fold: "2/2" }, train.fingerprint)).toBe(data);
    expect(asHeldOut(data, { val_fraction: 0 }, train.fingerprint)).toBe(data);
    const few = { ...data, train: numbered([0]) };
    expect(asHeldOut(few, { val_fraction: 0, fold: "1/2" }, train.fingerprint)).toBe(few);
  });
});
