/** The library: what `import { … } from "patchdrop"` offers. Names only; nothing is computed here. */
export { acquireRun } from "./acquire/acquire-run.ts";
export { type AcquireOptions, parseAcquireOptions } from "./acquire/options.ts";
export type { Acquired } from "./acquire/tally.ts";
export type { DataSplits, Dataset, Normalization } from "./data/dataset.ts";
export { type OpenDataOptions, openDataSplits } from "./data/open.ts";
export { readImage } from "./data/read-image.ts";
export type { TransformName } from "./data/transforms.ts";
export { type ErrorKind, exitCodes, PatchDropError } from "./errors.ts";
export { type Experiment, type ExperimentStage, readExperiment } from "./experiment/config.ts";
export { type ExperimentResult, runExperiment } from "./experiment/run.ts";
export { choosePatches, type Selection, thresholdForAccuracy, thresholdForPatches } from "./method/budget.ts";
export {
  centrePatches,
  countPatches,
  fixedColumns,
  fixedRows,
  type Grid,
  makeGrid,
  maskBits,
  type PatchBox,
  patchBox,
  randomMask,
} from "./method/grid.ts";
export type { Metrics } from "./method/metrics.ts";
export { describeModels, type ModelDescription, type NetworkSize } from "./models/describe.ts";
export { findModel, type Model, type ModelOptions, modelNames } from "./models/registry.ts";
export { type FindOptions, type FoundLibtorch, findLibtorch } from "./native/find.ts";
export { openPredictor, type Predicted, Predictor, type PredictorOptions } from "./predict/predictor.ts";
export type { Checkpoint } from "./run/checkpoint.ts";
export { readChoice, type StoredChoice } from "./run/choice.ts";
export type { EvalOptions } from "./run/eval-options.ts";
export { type MetricRecord, readMetrics } from "./run/metrics.ts";
export { openCheckpoint } from "./run/open-checkpoint.ts";
export { parseOptions, type StageName, type StageOptions, stageNames } from "./run/options.ts";
export { type Reporter, type ReporterBar, silentReporter } from "./run/reporter.ts";
export type { StageResult } from "./stages/epochs.ts";
export { evaluateRun } from "./stages/evaluate-run.ts";
export type { EvaluationRow, RunEvaluation } from "./stages/evaluation.ts";
export { train } from "./stages/train.ts";
