/**
 * Data on which looking must pay, by construction: CIFAR-10's images, each at one of nine places in a textured scene, whatever
 * its class. The low resolution shows where the image lies, and little of what it is; 4 of 16 patches hold all of it, but no
 * 4 patches do so for every scene. Written as class folders (docs/headroom.md).
 *
 * Image n of a split is of class n % 10, so that a larger set begins with a smaller one.
 */

import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { type Fault, fault, PatchDropError, within } from "../errors.ts";
import { assertNameFits, makeFolder, makeFolderAtomic } from "../files/atomic.ts";
import { nowAndThen } from "../utils/now-and-then.ts";
import { Random } from "../utils/random.ts";
import { cifar10Classes } from "./cifar-classes.ts";
import { type DataSplits, type Dataset, imageLength, readImages } from "./dataset.ts";
import { openDataSplits } from "./open.ts";

const sceneSize = 64;
const objectSize = 32;
const patchSize = 16;
/** Places along a side that begin with a patch. */
const placesPerSide = (sceneSize - objectSize) / patchSize + 1;

const waveCount = 6;
/** In pixels. The low resolution takes every fourth, which shows waves of 8 and more. */
const shortestWave = 9;
/** Lengths of textures lie between the shortest and so many times it. */
const waveRange = 2.5;
/** Radians within which a texture's waves run: it has a direction. */
const spread = 1;
/** A channel's mean lies in this range. */
const meanRange: readonly [number, number] = [70, 185];
/** The most that a wave adds to a channel; six waves deviate by as much in the root mean square. */
const highestWave = 27;

/** Where an object's top left corner lies, in patches. */
export interface Place {
  readonly row: number;
  readonly column: number;
}

/** One of the nine places, all equally likely. */
export function drawPlace(random: Random): Place {
  const place = random.integer(placesPerSide ** 2);
  return { row: Math.floor(place / placesPerSide), column: place % placesPerSide };
}

/** A plane wave: its phase at pixel (x, y) is x · right + y · down + phase. */
interface Wave {
  readonly right: number;
  readonly down: number;
  readonly phase: number;
  readonly color: readonly number[];
}

/** Smooth coloured noise, [64, 64, 3]: some waves of about one direction and one length. */
export function drawTexture(random: Random): Uint8ClampedArray {
  const mean = colorBetween(random, ...meanRange);
  const waves = drawWaves(random);
  const texture = new Uint8ClampedArray(3 * sceneSize ** 2);
  for (let pixel = 0; pixel < sceneSize ** 2; pixel++) {
    const [x, y] = [pixel % sceneSize, Math.floor(pixel / sceneSize)];
    const color = [...mean];
    for (const wave of waves) {
      const height = Math.sin(x * wave.right + y * wave.down + wave.phase);
      for (let channel = 0; channel < 3; channel++) color[channel] += height * wave.color[channel];
    }
    texture.set(color, 3 * pixel);
  }
  return texture;
}

function drawWaves(random: Random): Wave[] {
  const direction = between(random, 0, Math.PI);
  const length = shortestWave * waveRange ** random.uniform();
  return Array.from({ length: waveCount }, () => {
    const angle = direction + between(random, -spread / 2, spread / 2);
    const perPixel = (2 * Math.PI) / (length * between(random, 0.9, 1.4));
    return {
      right: Math.cos(angle) * perPixel,
      down: Math.sin(angle) * perPixel,
      phase: between(random, 0, 2 * Math.PI),
      color: colorBetween(random, -highestWave, highestWave),
    };
  });
}

function colorBetween(random: Random, low: number, high: number): number[] {
  return Array.from({ length: 3 }, () => between(random, low, high));
}

function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random.uniform();
}

/** Lays an object [32, 32, 3] into a scene [64, 64, 3]. */
export function paste(object: Uint8Array, { row, column }: Place, scene: Uint8ClampedArray): void {
  const rowBytes = 3 * objectSize;
  for (let y = 0; y < objectSize; y++) {
    const at = 3 * ((row * patchSize + y) * sceneSize + column * patchSize);
    scene.set(object.subarray(y * rowBytes, (y + 1) * rowBytes), at);
  }
}

export interface PositiveControlOptions {
  /** A folder that holds CIFAR-10 in any of its layouts, or as class folders. */
  readonly input: string;
  /** The folder to make. */
  readonly output: string;
  /** Numbers of scenes, multiples of 10. */
  readonly train: number;
  readonly test: number;
  readonly seed: number;
  /** Takes a line of text now and then. */
  readonly say?: ((text: string) => void) | undefined;
}

const splitNames = ["train", "test"] as const;
type SplitName = (typeof splitNames)[number];

/**
 * Writes train/<class>/ and test/<class>/ of PNG files. The folder appears when it is complete.
 * @throws usage: a folder that exists, a number that the classes cannot share; input: not CIFAR-10, too few images
 */
export async function makePositiveControl(options: PositiveControlOptions): Promise<void> {
  const { input, output, say } = options;
  checkOptions(options);
  const { train, test } = await openObjects(input, say);
  const parts = [chooseObjects("train", train, options), chooseObjects("test", test, options)];
  await makeFolderAtomic(output, async (folder) => {
    for (const part of parts) await writeScenes(folder, part, options);
  });
}

function checkOptions({ output, seed, ...options }: PositiveControlOptions): void {
  assertNameFits(output);
  const faults: Fault[] = [];
  if (existsSync(output)) faults.push({ where: output, rule: "must not exist yet", next: "give another folder" });
  if (!Number.isSafeInteger(seed)) faults.push({ where: "--seed", rule: "must be a whole number", got: seed });
  for (const split of splitNames) {
    const got = options[split];
    if (Number.isSafeInteger(got) && got > 0 && got % cifar10Classes.length === 0) continue;
    faults.push({ where: `--${split}`, rule: "must be a multiple of 10, as many scenes of each class", got });
  }
  if (faults.length > 0) throw fault("usage", faults);
}

/** CIFAR-10 as the program's readers find it. */
async function openObjects(input: string, say: PositiveControlOptions["say"]): Promise<DataSplits> {
  const next = "give the folder of CIFAR-10";
  const splits = await openDataSplits({ dataDir: input, imageSize: objectSize, preferred: "cifar10", say }).catch(
    (error) => {
      const rule = "must hold all of CIFAR-10's images";
      throw error instanceof PatchDropError ? within({ where: input, rule, next }, error) : error;
    },
  );
  const missing = cifar10Classes.filter((name) => !splits.train.classes.includes(name));
  if (missing.length === 0) return splits;
  throw fault("input", {
    where: input,
    rule: "must hold CIFAR-10's classes",
    got: `no ${missing.join(", no ")}`,
    next,
  });
}

/** One split's objects. */
interface Part {
  readonly split: SplitName;
  readonly dataset: Dataset;
  /** The image of each scene. */
  readonly chosen: readonly number[];
}

/** The first images of each class, the classes in turn. */
function chooseObjects(split: SplitName, dataset: Dataset, options: PositiveControlOptions): Part {
  const perClass = options[split] / cifar10Classes.length;
  const ofClass = cifar10Classes.map((name) => indicesOf(dataset, dataset.classes.indexOf(name)));
  const scarce = ofClass.findIndex(({ length }) => length < perClass);
  if (scarce !== -1) {
    const rule = `must hold at least ${perClass} ${split} images of each class`;
    const got = `${ofClass[scarce].length} of ${cifar10Classes[scarce]}`;
    throw fault("input", { where: options.input, rule, got, next: `lower --${split}` });
  }
  const chosen = Array.from({ length: options[split] }, (_, n) => {
    return ofClass[n % cifar10Classes.length][Math.floor(n / cifar10Classes.length)];
  });
  return { split, dataset, chosen };
}

function indicesOf({ labels }: Dataset, label: number): number[] {
  return Array.from(labels.keys()).filter((index) => labels[index] === label);
}

async function writeScenes(
  folder: string,
  { split, dataset, chosen }: Part,
  options: PositiveControlOptions,
): Promise<void> {
  const { seed, say } = options;
  const onWritten = nowAndThen(say, (done: number) => `${split}: ${done} of ${chosen.length} scenes`);
  for (const name of cifar10Classes) makeFolder(join(folder, split, name));
  const object = new Uint8Array(imageLength(dataset));
  for (const [n, index] of chosen.entries()) {
    await readImages(dataset, Uint32Array.of(index), object);
    const random = new Random(seed, "positive control", split, n);
    const place = drawPlace(random);
    const scene = drawTexture(random);
    paste(object, place, scene);
    const name = `${String(n).padStart(5, "0")}.png`;
    await writeFile(join(folder, split, cifar10Classes[n % cifar10Classes.length], name), await toPng(scene));
    onWritten(n + 1);
  }
}

function toPng(scene: Uint8ClampedArray): Promise<Buffer> {
  return sharp(scene, { raw: { width: sceneSize, height: sceneSize, channels: 3 } })
    .png()
    .toBuffer();
}
