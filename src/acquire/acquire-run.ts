/** Acquires with a trained run: the only file here that knows the networks. */

import { fault, type PatchDropError } from "../errors.ts";
import { openRun } from "../inference/open-run.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import type { Reporter } from "../utils/reporter.ts";
import { type AcquiredScenes, acquireScenes } from "./acquire-scenes.ts";
import { Fetcher } from "./fetcher.ts";
import { requestsAtOnce } from "./http-file.ts";
import { filesAtOnce } from "./stacked-source.ts";
import type { Acquired } from "./tally.ts";

/**
 * Acquires what the run `options.load` chooses of a scene or of several, and writes the folder `options.out`.
 * @param scene path or http(s) address of an image, or of a STAC document; none with `options.plan`
 * @throws usage: a scene where none is to be, or none where one is; what openRun and acquireScenes throw
 */
export async function acquireRun(
  scene: string | undefined,
  options: AcquireOptions,
  reporter?: Reporter,
): Promise<Acquired | AcquiredScenes> {
  if ((scene === undefined) !== options.plan) throw wrongArgument(scene);
  const run = await openRun(options, reporter);
  const fetcher = new Fetcher({ requests: filesAtOnce * requestsAtOnce });
  try {
    refuseWithoutLow(run, options);
    return await acquireScenes(scene, run, { ...options, fetcher }, reporter);
  } finally {
    await fetcher.end();
    await run.free();
  }
}

function wrongArgument(scene: string | undefined): PatchDropError {
  if (scene !== undefined) {
    return fault("usage", { where: "image", rule: "must be left out with --plan, which opens none", got: scene });
  }
  const next = "see `patchdrop acquire --help`";
  return fault("usage", { where: "image", rule: "must be given, or --manifest, or --low COARSE --plan", next });
}

/** @throws usage: a run whose low resolution comes from another picture of the same ground, where none is given */
export function refuseWithoutLow({ seesPairs }: OpenedRun, { load, low }: Pick<AcquireOptions, "load" | "low">): void {
  if (!seesPairs || low !== undefined) return;
  throw fault("usage", {
    where: "--low",
    rule: `must name the picture that the low resolution is made of, since ${load} has learned from pairs`,
    got: "nothing",
  });
}
