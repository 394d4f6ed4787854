/** `patchdrop acquire --manifest`: the scenes of a shard, several of them at a time, into one file of lines. */

import { join } from "node:path";
import { acquireInto } from "../acquire/acquire.ts";
import { refuseWithoutLow } from "../acquire/acquire-run.ts";
import { namedBands } from "../acquire/acquire-scenes.ts";
import { Fetcher } from "../acquire/fetcher.ts";
import type { DecidedCell } from "../acquire/geojson.ts";
import { checkWritten, type SceneOutputs, type WindowPrediction } from "../acquire/outputs.ts";
import type { PatchPolicy } from "../acquire/patch-policy.ts";
import type { PatchSource } from "../acquire/patch-source.ts";
import { sceneOf } from "../acquire/scene.ts";
import type { Acquired } from "../acquire/tally.ts";
import { openManifest } from "../archive/manifest.ts";
import type { ArchivedItem, ArchivedScene } from "../archive/scenes.ts";
import { overRendering } from "../data/rendering.ts";
import { temporaryName } from "../files/atomic.ts";
import { openRun } from "../inference/open-run.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import { maskBits } from "../method/grid.ts";
import type { AcquireOptions } from "../options/acquire-options.ts";
import { settingsText } from "../predict/lines.ts";
import { oneAtATime } from "../utils/one-at-a-time.ts";
import { loose, type Reporter, silentReporter, untilStopped } from "../utils/reporter.ts";
import { Shares } from "../utils/shares.ts";
import { findShard } from "./find-shard.ts";
import { isOfScene, type Outcome, runShard, type SceneWork, wantedText } from "./run-shard.ts";
import type { SceneLine, WindowLine } from "./scene-lines.ts";
import type { ShardCounts } from "./shard-file.ts";

/** So many scenes are opened at most: while one waits for its server, another is looked at. */
const scenesAtOnce = 8;
/** So many windows they have together, so that of large scenes only two are under way, and little is lost where a shard is cut. */
const windowsAtOnce = 64;

/**
 * Acquires what the run `options.load` chooses of a shard of `options.manifest`, and writes the shard's file into `options.out`.
 * @param variables of the environment, in which a batch system says which shard it is
 * @throws what openRun, openManifest, findShard and runShard throw
 */
export async function acquireShard(
  options: AcquireOptions & { readonly manifest: string },
  variables: NodeJS.ProcessEnv,
  reporter: Reporter = silentReporter,
): Promise<ShardCounts & { readonly path: string }> {
  const shard = findShard(options.shard, variables);
  const manifest = await openManifest(options.manifest);
  const run = await openRun(options, reporter);
  const fetcher = new Fetcher({ requests: options.requests });
  try {
    refuseWithoutLow(run, options);
    const made = { command: "acquire", checkpoint: run.checkpoint, settings: settingsOf(run, options) } as const;
    const inTurn = oneAtATime();
    const windows = new Shares(windowsAtOnce);
    let scenes = 0;
    const work: SceneWork = {
      groupSize: 1,
      atOnce: scenesAtOnce,
      async run([scene]) {
        const place = scenes++;
        const own = { ...options, fetcher, room: (wanted: number) => windows.take(wanted, place) };
        return [await outcomeOf(scene, inOrderOf(place, run, inTurn), own, reporter)];
      },
    };
    const bandNames = namedBands(overRendering(options, run.description.rendering));
    const wanted = { ...options, bandNames };
    return await runShard({ manifest, shard, out: options.out, wanted, made }, work, reporter);
  } finally {
    await fetcher.end();
    await run.free();
  }
}

/**
 * The policy for one of several scenes at a time: its networks look at one batch after the other, at the earliest scene's first. So
 * scenes end one by one, and little is lost when a shard is cut.
 * @param scene its number
 */
function inOrderOf(scene: number, run: OpenedRun, inTurn: ReturnType<typeof oneAtATime>): PatchPolicy {
  const { model, description, classes, checkpoint, rounds, choice, exit } = run;
  return {
    ...{ model, description, classes, checkpoint, rounds, choice, exit },
    shownLow: (low) => run.shownLow(low),
    decide: (low, acquired) => inTurn(() => run.decide(low, acquired), scene),
    classify: (images, mask, low) => inTurn(() => run.classify(images, mask, low), scene),
  };
}

interface Choices extends AcquireOptions {
  readonly fetcher: Fetcher;
  /** Waits until so many windows may be under way; what it gives ends that. */
  room(windows: number): Promise<() => void>;
}

async function outcomeOf(
  { files, low, item }: ArchivedScene,
  policy: PatchPolicy,
  options: Choices,
  reporter: Reporter,
): Promise<Outcome> {
  const lines: string[] = [];
  const open = async (source: PatchSource) => {
    const { columns, rows } = sceneOf(source, policy.model.grid);
    const leave = await untilStopped(reporter, options.room(Math.min(columns * rows, windowsAtOnce / 2)));
    return new SceneLines(item, { source, policy, options, lines, leave });
  };
  const wholeFile = options.allow_full_file ? temporaryName(join(options.out, "whole-file")) : undefined;
  // Of several bars at once, none could be read: that of the shard is enough.
  const quiet = { ...loose(reporter), progress: silentReporter.progress };
  try {
    await acquireInto(open, files, policy, { ...options, low, wholeFile }, quiet);
    return { lines: lines.join("") };
  } catch (error) {
    if (isOfScene(error)) return { error };
    throw error;
  }
}

/** What is found in a scene, as lines. */
class SceneLines implements SceneOutputs {
  readonly takesPixels = false;
  readonly #item: ArchivedItem;
  readonly #source: PatchSource;
  readonly #policy: PatchPolicy;
  readonly #mostBytes: number;
  readonly #lines: string[];
  readonly #leave: () => void;
  #bytes = 0;
  #cells: readonly DecidedCell[] = [];

  /** @param about where the scene comes from; `lines`, which the lines are added to; what is to be called at the end */
  constructor(
    item: ArchivedItem,
    about: { source: PatchSource; policy: PatchPolicy; options: Choices; lines: string[]; leave: () => void },
  ) {
    this.#item = item;
    this.#source = about.source;
    this.#policy = about.policy;
    this.#mostBytes = about.options.max_output_bytes;
    this.#lines = about.lines;
    this.#leave = about.leave;
  }

  cells(decided: readonly DecidedCell[]): void {
    this.#cells = decided;
  }

  prediction({ checkpoint: _, ...line }: WindowPrediction): void {
    const chosen = new Uint8Array(this.#policy.model.grid.patches);
    for (const one of this.#cells) chosen[one.cell.patch] = one.chosen ? 1 : 0;
    const cell_bytes = this.#cells.map(({ bytes }) => bytes);
    this.#add({ of: this.#item.id, ...line, chosen: maskBits(chosen), cell_bytes } satisfies WindowLine);
  }

  async rows(): Promise<void> {}

  async finish({ checkpoint: _, ...acquired }: Acquired): Promise<void> {
    const { georeference } = this.#source;
    const { imageSize, grid } = this.#policy.model;
    this.#add({
      ...{ id: this.#item.id, from: this.#item.from },
      ...acquired,
      place: georeference === undefined ? null : { epsg: georeference.epsg, affine: georeference.affine },
      grid: { image_size: imageSize, patch_size: grid.patchSize },
    } satisfies SceneLine);
  }

  close(): void {
    this.#leave();
  }

  /** @throws resource */
  #add(line: WindowLine | SceneLine): void {
    const text = `${JSON.stringify(line)}\n`;
    this.#bytes += text.length;
    checkWritten(this.#bytes, this.#mostBytes, this.#source.where);
    this.#lines.push(text);
  }
}

/** What lines depend on besides the networks. */
function settingsOf({ choice, exit, description, precision }: OpenedRun, options: AcquireOptions): string {
  const { free_patches, max_pixels, price_per_km2, min_area_km2, egress_per_gb } = options;
  const { budget_bytes, budget_seconds, budget_money, whole_if_cheaper } = options;
  const settings = {
    ...{
      ...choice,
      exit: exit?.confidence,
      exit_temperature: exit?.temperature,
      fill: description.fill,
      ...overRendering(options, description.rendering),
      precision,
    },
    ...{ low_bands: options.low_bands, low_scale: options.low_scale },
    ...{ budget_bytes, budget_seconds, budget_money, whole_if_cheaper: whole_if_cheaper || undefined },
    ...{ free_patches: free_patches || undefined, max_pixels, price_per_km2, min_area_km2, egress_per_gb },
    ...wantedText(options),
    tta: options.tta || undefined,
    top: options.top,
  };
  return settingsText(settings);
}
