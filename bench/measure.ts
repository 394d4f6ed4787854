/** The measurement: all sides of one case in turn, step by step, and before it the check that they compute the same. */

import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { fault } from "../src/errors.ts";
import {
  type BenchModel,
  type Ready,
  Side,
  type Stage,
  type Step,
  stepsAnEpoch,
  type Unit,
  type Work,
} from "./side.ts";

/** PyTorch as the reference runs it; three ways that might be its best, the last one by torch.compile; this program. */
export type SideName = "reference" | "best-fp32" | "best-bf16" | "patchdrop" | "compiled";

/** With a CUDA graph: three steps without, the capture, a replay. An epoch has them in itself. */
export const warmups = { step: { cpu: 3, cuda: 5 }, epoch: { cpu: 1, cuda: 1 } } as const;
/** The losses are compared on this many images: on more, a decision could depend on the last bit of a probability. */
export const comparedImages = { R32_C10: 128, R34_fMoW: 16 };
/** Relative. The sides sum in different orders; a wrong mask, weight or constant shows in the third digit. */
export const lossTolerance = 1e-4;
/** OpenMP's threads spin for some milliseconds after their work, in the way of the next side. */
const pauseMs = 50;
/** A turn begins with steps that are not timed, for at least so long: a training never rests as a side has. */
const wakeMs = 500;
/** Then this many are timed. */
const stepsATurn = { cpu: 2, cuda: 25 } as const;
/** Of each of PyTorch's precisions, to see which one is worth compiling. */
const trialSteps = 4;
/** More than a side ever takes: it ends when it is told to. */
export const manySteps = 100_000;

/** For the comparison: on a GPU PyTorch computes float32 convolutions in TF32, of 10 bits, unless told otherwise. */
const exactConvolutions = { NVIDIA_TF32_OVERRIDE: "0" };

export interface Measured {
  precision: Ready["precision"];
  torch: string;
  /** Of the timed steps or epochs, in order. */
  seconds: number[];
  medianSeconds: number;
  imagesPerSecond: number;
  peakRssBytes: number;
  /** Of this program's epochs: their speed over that of the same number of steps on one batch, the median. */
  epochOverSteps?: number | undefined;
  /** Of the compiled side: how much longer its first steps took, which is not in its speed. */
  compileSeconds?: number | undefined;
}

/** What each side did; nothing of bf16 where it was left out, nor of torch.compile where there is no C++ compiler. */
export type Sides = Record<"reference" | "best-fp32" | "patchdrop", Measured> & {
  "best-bf16"?: Measured;
  compiled?: Measured;
};

export interface CaseResult {
  stage: Stage;
  model: BenchModel;
  batch: number;
  sides: Sides;
}

/** The faster of PyTorch's two precisions, or the one that there is, without torch.compile. */
export function eagerBestOf({ "best-fp32": fp32, "best-bf16": bf16 }: Sides): Measured {
  return bf16 !== undefined && bf16.imagesPerSecond > fp32.imagesPerSecond ? bf16 : fp32;
}

/** The fastest PyTorch, compiled or not. */
export function bestOf(sides: Sides): Measured {
  const { compiled } = sides;
  const eager = eagerBestOf(sides);
  return compiled !== undefined && compiled.imagesPerSecond > eager.imagesPerSecond ? compiled : eager;
}

/** This program's speed over that of each PyTorch. */
export function ratios({ sides }: CaseResult): { overReference: number; overBest: number } {
  const over = (other: Measured) => sides.patchdrop.imagesPerSecond / other.imagesPerSecond;
  return { overReference: over(sides.reference), overBest: over(bestOf(sides)) };
}

/** The first losses by side (of eval the mean rewards), in float32. */
export type Comparison = Record<"reference" | "best-fp32" | "patchdrop", number> & { compiled?: number };

export interface BenchOptions {
  python: string;
  threads: number;
  device: Work["device"];
  unit: Unit;
  /** On a GPU: every side but the reference captures its step as a CUDA graph. */
  graph: boolean;
  /** Whether PyTorch is measured in bf16 too: emulated, it takes up to minutes a step. */
  bf16: boolean;
  /** Whether PyTorch is measured with torch.compile too. */
  compiled: boolean;
}

export class Bench {
  readonly #options: BenchOptions;

  constructor(options: BenchOptions) {
    this.#options = options;
  }

  /**
   * Compares the first loss of the sides from the same weights, images and uniforms.
   * @throws kind "system" when they do not agree within {@link lossTolerance}
   */
  async compare(stage: Stage, model: BenchModel): Promise<Comparison> {
    const { threads, device, compiled } = this.#options;
    const batch = comparedImages[model];
    const work: Work = { stage, model, batch, steps: 1, warmup: 0, threads, device, unit: "step" };
    const firstLoss = async (name: SideName) => {
      const { side } = await Side.start(name, this.#command(name, "fp32"), work, exactConvolutions);
      try {
        const { value } = await side.step();
        await side.finish();
        return value;
      } finally {
        side.stop();
      }
    };
    // Nothing is timed yet, so that all may start at once: a GPU's kernels load for seconds, and compiling takes a minute.
    const names = ["reference", "best-fp32", "patchdrop", ...(compiled ? (["compiled"] as const) : [])] as const;
    const found = await Promise.all(names.map(async (name) => [name, await firstLoss(name)] as const));
    const losses = Object.fromEntries(found) as Comparison;
    const origin = losses.reference;
    const apart = Object.values(losses).some((loss) => !(Math.abs(loss - origin) <= lossTolerance * Math.abs(origin)));
    if (apart) {
      const rule = `first losses must agree to ${lossTolerance} (relative) before anything is timed`;
      const got = Object.entries(losses)
        .map(([name, loss]) => `${name} ${loss}`)
        .join(", ");
      throw fault("system", { where: `${stage}, ${model}`, rule, got });
    }
    return losses;
  }

  /** Times `steps` steps, or epochs, a side, turn by turn. */
  async time(stage: Stage, model: BenchModel, batch: number, steps: number): Promise<CaseResult> {
    const { threads, device, unit, bf16, compiled } = this.#options;
    const work: Work = { stage, model, batch, steps: manySteps, warmup: warmups[unit][device], threads, device, unit };
    const started: StartedSide[] = [];
    const start = async (name: SideName, precision: "auto" | "fp32" | "bf16" = "auto") => {
      const side = { ...(await Side.start(name, this.#command(name, precision), work)), taken: [] };
      started.push(side);
      return side;
    };
    try {
      await start("reference");
      const eager = [await start("best-fp32"), ...(bf16 ? [await start("best-bf16")] : [])];
      await start("patchdrop");
      if (compiled) await start("compiled", await faster(eager, work));
      await inTurns(started, steps, work);
      const images = unit === "epoch" ? batch * stepsAnEpoch : batch;
      const measured = [];
      for (const { side, ready, taken } of started) {
        measured.push([side.name, summary(images, ready, taken, await side.finish())] as const);
      }
      return { stage, model, batch, sides: Object.fromEntries(measured) as Sides };
    } finally {
      for (const { side } of started) side.stop();
    }
  }

  /** `precision` is this program's and the compiled side's; PyTorch's other configurations have their own. */
  #command(name: SideName, precision: "auto" | "fp32" | "bf16"): string[] {
    const { python, graph } = this.#options;
    const captured = ["--graph", graph ? "on" : "off"];
    const config = name === "compiled" ? `compiled-${precision}` : name;
    if (name !== "patchdrop") return [python, here("peer.py"), "--config", config, ...captured];
    // Node's own flags hold the loader for TypeScript that runs this file too.
    return [process.execPath, ...process.execArgv, here("ours.ts"), "--precision", precision, ...captured];
  }
}

/** A side that has said how it computes, and its timed steps. */
export interface StartedSide {
  readonly side: Side;
  readonly ready: Ready;
  readonly taken: Step[];
}

/** Times `steps` steps, or epochs, of each side, turn by turn. */
export async function inTurns(
  started: readonly StartedSide[],
  steps: number,
  { unit, device }: Pick<Work, "unit" | "device">,
): Promise<void> {
  // An epoch wakes its side up itself.
  const aTurn = unit === "step" ? stepsATurn[device] : 1;
  for (let done = 0; done < steps; done += aTurn) {
    const timed = Math.min(aTurn, steps - done);
    for (const { side, taken } of started) {
      await sleep(pauseMs);
      if (unit === "step") await wake(side);
      for (let left = timed; left > 0; left--) taken.push(await side.step());
    }
  }
}

/**
 * The precision of the side that takes its steps faster. Compiling takes a minute, so that only this one is compiled.
 */
async function faster(sides: readonly StartedSide[], work: Work): Promise<Ready["precision"]> {
  if (sides.length === 1) return sides[0].ready.precision;
  const tried = sides.map((side) => ({ ...side, taken: [] as Step[] }));
  await inTurns(tried, work.unit === "step" ? trialSteps : 1, work);
  const seconds = tried.map(({ taken }) => median(taken.map((step) => step.seconds)));
  return tried[seconds.indexOf(Math.min(...seconds))].ready.precision;
}

async function wake(side: Side): Promise<void> {
  const until = performance.now() + wakeMs;
  do await side.step();
  while (performance.now() < until);
}

export function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

export function summary(
  images: number,
  { precision, torch, compileSeconds }: Ready,
  taken: Step[],
  peakRssBytes: number,
): Measured {
  const seconds = taken.map((step) => step.seconds);
  const medianSeconds = median(seconds);
  const ratios = taken.flatMap((step) => (step.stepsSeconds === undefined ? [] : [step.stepsSeconds / step.seconds]));
  const speed = { seconds, medianSeconds, imagesPerSecond: images / medianSeconds, peakRssBytes };
  return { precision, torch, ...speed, epochOverSteps: ratios.length > 0 ? median(ratios) : undefined, compileSeconds };
}

/** The middle value, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
