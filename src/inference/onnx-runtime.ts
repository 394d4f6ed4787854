/**
 * ONNX Runtime is a package of its own: of 139 MB, and only exported models need it. Asked for before what imports it is
 * loaded, so that who lacks it reads what to do.
 */
import { createRequire } from "node:module";
import { fault } from "../errors.ts";

const require = createRequire(import.meta.url);

/** @throws input: the package onnxruntime-web is not installed */
export function assertOnnxRuntime(): void {
  try {
    require.resolve("onnxruntime-web");
  } catch (error) {
    const next = "npm install onnxruntime-web";
    throw fault("input", { where: "onnxruntime-web", rule: "must be installed to compute ONNX models", next }, error);
  }
}
