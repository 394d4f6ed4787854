/**
 * What `import { … } from "patchdrop/onnx"` offers: exported runs and nothing else. It starts in half the time of "patchdrop",
 * and works where there is no libtorch.
 */
export { readImage } from "../data/read-image.ts";
export { type ErrorKind, type Fault, PatchDropError } from "../errors.ts";
export type { OpenedRun, Predicted } from "../inference/opened-run.ts";
export { countPatches, maskBits } from "../method/grid.ts";
export { type OnnxOptions, openOnnxPredictor } from "./open-onnx.ts";
