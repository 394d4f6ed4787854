/**
 * The synthetic scenes (synthetic.ts) as a satellite's sensor would store them: red, green, blue and near infrared in 16 bits, as reflectance
 * times 10,000, with 0 where there are no data. The spots that tell the classes apart are dark in near infrared alone; colours show no
 * more than where the plates are. Stored values go the way of a TIFF's: the scale makes them reflectances, and what is missing is seen as the band's mean.
 */

import { pacer } from "../utils/pacer.ts";
import { Random } from "../utils/random.ts";
import { BandMeter, normalizationOf, stretchOf } from "./band-statistics.ts";
import type { BandStatistics, DataSplits, ImageForm } from "./dataset.ts";
import type { DatasetReader } from "./dataset-reader.ts";
import { MemoryDataset } from "./memory-dataset.ts";
import { fillMissing } from "./normalizations.ts";
import { render } from "./rendering.ts";
import {
  classes,
  drawScene,
  imageSize,
  makeScene,
  type Plate,
  type Scene,
  type Square,
  spotsOf,
  squareOf,
} from "./synthetic.ts";

export const syntheticBands: readonly string[] = ["red", "green", "blue", "nir"];
const pixelsPerImage = imageSize * imageSize;
const valuesPerImage = pixelsPerImage * syntheticBands.length;
/** Of the default splits: half as many as of the scenes in colour, as an image takes five times the memory. */
const lengths = { train: 4000, test: 1000 } as const;

/** A reflectance is so many times the stored value. */
const scale = 1e-4;
const nodata = 0;
/** What a byte of a picture is in stored values, above the darkest. */
const [darkest, perByte] = [100, 30];

/** In near infrared, in bytes of a picture: plants' brightness, and dark water of the spots. */
const infrared = { ground: 1.3, warm: 190, cool: 70, spot: 15 } as const;

/** Every fourth scene lies at the corner of a swath: a triangle of this side has no data. */
const [cornerEvery, cornerSide] = [4, 6];

/** Stored values [32, 32, 4] of the scene `index` of a split, whose class is index % 10. */
export function storedScene(seed: number, split: "train" | "test", index: number): Uint16Array {
  const scene = makeScene(new Random(seed, "synthetic", split, index));
  const random = new Random(seed, "synthetic bands", split, index);
  const label = index % classes.length;
  const colours = new Uint8ClampedArray(pixelsPerImage * 3);
  drawScene(scene, undefined, colours);
  const nir = infraredOf(scene, label);
  const stored = new Uint16Array(valuesPerImage);
  for (let pixel = 0; pixel < pixelsPerImage; pixel++) {
    // Below the steps of a byte, noise of the sensor.
    const noise = random.word();
    for (let band = 0; band < syntheticBands.length; band++) {
      const byte = band < 3 ? colours[3 * pixel + band] : nir[pixel];
      stored[4 * pixel + band] = darkest + Math.round(perByte * byte) + (((noise >>> (8 * band)) & 255) % perByte);
    }
  }
  if (index % cornerEvery === 0) cutCorner(stored, scene.target, random.integer(4));
  return stored;
}

/** In bytes of a picture, [32, 32]. */
function infraredOf({ grey, grain, others, target }: Scene, label: number): Float32Array {
  const out = grain.map((value) => infrared.ground * (grey + value));
  const fill = ({ top, left, side }: Square, value: number) => {
    for (let y = top; y < top + side; y++) out.fill(value, y * imageSize + left, y * imageSize + left + side);
  };
  for (const plate of [...others, { ...target, pattern: label }]) {
    const isWarm = plate.color[0] > plate.color[2];
    fill(squareOf(plate), isWarm ? infrared.warm : infrared.cool);
    for (const spot of spotsOf(plate)) fill(spot, infrared.spot);
  }
  return out;
}

/** Takes the data of a corner away, unless the target reaches into it, which would then look like another class's. */
function cutCorner(stored: Uint16Array, target: Plate, corner: number): void {
  const [atRight, atBottom] = [corner % 2 === 1, corner >= 2];
  const { top, left, side } = squareOf(target);
  const across = atRight ? imageSize - left - side : left;
  const down = atBottom ? imageSize - top - side : top;
  if (across < cornerSide && down < cornerSide) return;
  for (let y = 0; y < cornerSide; y++) {
    for (let x = 0; x + y < cornerSide; x++) {
      const [column, row] = [atRight ? imageSize - 1 - x : x, atBottom ? imageSize - 1 - y : y];
      const at = 4 * (row * imageSize + column);
      stored.fill(nodata, at, at + 4);
    }
  }
}

const rendering = {
  bands: syntheticBands.map((_, band) => band),
  type: "float32",
  measured: syntheticBands.map(() => ({ scale, offset: 0 })),
  nodata,
} as const;

/** Reflectances [length, 32, 32, 4] of a split; NaN where there are no data. */
async function reflectances(seed: number, split: "train" | "test"): Promise<Float32Array> {
  const images = new Float32Array(lengths[split] * valuesPerImage);
  const turn = pacer();
  for (let index = 0; index < lengths[split]; index++) {
    const samples = storedScene(seed, split, index);
    const planes = syntheticBands.map((_, offset) => ({ samples, stride: syntheticBands.length, offset }));
    images.set(await render(planes, pixelsPerImage, rendering), index * valuesPerImage);
    await turn();
  }
  return images;
}

async function statisticsOf(images: Float32Array): Promise<BandStatistics[]> {
  const meter = new BandMeter(syntheticBands);
  const turn = pacer();
  for (let start = 0; start < images.length; start += valuesPerImage) {
    meter.add(images.subarray(start, start + valuesPerImage));
    await turn();
  }
  return meter.statistics();
}

/**
 * Generates both splits, which takes seconds; signals are let in.
 * @param form how a run has seen the images that goes on with them; measured over the training split when absent
 */
export async function makeSyntheticBands(seed = 0, form?: ImageForm): Promise<DataSplits> {
  const [train, test] = [await reflectances(seed, "train"), await reflectances(seed, "test")];
  const measured = form === undefined ? await statisticsOf(train) : undefined;
  const { normalization, stretch } = form ?? {
    normalization: normalizationOf(measured!),
    stretch: stretchOf(measured!),
  };
  const split = (images: Float32Array): MemoryDataset => {
    fillMissing(images, normalization.mean);
    const labels = Int32Array.from({ length: images.length / valuesPerImage }, (_, index) => index % classes.length);
    const shared = { name: "synthetic_bands", classes, imageSize, bands: syntheticBands, normalization, stretch };
    // Not augmented, for the reasons of the scenes in colour.
    return new MemoryDataset({ ...shared, labels, images, augmented: false });
  };
  return { train: split(train), test: split(test) };
}

export const syntheticBandsReader: DatasetReader = {
  imageSize,
  classes,
  open: ({ seed, form }) => makeSyntheticBands(seed, form),
  measure: async ({ seed = 0 }) => statisticsOf(await reflectances(seed, "train")),
};
