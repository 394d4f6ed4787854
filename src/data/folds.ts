/**
 * Training images in folds, for cross-fitting: a classifier that learns from all folds but one can judge the images of that
 * one without having seen them.
 */
import { fault } from "../errors.ts";
import { Random } from "../utils/random.ts";
import type { DataSplits, Dataset } from "./dataset.ts";
import { SubsetDataset } from "./subset.ts";

/** One fold of several, as "1/2" says it. */
export interface Fold {
  /** From 1. */
  readonly number: number;
  readonly count: number;
}

export const foldRule = "must be i/n, fold i of n, with n from 2 to 10, such as 1/2";
export const mostFolds = 10;

/** Nothing where the text breaks {@link foldRule}. */
export function parseFold(text: string): Fold | undefined {
  if (!/^[1-9]\d?\/[1-9]\d?$/.test(text)) return undefined;
  const [number, count] = text.split("/").map(Number);
  return count >= 2 && count <= mostFolds && number <= count ? { number, count } : undefined;
}

/**
 * The fold of each image, counted from 0, [length]: of each class, and of all images, as many in each fold, but for one. Which
 * images depends on the labels alone, so that all stages and all seeds have the same folds.
 */
export function foldsOf({ labels }: Pick<Dataset, "labels">, count: number): Uint8Array {
  const order = new Random(0, "folds").shuffle(Uint32Array.from(labels.keys()));
  // Classes one after the other, and the images of each as chance has them.
  const dealt = Array.from(order).sort((a, b) => labels[a] - labels[b]);
  const folds = new Uint8Array(labels.length);
  for (const [place, image] of dealt.entries()) folds[image] = place % count;
  return folds;
}

/**
 * The data with the training images of all folds but this one; as they are where none is named.
 * @throws usage: fewer images than folds
 */
export function withoutFold(data: DataSplits, fold: string | undefined): DataSplits {
  if (fold === undefined) return data;
  const left = leftBy(data, fold);
  if (left !== undefined) return left;
  const got = `${fold} of ${data.train.length} images`;
  throw fault("usage", { where: "--fold", rule: "must leave images for each fold", got, next: "give fewer folds" });
}

/** The same; nothing where a fold would have no images. */
export function leftBy(data: DataSplits, fold: string): DataSplits | undefined {
  const { train } = data;
  const parsed = parseFold(fold);
  if (parsed === undefined || train.length < parsed.count) return undefined;
  const folds = foldsOf(train, parsed.count);
  const left = Uint32Array.from(train.labels.keys()).filter((image) => folds[image] !== parsed.number - 1);
  return { ...data, train: new SubsetDataset(train, left) };
}
