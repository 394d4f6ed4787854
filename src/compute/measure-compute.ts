/**
 * What a run's networks cost on this machine, by the number of patches S that are there: multiply-adds, time and, where the machine tells
 * it, energy. Random images under random masks, since neither time nor energy depends on what an image shows.
 *
 * Shapes: B batch, P patches.
 */
import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import type { RunDescription } from "../checkpoints/description.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { countsOf } from "../evaluation/staged.ts";
import { describeRun, modelIn } from "../inference/describe-run.ts";
import type { HeldBatch, Views } from "../inference/engine.ts";
import type { Place } from "../inference/libtorch-engine.ts";
import { networksIn, openLearners, openSaved } from "../inference/open-run.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import { seesMask } from "../method/arch.ts";
import { masksOfCount } from "../method/grid.ts";
import { declaredNetwork, freshNetwork, type NetworkName } from "../models/networks.ts";
import { listGpus } from "../native/gpus.ts";
import { multiplyAddsWith } from "../nn/declare.ts";
import { choosePrecision, type Precision } from "../nn/precision.ts";
import type { ProfileOptions } from "../options/profile-options.ts";
import { type Device, deviceCodes } from "../tensor/device.ts";
import { startLibtorch } from "../tensor/start.ts";
import { processorName } from "../utils/cpu.ts";
import { defined } from "../utils/defined.ts";
import { newPixels, type PixelArray, type PixelType } from "../utils/pixel-array.ts";
import { busyBetween, readUsage } from "../utils/processors.ts";
import { Random } from "../utils/random.ts";
import { breathe, type Reporter, silentReporter } from "../utils/reporter.ts";
import { type Energy, type EnergyMeter, openEnergy } from "./energy.ts";

/** What is measured: a run's network, or "dense", the model's own classifier beside one that works on the patches that are there. */
export type Measured = NetworkName | "dense";

/** Of half of what was measured: between the first quartile and the third; with the median. */
export interface Quartiles {
  readonly low: number;
  readonly median: number;
  readonly high: number;
}

/** One network, on batches of one size; all per image. */
export interface ComputeRow {
  readonly network: Measured;
  /** S, of each image; none where a network sees the low resolution, or, of a policy, is asked once whatever it takes. */
  readonly patches?: number | undefined;
  /** B */
  readonly batch: number;
  /** Of convolutions and linear layers. */
  readonly multiplyAdds: number;
  readonly milliseconds: Quartiles;
  /** Mean over all timed passes; none where the machine does not tell. */
  readonly joules?: number | undefined;
  /** That were timed. */
  readonly passes: number;
}

/** What it was measured on. */
export interface ComputeMachine {
  readonly processor: string;
  /** "cpu", or the GPU's name. */
  readonly device: string;
  readonly threads: number;
  readonly precision: Precision;
  /** libtorch's version. */
  readonly libtorch: string;
  /** ISO 8601, in UTC. */
  readonly date: string;
  /** Processors that other programs kept busy meanwhile; none where the system does not say it. */
  readonly busyElsewhere?: number | undefined;
}

export interface Compute {
  /** The folder that was measured. */
  readonly checkpoint: string;
  readonly machine: ComputeMachine;
  /** P, of an image. */
  readonly patches: number;
  /** In how many rounds the policy decides, at most: its row is one of them. */
  readonly rounds: number;
  readonly rows: readonly ComputeRow[];
  /** Why there are no joules, as a half-sentence. */
  readonly noJoules?: string | undefined;
}

/** How often is measured. */
export interface Passing {
  /** All rows are measured one after the other, so many times: what else the machine does meanwhile then meets all alike. */
  readonly turns: number;
  /** Passes a turn, at least. */
  readonly fewest: number;
  /** A turn of a row lasts about so long, where that is more passes. */
  readonly turnMs: number;
}

const usual: Passing = { turns: 3, fewest: 4, turnMs: 150 };

/** Shares of all patches. */
const shares = [0, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1];
const usualBatches = [1, 64];
/** Of what is drawn, which changes no result. */
const seed = 1;

/** @throws what opening a checkpoint and libtorch throw; Stopped when a signal asks for it */
export async function measureCompute(
  { load, batch_size: batches = usualBatches, ...flags }: ProfileOptions,
  reporter: Reporter = silentReporter,
  passing: Passing = usual,
): Promise<Compute> {
  const checkpoint = openCheckpoint(load, reporter.note);
  const description = describeRun(checkpoint);
  const device = flags.device as Device;
  const { cuda, ...libtorch } = startLibtorch(flags, reporter.note);
  const place: Place = { device, cuda, precision: choosePrecision(flags.precision, device) };
  const energy: Energy = device === "cpu" ? openEnergy() : { why: "a GPU's energy is not read" };
  const subjects = openSubjects(checkpoint, description, place);
  try {
    const settings = batches.flatMap((batch) => {
      const views = randomViews(description, batch);
      return subjects.flatMap((one) => one.counts.map((patches) => new Setting(one, views, batch, patches)));
    });
    const meter = "meter" in energy ? energy.meter : undefined;
    const before = readUsage();
    await measureAll(settings, { place, meter, reporter, passing });
    return {
      checkpoint: checkpoint.path,
      machine: machineOf(place, libtorch, busyBetween(before, readUsage())),
      patches: modelIn(description).grid.patches,
      rounds: description.rounds,
      rows: settings.map((setting) => setting.row()),
      ...("why" in energy && { noJoules: energy.why }),
    };
  } finally {
    for (const { run } of subjects) await run.free();
  }
}

function machineOf(
  { device, precision }: Place,
  { threads, version }: { readonly threads: number; readonly version: string },
  busyElsewhere: number | undefined,
): ComputeMachine {
  return {
    processor: processorName(),
    device: device === "cpu" ? device : listGpus().gpus[deviceCodes(device).index].name,
    threads,
    precision,
    libtorch: version,
    date: new Date().toISOString(),
    ...defined({ busyElsewhere }),
  };
}

/** Each network of the checkpoint by itself. The caller frees their runs. */
function openSubjects(checkpoint: Checkpoint, description: RunDescription, place: Place): Subject[] {
  return networksIn(checkpoint).flatMap((name) => {
    // A classifier that is asked once needs no policy's rounds.
    const asked = name === "agent" ? description : inOneRound(description);
    const run = openSaved({ sources: new Map([[name, checkpoint]]), description: asked }, place);
    const own = subjectOf(name, name, description, run);
    return name === "resnet_hr" && seesMask(description.arch) ? [own, denseBeside(description, place)] : [own];
  });
}

function inOneRound(description: RunDescription): RunDescription {
  return { ...description, rounds: 1 };
}

interface Subject {
  readonly name: Measured;
  readonly run: OpenedRun;
  /** S at which it is measured. */
  readonly counts: readonly (number | undefined)[];
  /** For an image of which S patches are there. */
  multiplyAdds(patches: number | undefined): number;
}

function subjectOf(name: Measured, network: NetworkName, description: RunDescription, run: OpenedRun): Subject {
  const model = modelIn(description);
  const declared = declaredNetwork(network, model, description.classes.length);
  const { patches: all } = model.grid;
  const counts = network === "resnet_hr" ? countsOf(shares, all) : [undefined];
  return { name, run, counts, multiplyAdds: (patches = all) => multiplyAddsWith(declared, patches, all) };
}

/** The model's own classifier with random weights, on which its time does not depend. */
function denseBeside({ arch: _, ...rest }: RunDescription, place: Place): Subject {
  const description = inOneRound(rest);
  const setting = { model: modelIn(description), classes: description.classes.length, device: place.device };
  const learner = freshNetwork(setting, seed, "resnet_hr");
  try {
    const run = openLearners({ learners: new Map([["resnet_hr", learner]]), description }, place);
    return subjectOf("dense", "resnet_hr", description, run);
  } finally {
    learner.parameters.free();
  }
}

/** A row in the making. */
class Setting {
  readonly batch: number;
  readonly #subject: Subject;
  readonly #views: Views;
  readonly #patches: number | undefined;
  /** [B, P] */
  readonly #mask: Uint8Array;
  /** Of passes. */
  readonly #milliseconds: number[] = [];
  #joules: number | undefined;

  constructor(subject: Subject, views: Views, batch: number, patches: number | undefined) {
    this.batch = batch;
    this.#subject = subject;
    this.#views = views;
    this.#patches = patches;
    this.#mask = masksOfCount(subject.run.model.grid, patches ?? 0, { batch, seed });
  }

  /**
   * One pass of a batch that is new, since a batch remembers what it was asked. The clock runs while the network is asked, for which it is
   * masked; upload and normalization are done before.
   * @returns milliseconds
   */
  async pass({ cuda }: Place, meter?: EnergyMeter): Promise<number> {
    const held = this.#subject.run.hold(this.#views);
    try {
      cuda?.compute.synchronize();
      meter?.joules();
      const start = performance.now();
      await this.#ask(held);
      const ms = performance.now() - start;
      if (meter !== undefined) this.#joules = (this.#joules ?? 0) + meter.joules();
      return ms;
    } finally {
      held.free();
    }
  }

  /** The numbers are read, so that the work is done. */
  #ask(held: HeldBatch) {
    if (this.#subject.name !== "agent") return held.logits(this.#mask);
    const logits = new Float32Array(this.batch * this.#subject.run.classes.length);
    return held.probabilities({ mask: this.#mask, logits });
  }

  note(ms: number): void {
    this.#milliseconds.push(ms);
  }

  row(): ComputeRow {
    const passes = this.#milliseconds.length;
    const quartile = (quarters: number) => quantile(this.#milliseconds, quarters / 4) / this.batch;
    return {
      network: this.#subject.name,
      ...defined({ patches: this.#patches }),
      batch: this.batch,
      multiplyAdds: this.#subject.multiplyAdds(this.#patches),
      milliseconds: { low: quartile(1), median: quartile(2), high: quartile(3) },
      ...(this.#joules !== undefined && { joules: this.#joules / (passes * this.batch) }),
      passes,
    };
  }
}

interface Measuring {
  readonly place: Place;
  readonly meter: EnergyMeter | undefined;
  readonly reporter: Reporter;
  readonly passing: Passing;
}

/** How many passes a turn has, what was seen while warming up decides. */
async function measureAll(settings: readonly Setting[], { place, meter, reporter, passing }: Measuring): Promise<void> {
  const { turns, fewest, turnMs } = passing;
  const once = settings.reduce((sum, { batch }) => sum + batch, 0);
  const warmed = await withBar(reporter, "profile: warming up", 2 * once, async (passed) => {
    const passes: number[] = [];
    for (const setting of settings) {
      let ms = 0;
      // The first pass also chooses how to compute.
      for (let n = 0; n < 2; n++) {
        ms = await setting.pass(place);
        await passed(setting.batch);
      }
      passes.push(Math.max(fewest, Math.ceil(turnMs / ms)));
    }
    return passes;
  });
  const images = settings.reduce((sum, { batch }, i) => sum + batch * (1 + warmed[i]), 0);
  await withBar(reporter, "profile", turns * images, async (passed) => {
    for (let turn = 0; turn < turns; turn++) {
      for (const [i, setting] of settings.entries()) {
        // The first of a turn finds another network in the caches.
        await setting.pass(place);
        await passed(setting.batch);
        for (let n = 0; n < warmed[i]; n++) {
          setting.note(await setting.pass(place, meter));
          await passed(setting.batch);
        }
      }
    }
  });
}

/** @param body is given what to call, and wait for, after so many images. @throws Stopped; what the body throws */
async function withBar<T>(
  reporter: Reporter,
  label: string,
  images: number,
  body: (passed: (count: number) => Promise<void>) => Promise<T>,
): Promise<T> {
  const bar = reporter.progress(label, images);
  let done = 0;
  try {
    return await body(async (count) => {
      done += count;
      bar.update(done);
      await breathe(reporter);
    });
  } finally {
    bar.stop();
  }
}

function randomViews({ imageSize, lowSize, bands, pixelType }: RunDescription, batch: number): Views {
  const pixels = (side: number) => randomPixels(pixelType, batch * bands.length * side ** 2);
  return { images: pixels(imageSize), low: pixels(lowSize) };
}

/** Bytes, or numbers in [0, 1). */
function randomPixels(type: PixelType, length: number): PixelArray {
  const random = new Random(seed, "profile pixels");
  const pixels = newPixels(type, length);
  if (pixels instanceof Float32Array) return random.uniforms(pixels);
  for (let at = 0; at < length; at += 4) {
    const word = random.word();
    for (let byte = 0; byte < 4; byte++) pixels[at + byte] = word >>> (8 * byte);
  }
  return pixels;
}

/** Between two values in proportion. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [below, above] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  return below + (at - Math.floor(at)) * (above - below);
}
