/** Acquires with a trained run: the only file here that knows the networks. */

import { openRun } from "../inference/open-run.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import type { Reporter } from "../utils/reporter.ts";
import { acquire } from "./acquire.ts";
import type { Acquired } from "./tally.ts";

/**
 * Acquires what the run `options.load` chooses of a scene, and writes the folder `options.out`.
 * @param scene path or http(s) address
 * @throws what openRun and acquire throw
 */
export async function acquireRun(scene: string, options: AcquireOptions, reporter?: Reporter): Promise<Acquired> {
  const run = await openRun(options, reporter);
  try {
    return await acquire(scene, run, options, reporter);
  } finally {
    await run.free();
  }
}
