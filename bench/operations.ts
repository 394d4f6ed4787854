/** The arithmetic of a step, and how much of what the machine can do it makes use of. */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describeModels } from "../src/models/describe.ts";
import type { BenchModel, Stage } from "./side.ts";

/** Passes of each network per image; a forward pass with its backward pass counts as three. */
const passes: Record<Stage, { high: number; policy: number; low: number }> = {
  classifier: { high: 3, policy: 0, low: 0 },
  pretrain: { high: 2, policy: 3, low: 0 },
  finetune: { high: 4, policy: 3, low: 0 },
  finetune2stream: { high: 4, policy: 3, low: 1 },
  eval: { high: 1, policy: 1, low: 0 },
};

/** Floating-point operations per image in convolutions and linear layers: two per multiply-add. */
export function operationsOf(stage: Stage, model: BenchModel): number {
  const { classifier, policy } = describeModels().find(({ name, variant }) => name === model && variant === "2019")!;
  const { high, low, policy: decisions } = passes[stage];
  return 2 * ((high + low) * classifier.multiplyAdds + decisions * policy.multiplyAdds);
}

/** What the machine can do at most by bench/peak.ts, in 10⁹ operations a second. */
export function peakGflops(precision: "fp32" | "bf16", threads: number): number | undefined {
  const peak = fileURLToPath(new URL("peak.ts", import.meta.url));
  const flags = ["--precision", precision, "--threads", String(threads)];
  const { status, stdout } = spawnSync(process.execPath, [...process.execArgv, peak, ...flags], { encoding: "utf8" });
  return status === 0 ? (JSON.parse(stdout) as { gflops: number }).gflops : undefined;
}
