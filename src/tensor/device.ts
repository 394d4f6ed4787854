/** Element types and devices, by PyTorch's names, with their codes in the loaded libtorch. */
import { fault } from "../errors.ts";
import { library } from "../native/library.ts";

export type DType = "float32" | "bfloat16" | "int64" | "int32" | "uint8" | "bool";

/** Where a tensor lives: "cpu", "cuda" (the first GPU) or "cuda:n". */
export type Device = "cpu" | "cuda" | `cuda:${number}`;

/** Bytes per element. */
export const elementBytes: Record<DType, number> = { float32: 4, bfloat16: 2, int64: 8, int32: 4, uint8: 1, bool: 1 };

let codes: Map<DType, number> | undefined;

function dtypeCodes(): Map<DType, number> {
  if (codes === undefined) {
    const { symbols } = library();
    codes = new Map(
      (Object.keys(elementBytes) as DType[]).map((dtype) => [dtype, symbols[`aoti_torch_dtype_${dtype}`]()] as const),
    );
  }
  return codes;
}

export function dtypeCode(dtype: DType): number {
  return dtypeCodes().get(dtype)!;
}

export function dtypeOfCode(code: number): DType {
  for (const [dtype, own] of dtypeCodes()) if (own === code) return dtype;
  throw fault("internal", { where: "dtype", rule: "must be one that this program uses", got: code });
}

/** libtorch's device type and index. */
export function deviceCodes(device: Device): { type: number; index: number } {
  const { symbols } = library();
  if (device === "cpu") return { type: symbols.aoti_torch_device_type_cpu(), index: 0 };
  const index = device === "cuda" ? 0 : Number(device.slice("cuda:".length));
  return { type: symbols.aoti_torch_device_type_cuda(), index };
}
