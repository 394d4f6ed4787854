/** What the processor can do that matters for speed, as Linux reports it in /proc/cpuinfo. */
import { readFileSync } from "node:fs";
import { cpus } from "node:os";

/** Instruction sets worth a line in a report: vector units, and those that compute in bfloat16. */
const interesting = ["avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16"] as const;

export type CpuFeature = (typeof interesting)[number];

/** Its maker's name for it; "unknown" where the system does not say it. */
export function processorName(): string {
  return cpus()[0]?.model.trim() || "unknown";
}

/** The interesting features of this processor; empty where the system does not report them (macOS). */
export function cpuFeatures(cpuinfo: string = readCpuinfo()): CpuFeature[] {
  // "flags" on x86, "Features" on ARM; the same for each processor.
  const words = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(cpuinfo)?.[1].split(/\s+/));
  return interesting.filter((feature) => words.has(feature));
}

/** Whether this processor computes in bfloat16; else it is emulated. Not known where the system reports no features. */
export function hasBf16(features: readonly CpuFeature[] = cpuFeatures()): boolean {
  return features.some((feature) => feature.endsWith("bf16"));
}

/**
 * bf16 where it was measured to be faster (docs/performance.md): with AMX, and with AMD's AVX-512 bf16, which runs at twice
 * fp32's rate. Intel's AVX-512 bf16 alone reaches three quarters of fp32's rate; without either, bf16 is emulated.
 */
export function defaultPrecision(cpuinfo: string = readCpuinfo()): "bf16" | "fp32" {
  const features = cpuFeatures(cpuinfo);
  const amd = /^vendor_id\s*:\s*AuthenticAMD$/m.test(cpuinfo);
  return features.includes("amx_bf16") || (amd && features.includes("avx512_bf16")) ? "bf16" : "fp32";
}

function readCpuinfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    // Not Linux.
    return "";
  }
}
