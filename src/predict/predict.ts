/**
 * `patchdrop predict`: what a trained run says about images, a line each. Threads decode the next batch while the networks
 * look at this one; no more than these two are held, however many images there are.
 */

import type { Readable, Writable } from "node:stream";
import { DecodePool } from "../data/decode-pool.ts";
import type { UnreadableImage } from "../data/decode-worker.ts";
import { inOrder } from "../data/in-order.ts";
import { overRendering } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import { openRun } from "../inference/open-run.ts";
import type { OpenedRun, Predicted } from "../inference/opened-run.ts";
import { composite, compositeOf } from "../method/composite.ts";
import { countPatches, maskBits } from "../method/grid.ts";
import type { PredictOptions } from "../options/predict-options.ts";
import { newPixels, type PixelArray } from "../utils/pixel-array.ts";
import { breathe, type Reporter, silentReporter, untilStopped } from "../utils/reporter.ts";
import { row } from "../utils/rows.ts";
import { findImages } from "./find-images.ts";
import {
  csvLines,
  jsonLines,
  likeliest,
  type Made,
  type Prediction,
  rounded,
  settingsText,
  type Unreadable,
} from "./lines.ts";
import { checkPictures, overlay, writePicture } from "./pictures.ts";
import { openResults } from "./results.ts";

/** Batches that are read or being read. */
const batchesHeld = 2;

export interface PredictStreams {
  /** Has the paths of the argument `-`. */
  readonly input: Readable;
  /** Gets the lines where no file does. */
  readonly output: Writable;
}

/** Including those of the run that was resumed. */
export interface PredictCounts {
  readonly images: number;
  readonly unreadable: number;
}

/**
 * @param args files, folders, patterns, `-`
 * @throws what openRun, findImages, checkPictures and openResults throw; system: a picture that can't be written; Stopped, behind a
 *   whole batch
 */
export async function predict(
  args: readonly string[],
  options: PredictOptions,
  { input, output }: PredictStreams,
  reporter: Reporter = silentReporter,
): Promise<PredictCounts> {
  const found = await untilStopped(
    reporter,
    findImages(args, input, (text) => reporter.note(text)),
  );
  await checkPictures(found, options, reporter);
  const run = await openRun(options, reporter);
  try {
    refusePairs(run, options);
    // What cannot be shown is refused before anything is written.
    compositeOf(run.description, options.composite);
    const made = { checkpoint: run.checkpoint, settings: settingsOf(run, options) };
    const format = options.format === "csv" ? csvLines(Math.min(options.top, run.classes.length)) : jsonLines;
    const { results, recovered } = await openResults(options, { format, made, stream: output, reporter });
    const paths = found.filter((path) => !recovered.paths.has(path));
    if (found.length > 0 && paths.length === 0) {
      reporter.note(`${options.out} has all ${recovered.paths.size} images already: nothing is left to do`);
    }
    const bar = reporter.progress("predict", recovered.paths.size + paths.length, recovered.paths.size);
    const counts = { images: recovered.paths.size, unreadable: recovered.unreadable };
    try {
      for await (const said of describedBatches(paths, { run, made, options, reporter })) {
        await results.write(said.map(format.line).join(""));
        counts.images += said.length;
        counts.unreadable += said.filter((one) => "error" in one).length;
        bar.update(counts.images);
        await breathe(reporter);
      }
    } finally {
      bar.stop();
      results.close();
    }
    return counts;
  } finally {
    await run.free();
  }
}

/** @throws input: a run whose low resolution comes from other pictures, of which nothing is known here */
export function refusePairs({ seesPairs }: OpenedRun, { load }: PredictOptions): void {
  if (!seesPairs) return;
  throw fault("input", {
    where: `--load ${load}`,
    rule: "must make the low resolution of the image itself, since predict is given images alone",
    got: "a run that has learned from pairs",
    next: "use eval with lists that have a column low, or acquire with --low",
  });
}

/** What is said of the images, batch by batch; pictures are written before. */
async function* describedBatches(
  paths: readonly string[],
  { run, made, options, reporter }: { run: OpenedRun; made: Made; options: PredictOptions; reporter: Reporter },
): AsyncGenerator<(Prediction | Unreadable)[]> {
  const pool = poolFor(run, options);
  const decode = (batch: readonly string[]) => decodeBatch(batch, pool, run);
  let began = performance.now();
  const batches = inOrder(batchesOf(paths, options.batch_size), batchesHeld, decode);
  for (;;) {
    const { done, value: batch } = await untilStopped(reporter, batches.next());
    if (done) return;
    const predicted = await run.predict(batch.pixels);
    const ms = (performance.now() - began) / batch.paths.length;
    await untilStopped(reporter, writePictures(batch, predicted, run, options));
    yield describe(batch, predicted, { run, made, top: options.top, ms });
    began = performance.now();
  }
}

/** Threads that decode images as the run sees them. */
export function poolFor({ model, transform, description }: OpenedRun, options: PredictOptions): DecodePool {
  const rendering = overRendering(options, description.rendering);
  const { num_workers: threads, max_image_bytes: maxImageBytes } = options;
  const { pixelType, normalization } = description;
  const reading = { imageSize: model.imageSize, transform, rendering, pixelType, missing: normalization.mean };
  return new DecodePool({ ...reading, threads, maxImageBytes });
}

/** As they were given or found in the run: which patches are taken, what is seen in place of the others, how images are read. */
export function settingsOf(
  { choice, exit, hasPolicy, description, classes, precision }: OpenedRun,
  options: PredictOptions,
): string {
  const settings = {
    ...(hasPolicy
      ? { ...choice, exit: exit?.confidence, exit_temperature: exit?.temperature, fill: description.fill }
      : {}),
    top: Math.min(options.top, classes.length),
    ...overRendering(options, description.rendering),
    tta: options.tta || undefined,
    precision,
  };
  return settingsText(settings);
}

function* batchesOf(paths: readonly string[], size: number): Generator<readonly string[]> {
  for (let start = 0; start < paths.length; start += size) yield paths.slice(start, start + size);
}

export interface DecodedBatch {
  readonly paths: readonly string[];
  /** [B, S, S, C]; anything in the place of an unreadable image. */
  readonly pixels: PixelArray;
  readonly unreadable: readonly UnreadableImage[];
}

export async function decodeBatch(paths: readonly string[], pool: DecodePool, run: OpenedRun): Promise<DecodedBatch> {
  const { imageSize, channels } = run.model;
  const length = paths.length * imageSize * imageSize * channels;
  const pixels = newPixels(run.description.pixelType, length, { shared: true });
  const unreadable = await pool.decode(
    { paths, slots: Uint32Array.from(paths.keys()), augmentation: undefined },
    pixels,
  );
  return { paths, pixels, unreadable };
}

/** A line's contents for each image of a batch. */
export function describe(
  { paths, unreadable }: DecodedBatch,
  predicted: Predicted,
  { run, made, top, ms }: { run: OpenedRun; made: Made; top: number; ms: number },
): (Prediction | Unreadable)[] {
  const { classes, model } = run;
  const errors = new Map(unreadable.map(({ slot, reason }) => [slot, reason]));
  return paths.map((path, slot) => {
    const error = errors.get(slot);
    if (error !== undefined) return { path, error, ...made };
    const guesses = likeliest(row(predicted.classes, slot, classes.length), classes, top);
    const mask = row(predicted.mask, slot, model.grid.patches);
    const patches = countPatches(mask);
    const isLeft = predicted.left?.[slot] === 1;
    const isUnasked = isLeft && patches === 0;
    return {
      path,
      class: guesses[0].class,
      top: guesses,
      mask: maskBits(mask),
      patches,
      rounds: run.rounds > 1 ? predicted.rounds?.[slot] : undefined,
      left: isLeft || undefined,
      patch_probabilities:
        predicted.patches && !isUnasked
          ? Array.from(row(predicted.patches, slot, model.grid.patches), rounded)
          : undefined,
      pixels: run.pixels(patches),
      ms: rounded(ms),
      ...made,
    };
  });
}

async function writePictures(
  { paths, pixels, unreadable }: DecodedBatch,
  { mask: masks }: Predicted,
  run: OpenedRun,
  { overlay: overlays, masked, composite: asked }: PredictOptions,
): Promise<void> {
  const { grid, imageSize, channels } = run.model;
  const bad = new Set(unreadable.map(({ slot }) => slot));
  const shown = compositeOf(run.description, asked);
  for (const [slot, path] of paths.entries()) {
    if (bad.has(slot)) continue;
    const image = row(pixels, slot, imageSize * imageSize * channels);
    const picture = (some: PixelArray) => composite(some, run.description, shown);
    const mask = row(masks, slot, grid.patches);
    if (overlays !== undefined) await writePicture(overlays, path, overlay(picture(image), mask, grid));
    if (masked !== undefined)
      await writePicture(masked, path, { size: imageSize, pixels: picture(run.seen(image, mask)) });
  }
}
