/** Acquires with a trained run: the only file here that knows the networks. */

import type { AcquireOptions } from "../options/acquire-options.ts";
import { Predictor } from "../predict/predictor.ts";
import type { Reporter } from "../utils/reporter.ts";
import { acquire } from "./acquire.ts";
import type { Acquired } from "./tally.ts";

/**
 * Acquires of a scene what the run `options.load` chooses, and writes the folder `options.out`.
 * @param scene path or http(s) address
 * @throws what Predictor and acquire throw
 */
export async function acquireRun(scene: string, options: AcquireOptions, reporter?: Reporter): Promise<Acquired> {
  const predictor = new Predictor(options);
  try {
    return await acquire(scene, predictor, options, reporter);
  } finally {
    predictor.free();
  }
}
