/** Runs that train in a second or two, in the test's own process, one from the other's run folder; and what they leave. */
import { cpSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";
import type { DataSplits, Normalization } from "../../src/data/dataset.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { normalizationFor } from "../../src/data/normalizations.ts";
import { PatchDropError } from "../../src/errors.ts";
import { evaluateRun } from "../../src/evaluation/evaluate-run.ts";
import type { EvaluationRow, RunEvaluation } from "../../src/evaluation/evaluation.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { parseOptions, type StageName } from "../../src/options/stage-options.ts";
import type { StageResult } from "../../src/training/epochs.ts";
import { type TrainContext, train } from "../../src/training/train.ts";
import { Random } from "../../src/utils/random.ts";
import { type Reporter, silentReporter } from "../../src/utils/reporter.ts";
import { type Counts, makeImageFolder, scene } from "../e2e/images.ts";

export type Given = Record<string, unknown>;

/** Arithmetic that gives the same bits each time. */
export const exact = { threads: 1, precision: "fp32" } as const;
const quick = { ...exact, model: "R8_Scenes", batch_size: 8, max_epochs: 2, test_interval: 1 };

export const counts: Counts = { classes: 3, train: 8, test: 4 };

/** A folder for a test file's runs, gone when it ends. */
export class SmallRuns {
  readonly folder = mkdtempSync(join(tmpdir(), "patchdrop-small-"));

  constructor() {
    openLibtorch(findLibtorch(), { threads: 1 });
    afterAll(() => rmSync(this.folder, { recursive: true, force: true }));
  }

  at(...names: string[]): string {
    return join(this.folder, ...names);
  }

  /** Class folders of small pictures; returns the folder. */
  makeFolder(name = "data", images: Counts = counts): Promise<string> {
    return makeImageFolder(this.at(name), images);
  }

  /** Trains a stage into the run folder `name`: with two epochs of batches of 8, unless `more` says otherwise. */
  train(stage: StageName, name: string, more: Given, context: TrainContext = {}): Promise<StageResult> {
    return train(stage, parseOptions(stage, { ...quick, cv_dir: this.at(name), ...more }), context);
  }

  /** Goes on with the run in the folder `name`, with its own options but for `more`. */
  resume(stage: StageName, name: string, more: Given = {}, context: TrainContext = {}): Promise<StageResult> {
    return train(stage, parseOptions(stage, { cv_dir: this.at(name), resume: true, ...more }), context);
  }

  /** Copies a run folder, links and all. */
  copy(from: string, to: string): string {
    cpSync(this.at(from), this.at(to), { recursive: true, verbatimSymlinks: true });
    return this.at(to);
  }

  /** Makes a link of the run folder `name`, such as `last`, name another checkpoint. */
  link(name: string, link: string, target: string): void {
    rmSync(this.at(name, link));
    symlinkSync(target, this.at(name, link));
  }
}

export function evaluate(load: string, more: Given = {}, reporter: Reporter = silentReporter): Promise<RunEvaluation> {
  return evaluateRun(evalSchema.parse({ ...exact, load, ...more }), reporter);
}

/** The row of the run itself, under the names that a run logs its test with. */
export function asLogged({ rows: [own] }: RunEvaluation): Record<string, number | undefined> {
  const { accuracy, patches, patchesStd, distinctMasks, reward }: EvaluationRow = own;
  return { accuracy, sparsity: patches, patches_std: patchesStd, distinct_masks: distinctMasks, reward };
}

/** A reporter that keeps what it is told. */
export function listener(): { reporter: Reporter; notes: string[] } {
  const notes: string[] = [];
  return { notes, reporter: { ...silentReporter, note: (text) => notes.push(text) } };
}

/** A signal once n steps of a training have been taken: not by how often it asks, which depends on how long it waits. */
export function stopAfter(n: number): Reporter {
  let steps = 0;
  return {
    ...silentReporter,
    progress: (label, ...rest) => ({
      ...silentReporter.progress(label, ...rest),
      update: () => void (label.startsWith("epoch") && steps++),
    }),
    stopping: () => (steps >= n ? "SIGTERM" : undefined),
  };
}

/** Two splits in memory: the pictures of {@link makeImageFolder}. */
export function memoryData(
  { classes, train, test }: Counts = counts,
  normalization: Normalization = normalizationFor("cifar"),
): DataSplits {
  const split = (name: string, count: number) => {
    const labels = Int32Array.from({ length: classes * count }, (_, i) => Math.floor(i / count));
    const images = Array.from(labels, (label, i) => scene(label, new Random(1, name, label, i % count)));
    return new MemoryDataset({
      name: "squares",
      classes: Array.from({ length: classes }, (_, label) => `class${label}`),
      imageSize: 32,
      labels,
      images: Uint8Array.from(images.flatMap((image) => [...image])),
      normalization,
    });
  };
  return { train: split("train", train), test: split("test", test) };
}

/** What was refused. */
export async function refusal(work: () => unknown): Promise<PatchDropError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof PatchDropError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}
