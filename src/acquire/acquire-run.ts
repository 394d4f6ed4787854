/** Acquires with a trained run: the only file here that knows the networks. */

import { predictSchema } from "../predict/options.ts";
import { Predictor } from "../predict/predictor.ts";
import type { Reporter } from "../run/reporter.ts";
import { acquire } from "./acquire.ts";
import type { AcquireOptions } from "./options.ts";
import type { Acquired } from "./tally.ts";

/** @throws what Predictor and acquire throw */
export async function acquireRun(scene: string, options: AcquireOptions, reporter: Reporter): Promise<Acquired> {
  const { load, fill, device, precision, threads, torch } = options;
  const predictor = new Predictor(predictSchema.parse({ load, fill, device, precision, threads, torch }));
  try {
    return await acquire(scene, predictor, options, reporter);
  } finally {
    predictor.free();
  }
}
