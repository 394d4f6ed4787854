/**
 * `patchdrop acquire`: a policy looks at the low resolution of a scene, window by window, and only the patches that it chose
 * are read.
 */

import { join } from "node:path";
import { overRendering, type RenderingOptions, rgb } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import { type Reporter, silentReporter, untilStopped } from "../utils/reporter.ts";
import { Acquisition, type AcquisitionChoices, type OpenOutputs, type SceneForm } from "./acquisition.ts";
import type { Fetcher } from "./fetcher.ts";
import type { HttpOptions } from "./http-file.ts";
import { Ledger } from "./ledger.ts";
import { doesLookFirst } from "./look-first.ts";
import { makeNewFolder } from "./new-folder.ts";
import { type NamedScene, openScene } from "./open-scene.ts";
import { type SceneContext, SceneFolder } from "./outputs.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import type { PatchSource } from "./patch-source.ts";
import type { Acquired } from "./tally.ts";

type Choices = AcquisitionChoices &
  Pick<AcquireOptions, "bands" | "scale" | "max_pixels" | "max_file_bytes" | "low" | "low_bands" | "low_scale"> &
  Pick<HttpOptions, "begun" | "wholeFile"> & {
    /** What reads from servers while the policy looks; nothing is read meanwhile when absent. */
    readonly fetcher?: Fetcher | undefined;
  };

type FolderChoices = Omit<Choices, "wholeFile"> &
  Pick<AcquireOptions, "out" | "allow_full_file" | "max_output_bytes"> &
  SceneContext;

/**
 * Acquires what the policy chooses of a scene, and writes the folder `options.out`.
 * @param scene path or http(s) address, or the files of an item; undefined where cells of an image that does not exist yet are chosen by `options.low`
 * @throws usage: a folder that exists; locked: one that another process is making; what {@link acquireInto} throws, and then writes nothing
 */
export async function acquire(
  scene: NamedScene,
  policy: PatchPolicy,
  options: FolderChoices,
  reporter: Reporter = silentReporter,
): Promise<Acquired> {
  let acquired: Acquired | undefined;
  await makeNewFolder(options.out, async (folder) => {
    const wholeFile = options.allow_full_file ? join(folder, ".whole-file") : undefined;
    const open = (source: PatchSource, form: SceneForm) =>
      new SceneFolder(folder, source, { form, mostBytes: options.max_output_bytes }, options);
    acquired = await acquireInto(open, scene, policy, { ...options, wholeFile }, reporter);
  });
  return acquired!;
}

/**
 * Acquires what the policy chooses of a scene.
 * @param scene as {@link acquire} has it
 * @throws usage: other bands than the policy sees; what openScene and PatchSource throw; resource: a scene or results that are larger than
 *   the options allow; system; Stopped
 */
export async function acquireInto(
  open: OpenOutputs,
  scene: NamedScene,
  policy: PatchPolicy,
  options: Choices,
  reporter: Reporter = silentReporter,
): Promise<Acquired> {
  checkBands(scene, policy, options);
  const ledger = new Ledger();
  const ended = new AbortController();
  const looksFirst = doesLookFirst(options);
  const access = {
    ...options,
    isExact: looksFirst,
    ...seenBy(policy),
    ledger,
    mostBytes: options.max_file_bytes,
    signal: ended.signal,
    fetching: options.fetcher?.group({ ledger, signal: ended.signal }),
  };
  const began = performance.now();
  try {
    const source = await untilStopped(reporter, openScene(scene, policy.model, access));
    try {
      checkSize(source, options.max_pixels);
      const openSeconds = (performance.now() - began) / 1000;
      return await new Acquisition(source, policy, { options, ledger, reporter, openSeconds }).write(open);
    } finally {
      await source.close();
    }
  } finally {
    // Nothing that was left behind by a stop goes on.
    ended.abort();
  }
}

/** How a policy sees images. */
function seenBy({ description }: PatchPolicy) {
  const { pixelType = "uint8", normalization, low, rendering } = description ?? {};
  return { pixelType, missing: normalization?.mean, missingLow: low?.mean, usual: rendering };
}

/** @throws usage */
function checkBands(scene: NamedScene, { description }: PatchPolicy, options: RenderingOptions): void {
  const isStack = typeof scene === "object" && scene.length > 1;
  const stacked = isStack ? scene.map(({ called }) => called[0]) : undefined;
  const bands = overRendering(options, description?.rendering).bands ?? stacked;
  const { bands: seen = rgb } = description ?? {};
  if (bands === undefined || bands.length === seen.length) return;
  const rule = `must be ${seen.length} bands, as the run has learned from ${seen.join(", ")}`;
  throw fault("usage", { where: bands === stacked ? "--asset" : "--bands", rule, got: bands.join(",") });
}

/** @throws resource */
function checkSize({ where, width, height }: PatchSource, mostPixels: number): void {
  if (width * height <= mostPixels) return;
  const got = `${width} × ${height}`;
  const next = "cut it into smaller ones, or raise --max_pixels";
  throw fault("resource", { where, rule: `must have at most ${mostPixels} pixels`, got, next });
}
