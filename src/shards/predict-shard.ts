/** `patchdrop predict --manifest`: the images of a shard, whole and in batches, into one file of lines. */

import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { namedBands } from "../acquire/acquire-scenes.ts";
import { Fetcher } from "../acquire/fetcher.ts";
import { isAddress, redacted } from "../archive/document.ts";
import { openManifest } from "../archive/manifest.ts";
import type { ArchivedScene } from "../archive/scenes.ts";
import { overRendering } from "../data/rendering.ts";
import { fault, type PatchDropError } from "../errors.ts";
import { makeFolder, temporaryName } from "../files/atomic.ts";
import { openRun } from "../inference/open-run.ts";
import type { OpenedRun } from "../inference/opened-run.ts";
import type { PredictOptions } from "../options/predict-options.ts";
import { type Prediction, settingsText } from "../predict/lines.ts";
import { decodeBatch, describe, poolFor, refusePairs, settingsOf } from "../predict/predict.ts";
import { oneAtATime } from "../utils/one-at-a-time.ts";
import { type Reporter, silentReporter, untilStopped } from "../utils/reporter.ts";
import { findShard } from "./find-shard.ts";
import { type Outcome, runShard, type SceneWork, wantedText } from "./run-shard.ts";
import type { ShardCounts } from "./shard-file.ts";

/** Batches that are fetched and decoded, or waiting for it. */
const batchesHeld = 3;
/** What a file that is fetched may have. */
const mostFileBytes = 128 * 2 ** 20;

type Choices = PredictOptions & { readonly manifest: string; readonly out: string };

/** A line of an image: what `patchdrop predict` says of it, behind its id. */
export type ImageLine = { readonly id: string } & Omit<Prediction, "checkpoint" | "settings">;

/**
 * Predicts the images of a shard of `options.manifest`, and writes the shard's file into the folder `options.out`.
 * @param variables of the environment, in which a batch system says which shard it is
 * @throws what openRun, openManifest, findShard and runShard throw
 */
export async function predictShard(
  options: Choices,
  variables: NodeJS.ProcessEnv,
  reporter: Reporter = silentReporter,
): Promise<ShardCounts & { readonly path: string }> {
  const shard = findShard(options.shard, variables);
  const manifest = await openManifest(options.manifest);
  const run = await openRun(options, reporter);
  makeFolder(options.out);
  // What a killed process left is removed by the next one that writes there.
  const fetched = temporaryName(join(options.out, "fetched"));
  const fetcher = new Fetcher({ requests: options.requests });
  try {
    await mkdir(fetched);
    refusePairs(run, options);
    const settings = `${settingsOf(run, options)} ${settingsText(wantedText(options))}`.trim();
    const made = { command: "predict", checkpoint: run.checkpoint, settings } as const;
    const predictor = new ShardPredictor(run, { options, folder: fetched, fetcher, reporter });
    const bandNames = namedBands(overRendering(options, run.description.rendering));
    const wanted = { ...options, bandNames };
    const work: SceneWork = {
      groupSize: options.batch_size,
      atOnce: batchesHeld,
      run: (scenes) => predictor.outcomes(scenes),
    };
    return await runShard({ manifest, shard, out: options.out, wanted, made }, work, reporter);
  } finally {
    await fetcher.end();
    await rm(fetched, { recursive: true, force: true });
    await run.free();
  }
}

interface Setting {
  readonly options: Choices;
  /** Where files of servers lie while they are read. */
  readonly folder: string;
  readonly fetcher: Fetcher;
  readonly reporter: Reporter;
}

class ShardPredictor {
  readonly #run: OpenedRun;
  readonly #setting: Setting;
  readonly #fetcher: Fetcher;
  readonly #pool: ReturnType<typeof poolFor>;
  readonly #inTurn = oneAtATime();
  #files = 0;

  constructor(run: OpenedRun, setting: Setting) {
    this.#run = run;
    this.#setting = setting;
    this.#fetcher = setting.fetcher;
    this.#pool = poolFor(run, setting.options);
  }

  async outcomes(scenes: readonly ArchivedScene[]): Promise<readonly Outcome[]> {
    const { options, reporter } = this.#setting;
    const files = await untilStopped(reporter, Promise.all(scenes.map((scene) => this.#fileOf(scene))));
    const paths = files.map((file) => (typeof file === "string" ? file : ""));
    const batch = await decodeBatch(paths, this.#pool, this.#run);
    const { predicted, ms } = await this.#inTurn(async () => {
      const began = performance.now();
      const predicted = await this.#run.predict(batch.pixels);
      return { predicted, ms: (performance.now() - began) / scenes.length };
    });
    const said = describe(batch, predicted, {
      run: this.#run,
      made: { checkpoint: "", settings: "" },
      top: options.top,
      ms,
    });
    const away = paths.filter((path, n) => path !== "" && path !== scenes[n].files[0].place);
    await Promise.all(away.map((path) => rm(path, { force: true })));
    return scenes.map(({ files: [{ place }], item: { id } }, n): Outcome => {
      const file = files[n];
      if (typeof file !== "string") return { error: file };
      const line = said[n];
      const path = redacted(place);
      if ("error" in line) {
        const rule = "must be an image that can be read";
        const next = "fetch it again, or leave it out";
        return { error: fault("input", { where: path, rule, got: line.error, next }) };
      }
      const { checkpoint: _, settings: __, ...content } = line;
      return { lines: `${JSON.stringify({ id, ...content, path } satisfies ImageLine)}\n` };
    });
  }

  /** Where the image lies on this machine, or why it does not. */
  async #fileOf({ files: [{ place }, ...others], item: { id } }: ArchivedScene): Promise<string | PatchDropError> {
    if (others.length > 0) {
      const next = "give --asset KEY, the one to look at";
      return fault("input", {
        where: `item ${id}`,
        rule: "must be one file for predict",
        got: 1 + others.length,
        next,
      });
    }
    if (!isAddress(place)) return place;
    const file = join(this.#setting.folder, String(this.#files++));
    return (await this.#fetcher.fetch(place, file, mostFileBytes)) ?? file;
  }
}
