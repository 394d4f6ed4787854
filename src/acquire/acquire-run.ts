/** Acquires with a trained run: the only file here that knows the networks. */

import { fault } from "../errors.ts";
import { openRun } from "../inference/open-run.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import type { Reporter } from "../utils/reporter.ts";
import { type AcquiredScenes, acquireScenes } from "./acquire-scenes.ts";
import type { Acquired } from "./tally.ts";

/**
 * Acquires what the run `options.load` chooses of a scene or of several, and writes the folder `options.out`.
 * @param scene path or http(s) address of an image, or of a STAC document
 * @throws what openRun and acquireScenes throw
 */
export async function acquireRun(
  scene: string,
  options: AcquireOptions,
  reporter?: Reporter,
): Promise<Acquired | AcquiredScenes> {
  const run = await openRun(options, reporter);
  try {
    refuseWithoutLow(run, options);
    return await acquireScenes(scene, run, options, reporter);
  } finally {
    await run.free();
  }
}

/** @throws usage: a run whose low resolution comes from another picture of the same ground, where none is given */
function refuseWithoutLow({ seesPairs }: OpenedRun, options: AcquireOptions): void {
  if (!seesPairs || ("low" in options && options.low !== undefined)) return;
  throw fault("usage", {
    where: "--low",
    rule: `must name the picture that the low resolution is made of, since ${options.load} has learned from pairs`,
    got: "nothing",
  });
}
