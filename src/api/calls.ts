/**
 * What a program calls with options that it writes itself: the compiler refuses a misspelt one, and the command's own schema
 * checks the rest and fills in the defaults. The command line calls what is below directly, with options that it has parsed.
 */
import type { z } from "zod";
import { acquireRun as acquireParsed } from "../acquire/acquire-run.ts";
import type { AcquiredScenes } from "../acquire/sum-scenes.ts";
import type { Acquired } from "../acquire/tally.ts";
import { evaluateRun as evaluateParsed } from "../evaluation/evaluate-run.ts";
import type { EvaluationContext } from "../evaluation/evaluated-run.ts";
import type { RunEvaluation } from "../evaluation/evaluation.ts";
import type { RunExport } from "../export/export-run.ts";
import { assertOnnxRuntime } from "../inference/onnx-runtime.ts";
import { type AcquireOptions, type acquireSchema, parseAcquireOptions } from "../options/acquire-options.ts";
import { type EvalOptions, type evalSchema, parseEvalOptions } from "../options/eval-options.ts";
import { exportSchema } from "../options/export-options.ts";
import { parseWith } from "../options/parse.ts";
import { parseOptions, type StageName, type StageOptions, type schemas } from "../options/stage-options.ts";
import type { StageResult } from "../training/epochs.ts";
import { type TrainContext, train as trainParsed } from "../training/train.ts";
import type { Reporter } from "../utils/reporter.ts";

/** The flags of a stage's command, without their dashes: `patchdrop pretrain --help` has each with its unit and default. */
export type TrainOptions<S extends StageName = StageName> = z.input<(typeof schemas)[S]>;
/** The flags of `patchdrop eval`, without their dashes; all but `load` have defaults. */
export type EvaluateOptions = z.input<typeof evalSchema>;
/** The flags of `patchdrop export`, without their dashes; all but `load` and `out` have defaults. */
export type ExportRunOptions = z.input<typeof exportSchema>;
/** The flags of `patchdrop acquire`, without their dashes; all but `load` and `out` have defaults. */
export type AcquireRunOptions = z.input<typeof acquireSchema>;

/**
 * Trains one stage: from its start or, with `resume: true`, from where the run in `cv_dir` left off. Whatever ends it, a
 * stop or a crash, the run can be resumed, and on the CPU ends with the same bits as one that was not interrupted.
 * @param options those that differ from the defaults, and `load` and `ckpt_…`, the runs that the stage starts from
 * @param context `reporter` hears of progress and says when to stop; `data` takes the place of the data set of the options
 * @returns the run folder, the last test's numbers (shares within 0 … 1, patches an image), and the signal that stopped it
 * @throws usage: options that cannot be, all at once; input: data or checkpoints that cannot be used, no libtorch; system: the
 *   disk; locked: a run folder in use, or of another run; notFinite: a loss or a weight that is no number
 */
export async function train<S extends StageName>(
  stage: S,
  options: TrainOptions<S> | StageOptions<S>,
  context?: TrainContext,
): Promise<StageResult> {
  return trainParsed(stage, parseOptions(stage, { ...options }), context);
}

/**
 * Evaluates a run on its test images: a policy beside its baselines, a classifier by itself. `evaluateRun({ load })` is what
 * `patchdrop eval --load` prints, as numbers.
 * @param context `data`: images to evaluate on, in place of the run's data set; `details`: whether to return those, too
 * @returns a row for the policy and for each baseline: accuracy within 0 … 1, patches an image
 * @throws usage: options that cannot be; input: a run or data that cannot be used, no libtorch; Stopped
 */
export async function evaluateRun(
  options: EvaluateOptions | EvalOptions,
  reporter?: Reporter,
  context?: { readonly details?: boolean } & Pick<EvaluationContext, "data">,
): Promise<RunEvaluation> {
  return evaluateParsed(parseEvalOptions(options), reporter, context);
}

/**
 * Acquires what a run chooses of a scene or of several, window by window, and writes the folder `options.out`.
 * @param scene path or http(s) address of an image, a STAC item, a collection of items, or STAC GeoParquet; undefined with `plan`
 * @returns what was chosen and saved, in patches, pixels, bytes and seconds: what savings.json has
 * @throws usage: options that cannot be, a folder that exists; input: a run or a scene that cannot be used, no libtorch;
 *   system; Stopped, and then writes nothing
 */
export async function acquireRun(
  scene: string | undefined,
  options: AcquireRunOptions | AcquireOptions,
  reporter?: Reporter,
): Promise<Acquired | AcquiredScenes> {
  return acquireParsed(scene, parseAcquireOptions(options), reporter);
}

/**
 * Writes a run's networks as ONNX models into the new folder `options.out`, after comparing each with libtorch. Needs the
 * package onnxruntime-web.
 * @returns the models' files, and how far the probabilities of each are from libtorch's
 * @throws usage: options that cannot be, a folder that exists; input: a run that cannot be used, no libtorch, no
 *   onnxruntime-web; system
 */
export async function exportRun(options: ExportRunOptions): Promise<RunExport> {
  const parsed = parseWith(exportSchema, options, "export");
  assertOnnxRuntime();
  return (await import("../export/export-run.ts")).exportRun(parsed);
}
