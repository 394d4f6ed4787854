/**
 * Training images that are held out, for data without a validation split: what is chosen on them is chosen without a look at
 * the test images.
 */
import { fault } from "../errors.ts";
import { Random } from "../utils/random.ts";
import type { DataSplits } from "./dataset.ts";
import { SubsetDataset } from "./subset.ts";

/**
 * The data with a validation split of this share of each class's training images, which the training split then lacks; as
 * they are where the share is 0. Which images depends on the labels alone, so that all stages and all seeds hold out the same,
 * and a larger share holds out those of a smaller one, too.
 * @throws usage: a share that leaves the training or the validation without images, or of data that have a validation split:
 *   one of the two would go unused
 */
export function withValidation(data: DataSplits, share: number): DataSplits {
  if (share === 0) return data;
  if (data.val !== undefined) refuseTwoValidations(share);
  const divided = dividedBy(data, share);
  if (divided !== undefined) return divided;
  const rule = "must leave images for training and for validation";
  throw fault("usage", { where: "--val_fraction", rule, got: `${share} of ${data.train.length} images` });
}

/** @throws usage */
export function refuseTwoValidations(share: number): never {
  const rule = "must be 0 for data with a validation split of their own";
  throw fault("usage", { where: "--val_fraction", rule, got: share, next: "leave out the flag, or the split" });
}

/**
 * The data of a run that held out this share, as it learned from them. Of other data, known by their fingerprint, it held out
 * nothing: they are as they are, with a validation split of their own or none.
 * @param fingerprint of the images that the run learned from
 */
export function asHeldOut(data: DataSplits, share: number, fingerprint: string): DataSplits {
  const divided = share === 0 ? data : dividedBy(data, share);
  return divided?.train.fingerprint === fingerprint ? divided : data;
}

/** None where a side would have no images. */
function dividedBy({ train, test }: DataSplits, share: number): DataSplits | undefined {
  const held = heldOut(train.labels, train.classes.length, share, "validation");
  const images = Uint32Array.from(train.labels.keys());
  const [val, learned] = [true, false].map((isHeld) => images.filter((image) => held.has(image) === isHeld));
  if (val.length === 0 || learned.length === 0) return undefined;
  return { train: new SubsetDataset(train, learned), test, val: new SubsetDataset(train, val) };
}

/**
 * As many of each class as are nearest to its share: which, is chance, and the same for the same labels.
 * @param purpose what they are held out for: each has a chance of its own
 */
export function heldOut(
  labels: Int32Array,
  classes: number,
  share: number,
  purpose: "validation" | "test",
): Set<number> {
  const order = new Random(0, purpose).shuffle(Uint32Array.from(labels.keys()));
  const wanted = Array.from({ length: classes }, () => 0);
  for (const label of labels) wanted[label] += share;
  const left = wanted.map(Math.round);
  return new Set(order.filter((image) => left[labels[image]]-- > 0));
}
