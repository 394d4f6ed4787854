/** Which engine predicts. Only the one that was chosen is loaded, so that ONNX Runtime does without libtorch. */
import type { OnnxPredictor } from "./onnx-predictor.ts";
import type { PredictOptions } from "./options.ts";
import type { Predictor } from "./predictor.ts";

export type AnyPredictor = Predictor | OnnxPredictor;

/** @throws what the engine's constructor throws */
export async function openPredictor(options: PredictOptions): Promise<AnyPredictor> {
  if (options.engine === "onnx") {
    const { OnnxPredictor } = await import("./onnx-predictor.ts");
    return OnnxPredictor.open(options);
  }
  const { Predictor } = await import("./predictor.ts");
  return new Predictor(options);
}
