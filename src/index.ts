/** The library: what `import { … } from "patchdrop"` offers. Names only; nothing is computed here. */
export type { DataSplits, Dataset, Normalization } from "./data/dataset.ts";
export { type OpenDataOptions, openDataSplits } from "./data/open.ts";
export { type ErrorKind, exitCodes, PatchDropError } from "./errors.ts";
export { type Experiment, readExperiment } from "./experiment/config.ts";
export { runExperiment } from "./experiment/run.ts";
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
export { describeModels, type ModelDescription } from "./models/describe.ts";
export { findModel, type Model, modelNames } from "./models/registry.ts";
export { type FoundLibtorch, findLibtorch } from "./native/find.ts";
export type { Checkpoint } from "./run/checkpoint.ts";
export { readChoice, type StoredChoice } from "./run/choice.ts";
export type { EvalOptions } from "./run/eval-options.ts";
export { readMetrics } from "./run/metrics.ts";
export { openCheckpoint } from "./run/open-checkpoint.ts";
export { parseOptions, type StageName, type StageOptions, stageNames } from "./run/options.ts";
export type { Reporter } from "./run/reporter.ts";
export type { StageResult } from "./stages/epochs.ts";
export { evaluateRun } from "./stages/evaluate-run.ts";
export type { EvaluationRow, RunEvaluation } from "./stages/evaluation.ts";
export { train } from "./stages/train.ts";
