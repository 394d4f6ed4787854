/** What predicts: libtorch or ONNX Runtime. Only the one that was chosen is loaded, so that the other need not be there. */

import type { PredictOptions } from "../options/predict-options.ts";
import type { OnnxPredictor } from "./onnx-predictor.ts";
import type { Predictor } from "./predictor.ts";

export type Engine = Predictor | OnnxPredictor;

/** @throws what opening the engine's predictor throws */
export async function openEngine(options: PredictOptions): Promise<Engine> {
  if (options.engine === "onnx") {
    const { OnnxPredictor } = await import("./onnx-predictor.ts");
    return OnnxPredictor.open(options);
  }
  const { Predictor } = await import("./predictor.ts");
  return new Predictor(options);
}
