/**
 * What must hold for a data set before anything is learned from it: for one split, for both together with the model, and
 * for the data set with a run that was trained before. All faults are reported at once.
 */

import { type Fault, fault } from "../errors.ts";
import { mostBands, type PixelType, pixelTypes } from "../utils/pixel-array.ts";
import type { DataSplits, Dataset, Normalization } from "./dataset.ts";
import { transforms } from "./transforms.ts";

type Described = Omit<Dataset, "inMemory" | "fingerprint">;

/** Number of classes that an error names. */
const mostNamed = 3;

/**
 * Checks what a data set says about itself, not the bytes of its images. Any {@link Dataset} is checked by this when a
 * training begins.
 * @throws usage: sizes that are not whole numbers above 0; too many or too few labels, or labels outside the classes; names
 *   of classes or bands that are empty or occur twice; values of other types than a Dataset's; statistics that are not one per band, finite, and in units of 0..1
 */
export function checkDataset(dataset: Described): void {
  const unlike = kindFaults(dataset ?? {});
  if (unlike.length > 0) throw fault("usage", ofDataset(dataset?.name, unlike));
  const faults = [
    ...sizeFaults(dataset),
    ...nameFaults("classes", dataset.classes),
    ...nameFaults("bands", dataset.bands),
    ...labelFaults(dataset),
    ...statisticsFaults(dataset, "normalization", dataset.normalization),
    ...(dataset.low === undefined ? [] : statisticsFaults(dataset, "low", dataset.low)),
    ...stretchFaults(dataset),
  ];
  const { pixelType = "uint8", bands } = dataset;
  if (!pixelTypes.includes(pixelType)) {
    faults.push({ where: "pixelType", rule: `must be ${pixelTypes.join(" or ")}`, got: pixelType });
  }
  if (bands.length > mostBands) {
    faults.push({ where: "bands", rule: `must be at most ${mostBands}`, got: bands.length });
  }
  if (!Object.hasOwn(transforms, dataset.transform)) {
    faults.push({ where: "transform", rule: `must be ${Object.keys(transforms).join(", ")}`, got: dataset.transform });
  }
  if (faults.length > 0) throw fault("usage", ofDataset(dataset.name, faults));
}

function ofDataset(name: unknown, faults: readonly Fault[]): Fault[] {
  return faults.map((one) => ({ ...one, where: `data set ${name}: ${one.where}` }));
}

/** A program's data set may be anything, whatever its type promises. */
function kindFaults({ name, classes, bands, normalization, low, stretch, read }: Partial<Described>): Fault[] {
  const { mean, std } = normalization ?? {};
  const ofLow = low === undefined ? {} : { "low.mean": low?.mean, "low.std": low?.std };
  const shown = stretch === undefined ? {} : { "stretch.black": stretch?.black, "stretch.white": stretch?.white };
  const lists = { classes, bands, "normalization.mean": mean, "normalization.std": std, ...ofLow, ...shown };
  const others = Object.entries(lists).filter(([, value]) => !Array.isArray(value));
  return [
    ...(typeof name === "string" ? [] : [{ where: "name", rule: "must be text", got: typeof name }]),
    ...others.map(([where, value]) => ({ where, rule: "must be a list", got: typeof value })),
    ...(typeof read === "function" ? [] : [{ where: "read", rule: "must be a function", got: typeof read }]),
  ];
}

function sizeFaults({ length, imageSize }: Described): Fault[] {
  return Object.entries({ length, imageSize })
    .filter(([, value]) => !Number.isSafeInteger(value) || value < 1)
    .map(([where, got]) => ({ where, rule: "must be a whole number of at least 1", got }));
}

function nameFaults(where: string, names: readonly string[]): Fault[] {
  if (names.length === 0) return [{ where, rule: "must name at least one" }];
  const wrong = names.findIndex((name, i) => typeof name !== "string" || name === "" || names.indexOf(name) !== i);
  if (wrong === -1) return [];
  return [{ where: `${where}[${wrong}]`, rule: "must be a name that no other has", got: names[wrong] || "nothing" }];
}

function labelFaults({ labels, length, classes }: Described): Fault[] {
  if (!(labels instanceof Int32Array)) return [{ where: "labels", rule: "must be an Int32Array" }];
  if (labels.length !== length) {
    return [{ where: "labels", rule: `must be one per image, ${length}`, got: labels.length }];
  }
  const wrong = labels.findIndex((label) => label < 0 || label >= classes.length);
  if (wrong === -1 || classes.length === 0) return [];
  return [{ where: `labels[${wrong}]`, rule: `must be in 0..${classes.length - 1}`, got: labels[wrong] }];
}

function stretchFaults({ stretch, bands }: Described): Fault[] {
  if (stretch === undefined) return [];
  const { black, white } = stretch;
  const fits = [black, white].every((values) => values.length === bands.length && values.every(Number.isFinite));
  if (fits) return [];
  return [{ where: "stretch", rule: `must have one number per band (${bands.length}) of black, and of white` }];
}

function statisticsFaults(
  { bands, pixelType = "uint8" }: Described,
  name: "normalization" | "low",
  { mean, std }: Normalization,
): Fault[] {
  const faults: Fault[] = [];
  const check = (where: string, values: readonly number[], fits: (value: number) => boolean, range: string) => {
    const rule = `must be one number per band (${bands.length}), ${range}`;
    if (values.length === bands.length && values.every(fits)) return;
    faults.push({ where: `${name}.${where}`, rule, got: values.join(", ") || "nothing" });
  };
  if (pixelType === "float32") {
    check("mean", mean, Number.isFinite, "in the values' own units");
    check("std", std, (value) => value > 0 && Number.isFinite(value), "above 0, in the values' own units");
    return faults;
  }
  check("mean", mean, (value) => value >= 0 && value <= 1, "from 0 to 1: divide values in units of bytes by 255");
  check(
    "std",
    std,
    (value) => value > 0 && value <= 1,
    "above 0 and at most 1: divide values in units of bytes by 255",
  );
  return faults;
}

/** What a model takes, or a run has learned from. */
export interface TakenImages {
  /** Side in pixels. */
  readonly imageSize: number;
  /** Those of a run, in their order; a model takes any. */
  readonly bands?: readonly string[];
  readonly pixelType?: PixelType | undefined;
  /** Whether a run has learned from pairs; a model takes both. */
  readonly isPaired?: boolean | undefined;
}

/**
 * Checks the splits, that they belong together, and that they fit the model.
 * @throws usage: as {@link checkDataset}; splits that differ in more than their images; images that the model does not take
 */
export function checkSplits({ train, test, val }: DataSplits, model: TakenImages): void {
  const splits = Object.entries({ train, test, ...(val && { val }) });
  for (const [, split] of splits) checkDataset(split);
  const shared = ["classes", "imageSize", "bands", "pixelType", "normalization", "low", "transform"] as const;
  const differs = (name: (typeof shared)[number]) =>
    splits.some(([, split]) => JSON.stringify(split[name]) !== JSON.stringify(train[name]));
  const faults: Fault[] = shared.filter(differs).map((name) => ({
    where: `data set ${train.name}: ${name}`,
    rule: val === undefined ? "must be the same for training and test" : "must be the same for all splits",
  }));
  const where = `data set ${train.name}`;
  if (train.imageSize !== model.imageSize) faults.push({ where, ...sizeFault(train.imageSize, model.imageSize) });
  const { bands, pixelType = "uint8", isPaired } = model;
  if (isPaired !== undefined) faults.push(...pairFaults(train, isPaired));
  if (bands !== undefined && String(train.bands) !== String(bands)) {
    const rule = `must have the bands that the run has learned from: ${bands.join(", ")}`;
    faults.push({ where, rule, got: train.bands.join(", "), next: "give --bands" });
  }
  if (bands !== undefined && (train.pixelType ?? "uint8") !== pixelType) {
    const [wanted, got] = [pixelType, train.pixelType ?? "uint8"].map((type) =>
      type === "uint8" ? "bytes" : "measured values",
    );
    faults.push({
      where,
      rule: `must be ${wanted}, as the run has learned from`,
      got,
      next: "check --bands and --scale",
    });
  }
  for (const [split, { fingerprint }] of splits) {
    if (typeof fingerprint === "string" && fingerprint !== "") continue;
    faults.push({ where: `${where}: ${split}.fingerprint`, rule: "must be text", got: typeof fingerprint });
  }
  if (faults.length > 0) throw fault("usage", faults);
}

/** Where the low resolution comes from is a part of what networks have learned. @param isPaired whether they have learned from pairs */
export function pairFaults({ name, low }: Pick<Dataset, "name" | "low">, isPaired: boolean): Fault[] {
  if (isPaired === (low !== undefined)) return [];
  const where = `data set ${name}`;
  if (!isPaired) {
    const rule = "must be images alone, since the run makes the low resolution of the image itself";
    return [{ where, rule, got: "pairs: a column low in its lists", next: "take the column out, or train on pairs" }];
  }
  const rule = "must be pairs, since the run takes the low resolution from a picture beside the image";
  return [{ where, rule, got: "images alone", next: "give lists with a column low" }];
}

/**
 * Checks that there is something to tell apart: whoever always gives the one answer is always right.
 * @throws input: training images of one class
 */
export function checkLearnable({ train: { name, classes, labels } }: DataSplits): void {
  const [only] = labels;
  if (labels.some((label) => label !== only)) return;
  throw fault("input", {
    where: `data set ${name}`,
    rule: "must have training images of two classes or more, else there is nothing to learn",
    got: `${labels.length} of ${classes[only]} alone`,
    next: "give a folder, or a label in the lists, to each of the things that are to be told apart",
  });
}

/** A data set whose images are not of the model's size. */
export function sizeFault(has: number, takes: number): Pick<Fault, "rule" | "next"> {
  const rule = `has images of ${has} × ${has}, the model takes ${takes} × ${takes}`;
  return { rule, next: "choose another model or data set" };
}

/**
 * Checks that a run that was trained before knows a data set's classes.
 * @param known classes of the run, or their number where it does not say more
 * @param where the run's name in errors, e.g. "--load runs/hr"
 * @throws input: another number of classes, or other names in their order (names that are numbers only fit any)
 */
export function checkClasses(
  known: readonly string[] | number,
  { name, classes }: Pick<Dataset, "name" | "classes">,
  where: string,
): void {
  const count = typeof known === "number" ? known : known.length;
  const next = "give the data that the run was trained on, or train a classifier on these";
  if (count !== classes.length) {
    const got = typeof known === "number" ? `${count} classes` : `${count}${difference(known, classes)}`;
    throw fault("input", {
      where,
      rule: `must know the ${classes.length} classes of ${name} and no others`,
      got,
      next,
    });
  }
  if (typeof known === "number" || areNumbers(known) || areNumbers(classes)) return;
  // Accents may be spelled in two ways; class folders' are composed since 0.2.0.
  const other = known.findIndex((own, label) => own.normalize() !== classes[label].normalize());
  if (other === -1) return;
  throw fault("input", {
    where,
    rule: `must call class ${other} ${classes[other]}, as ${name}`,
    got: known[other],
    next,
  });
}

/** ", without Airport and with airplane, automobile, bird, …" */
function difference(known: readonly string[], classes: readonly string[]): string {
  const parts = [some("without", classes, known), some("with", known, classes)].filter((part) => part !== undefined);
  return parts.length === 0 ? "" : `, ${parts.join(" and ")}`;
}

/** The first of those names that are not among the others. */
function some(word: string, names: readonly string[], others: readonly string[]): string | undefined {
  const spelled = new Set(others.map((name) => name.normalize()));
  const missing = names.filter((name) => !spelled.has(name.normalize()));
  if (missing.length === 0) return undefined;
  return `${word} ${firstOf(missing)}`;
}

/** "Airport, BareLand, BaseballField, …" */
export function firstOf(names: readonly string[]): string {
  return `${names.slice(0, mostNamed).join(", ")}${names.length > mostNamed ? ", …" : ""}`;
}

/** Lists without names call their classes 0, 1, …; another reader of the same images may know their names. */
function areNumbers(classes: readonly string[]): boolean {
  return classes.every((name, label) => name === String(label));
}
