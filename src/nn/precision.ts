/** The arithmetic in which networks compute. */
import { gpuPrecision, listGpus } from "../native/gpus.ts";
import { type Device, type DType, deviceCodes } from "../tensor/device.ts";
import { defaultPrecision } from "../utils/cpu.ts";

/** Arithmetic of a network's convolutions; weights and all sums stay float32. */
export type Precision = "fp32" | "bf16";

export function precisionDType(precision: Precision): DType {
  return precision === "bf16" ? "bfloat16" : "float32";
}

/** @param asked "auto": whichever is faster on `device` */
export function choosePrecision(asked: "auto" | Precision, device: Device): Precision {
  if (asked !== "auto") return asked;
  return device === "cpu" ? defaultPrecision() : gpuPrecision(listGpus().gpus[deviceCodes(device).index]);
}
