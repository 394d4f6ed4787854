/** The measurement: all sides of one case in turn, step by step, and before it the check that they compute the same. */

import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { fault } from "../src/errors.ts";
import { type BenchModel, type Ready, Side, type Stage, type Work } from "./side.ts";

/** PyTorch as the reference runs it; two ways that might be its best; this program. */
export const sideNames = ["reference", "best-fp32", "best-bf16", "patchdrop"] as const;
export type SideName = (typeof sideNames)[number];

/** With a CUDA graph: three steps without, the capture, a replay. */
const warmupSteps = { cpu: 3, cuda: 5 } as const;
/** The losses are compared on so many images: on more, a decision could hang on the last bit of a probability. */
const comparedImages = { R32_C10: 128, R34_fMoW: 16 };
/** Relative. The sides sum in different orders; a wrong mask, weight or constant shows in the third digit. */
export const lossTolerance = 1e-4;
/** OpenMP's threads spin for some milliseconds after their work, in the way of the next side. */
const pauseMs = 50;

/** For the comparison: on a GPU PyTorch computes float32 convolutions in TF32, of 10 bits, unless told otherwise. */
const exactConvolutions = { NVIDIA_TF32_OVERRIDE: "0" };

export interface Measured {
  precision: Ready["precision"];
  torch: string;
  /** Of the timed steps, in order. */
  seconds: number[];
  medianSeconds: number;
  imagesPerSecond: number;
  peakRssBytes: number;
}

export interface CaseResult {
  stage: Stage;
  model: BenchModel;
  batch: number;
  sides: Record<SideName, Measured>;
  /** The faster of PyTorch's two. */
  best: "best-fp32" | "best-bf16";
}

/** The first losses by side (of eval the mean rewards), in float32. */
export type Comparison = Record<"reference" | "best-fp32" | "patchdrop", number>;

export interface BenchOptions {
  python: string;
  threads: number;
  device: Work["device"];
  /** On a GPU: every side but the reference captures its step as a CUDA graph. */
  graph: boolean;
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
    const { threads, device } = this.#options;
    const work: Work = { stage, model, batch: comparedImages[model], steps: 1, warmup: 0, threads, device };
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
    const losses = {
      reference: await firstLoss("reference"),
      "best-fp32": await firstLoss("best-fp32"),
      patchdrop: await firstLoss("patchdrop"),
    };
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

  /** Times `steps` rounds, in each of which every side takes one step. */
  async time(stage: Stage, model: BenchModel, batch: number, steps: number): Promise<CaseResult> {
    const { threads, device } = this.#options;
    const work: Work = { stage, model, batch, steps, warmup: warmupSteps[device], threads, device };
    const started: { side: Side; ready: Ready; seconds: number[] }[] = [];
    try {
      for (const name of sideNames) {
        started.push({ ...(await Side.start(name, this.#command(name, "auto"), work)), seconds: [] });
      }
      for (let round = 0; round < steps; round++) {
        for (const { side, seconds } of started) {
          await sleep(pauseMs);
          seconds.push((await side.step()).seconds);
        }
      }
      const measured = [];
      for (const { side, ready, seconds } of started) {
        measured.push([side.name, summary(batch, ready, seconds, await side.finish())] as const);
      }
      const sides = Object.fromEntries(measured) as Record<SideName, Measured>;
      const bf16Wins = sides["best-bf16"].medianSeconds < sides["best-fp32"].medianSeconds;
      return { stage, model, batch, sides, best: bf16Wins ? "best-bf16" : "best-fp32" };
    } finally {
      for (const { side } of started) side.stop();
    }
  }

  /** `precision` is this program's; a configuration of PyTorch has its own. */
  #command(name: SideName, precision: "auto" | "fp32"): string[] {
    const { python, graph } = this.#options;
    const captured = ["--graph", graph ? "on" : "off"];
    if (name !== "patchdrop") return [python, here("peer.py"), "--config", name, ...captured];
    // Node's own flags hold the loader for TypeScript that runs this file too.
    return [process.execPath, ...process.execArgv, here("ours.ts"), "--precision", precision, ...captured];
  }
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

function summary(batch: number, { precision, torch }: Ready, seconds: number[], peakRssBytes: number): Measured {
  const medianSeconds = median(seconds);
  return { precision, torch, seconds, medianSeconds, imagesPerSecond: batch / medianSeconds, peakRssBytes };
}

/** The middle value, or the mean of the middle two. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
