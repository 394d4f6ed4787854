/** A stage's step, again and again, and what memory the process then has. */
import { existsSync, readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { kept } from "../../src/tensor/captured.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { uniformsOf } from "../../src/training/step-runner.ts";
import { Random } from "../../src/utils/random.ts";
import { noiseBatch, type StageCase } from "./cases.ts";

const batchSize = 4;

/** Runs one step as `runEpochs` does: the numbers outlive the step's scope, are read, and are freed. */
export function runStep({ learning, step }: StageCase, index: number): void {
  const numbers = scope(() => {
    const noise = noiseBatch(new Random(2, "images", index), batchSize);
    const { uniformsPerImage: perImage } = learning;
    const uniforms = fromArray(uniformsOf(1, 0, index, batchSize * perImage), [batchSize, perImage]);
    return kept(step({ ...noise, uniforms, epoch: 0 }, 1e-4));
  });
  if (!Number.isFinite(numbers.loss.item())) throw new Error(`step ${index}: the loss is not finite`);
  for (const tensor of Object.values(numbers)) (tensor as Tensor).free();
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/**
 * Memory of the process that is its own. Pages of mapped files (libtorch's code) do not count where the system tells them
 * apart: it drops and reads them again as it likes.
 */
export function residentBytes(): number {
  collectGarbage();
  const status = existsSync("/proc/self/status") ? readFileSync("/proc/self/status", "utf8") : "";
  const anonymous = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1];
  return anonymous === undefined ? process.memoryUsage.rss() : Number(anonymous) * 1024;
}
