/** The library: what `import { … } from "patchdrop"` offers. Names only; nothing is computed here. */
export type { AcquiredScenes } from "./acquire/sum-scenes.ts";
export type { Acquired } from "./acquire/tally.ts";
export {
  type AcquireRunOptions,
  acquireRun,
  type EvaluateOptions,
  type ExportRunOptions,
  evaluateRun,
  exportRun,
  type TrainOptions,
  train,
} from "./api/calls.ts";
export { type OnnxOptions, openOnnxPredictor } from "./api/open-onnx.ts";
export type { Checkpoint } from "./checkpoints/checkpoint.ts";
export type { RunDescription } from "./checkpoints/description.ts";
export { openCheckpoint } from "./checkpoints/open-checkpoint.ts";
export { readChoice, type StoredChoice } from "./checkpoints/stored-choice.ts";
export type { DataSplits, Dataset, InMemory, Normalization } from "./data/dataset.ts";
export { type DatasetName, datasetNames } from "./data/dataset-registry.ts";
export { MemoryDataset, type MemoryImages } from "./data/memory-dataset.ts";
export { type OpenDataOptions, openDataSplits } from "./data/open.ts";
export { readImage } from "./data/read-image.ts";
export type { Augmentation, TransformName } from "./data/transforms.ts";
export { type ErrorKind, exitCodes, type Fault, PatchDropError } from "./errors.ts";
export type { EvaluationRow, PolicyDetails, PolicySweep, RunEvaluation } from "./evaluation/evaluation.ts";
export { type Experiment, type ExperimentStage, readExperiment } from "./experiment/experiment-file.ts";
export { type ExperimentResult, runExperiment } from "./experiment/run-experiment.ts";
export { readSeeds, runSeeds, type SeededExperiment, type SeedsResult } from "./experiment/run-seeds.ts";
export type { ExportedNetwork, RunExport } from "./export/export-run.ts";
export type { Asked } from "./inference/look-in-rounds.ts";
export { type OpenOptions, openPredictor } from "./inference/open-run.ts";
export type { OpenedRun, Predicted } from "./inference/opened-run.ts";
export { type Choice, choosePatches, thresholdForAccuracy, thresholdForPatches } from "./method/budget.ts";
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
export { type AcquireOptions, parseAcquireOptions } from "./options/acquire-options.ts";
export { type EvalOptions, parseEvalOptions } from "./options/eval-options.ts";
export { parseOptions, type StageName, type StageOptions, stageNames } from "./options/stage-options.ts";
export { type MetricRecord, readMetrics } from "./run/metric-log.ts";
export type { StageResult } from "./training/epochs.ts";
export type { TrainContext } from "./training/train.ts";
export { consoleReporter } from "./utils/console-reporter.ts";
export type { PixelArray, PixelType } from "./utils/pixel-array.ts";
export type { RunTimes } from "./utils/profile.ts";
export {
  type Reporter,
  type ReporterBar,
  Stopped,
  type StopSignal,
  silentReporter,
  stopOn,
} from "./utils/reporter.ts";
