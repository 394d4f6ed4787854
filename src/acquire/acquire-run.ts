/** Acquires with a trained run: the only file here that knows the networks. */

import { openRun } from "../inference/open-run.ts";
import { type AcquireOptions, acquireSchema } from "../options/acquire-options.ts";
import { refuseUnknown } from "../utils/refuse-unknown.ts";
import type { Reporter } from "../utils/reporter.ts";
import { acquire } from "./acquire.ts";
import type { Acquired } from "./tally.ts";

/**
 * Acquires what the run `options.load` chooses of a scene, and writes the folder `options.out`.
 * @param scene path or http(s) address
 * @throws what openRun and acquire throw
 */
export async function acquireRun(scene: string, options: AcquireOptions, reporter?: Reporter): Promise<Acquired> {
  refuseUnknown(options, Object.keys(acquireSchema.shape), "acquireRun");
  const run = await openRun(options, reporter);
  try {
    return await acquire(scene, run, options, reporter);
  } finally {
    await run.free();
  }
}
