/** An exported run, opened without libtorch. */
import { type OpenOptions, openPredictor } from "../inference/open-run.ts";
import type { OpenedRun } from "../inference/opened-run.ts";

/** How patches are chosen and filled; the number of ONNX Runtime's threads. */
export type OnnxOptions = Partial<Pick<OpenOptions, "policy" | "budget" | "threshold" | "fill" | "threads">>;

/**
 * Opens a folder of `patchdrop export` in ONNX Runtime: neither libtorch nor koffi is loaded. Needs the package
 * onnxruntime-web. Computes in fp32 on the CPU.
 * @param folder with classifier.onnx or lr_classifier.onnx, and policy.onnx where the run has a policy
 * @throws usage: options that cannot be; input: no such folder, a damaged model, no onnxruntime-web
 */
export function openOnnxPredictor(folder: string, options: OnnxOptions = {}): Promise<OpenedRun> {
  return openPredictor(folder, { ...options, engine: "onnx" });
}
