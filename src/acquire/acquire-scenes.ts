/**
 * `patchdrop acquire` of whatever an argument names: one scene, or those of a STAC document one after the other, each into a folder
 * of its own.
 */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type ArchivedScene, findScenes, type Scenes } from "../archive/scenes.ts";
import { overRendering, type RenderingOptions } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import { assertNew, writeFileAtomic } from "../files/atomic.ts";
import { type ArchiveOptions, archiveNames } from "../options/archive-group.ts";
import { loose, type Reporter, silentReporter, untilStopped } from "../utils/reporter.ts";
import { sha256 } from "../utils/sha256.ts";
import { acquire } from "./acquire.ts";
import { CellTable } from "./cell-table.ts";
import { fileNames } from "./file-names.ts";
import { makeNewFolder } from "./new-folder.ts";
import type { PatchPolicy } from "./patch-policy.ts";
import { type AcquiredScenes, sumOf } from "./sum-scenes.ts";
import type { Acquired } from "./tally.ts";

export type { AcquiredScenes };

type Options = Parameters<typeof acquire>[2] & ArchiveOptions;

/**
 * Acquires from a picture, or from the scenes of a STAC document that `options` want, and writes the folder `options.out`: all or
 * nothing.
 * @param argument path or http(s) address; undefined where the image does not exist yet
 * @throws usage: options of STAC for a picture; what findScenes and acquire throw
 */
export async function acquireScenes(
  argument: string | undefined,
  policy: PatchPolicy,
  options: Options,
  reporter: Reporter = silentReporter,
): Promise<Acquired | AcquiredScenes> {
  assertNew(options.out);
  if (argument === undefined) return acquire(undefined, policy, options, reporter);
  const ended = new AbortController();
  const note = (text: string) => reporter.note(text);
  const bandNames = namedBands(overRendering(options, policy.description?.rendering));
  const finding = findScenes(argument, { ...options, bandNames }, { signal: ended.signal, note });
  const scenes: Scenes = await untilStopped(reporter, finding).finally(() => ended.abort());
  if (scenes.kind === "image") {
    refuseArchiveOptions(options);
    return acquire(argument, policy, { ...options, begun: scenes.begun }, reporter);
  }
  if (scenes.kind === "items") return acquireAll(scenes.scenes, policy, options, reporter);
  const { files, low, item } = scenes.scene;
  return acquire(files, policy, { ...options, low, item }, reporter);
}

/** Undefined where they are numbers, which say nothing of which assets they are. */
export function namedBands({ bands = [] }: RenderingOptions): readonly string[] | undefined {
  const names = bands.filter((band) => typeof band === "string");
  return names.length === 0 || names.length < bands.length ? undefined : names;
}

function refuseArchiveOptions(options: ArchiveOptions): void {
  const given = archiveNames.filter((name) => options[name] !== undefined);
  if (given.length === 0) return;
  const rule = "must be left out for an image: it is for STAC items";
  throw fault(
    "usage",
    given.map((name) => ({ where: `--${name}`, rule })),
  );
}

async function acquireAll(
  scenes: readonly ArchivedScene[],
  policy: PatchPolicy,
  options: Options,
  reporter: Reporter,
): Promise<AcquiredScenes> {
  const acquired: Record<string, Acquired> = {};
  let sum: AcquiredScenes | undefined;
  await makeNewFolder(options.out, async (folder) => {
    const cells = new CellTable(join(folder, fileNames.cells));
    try {
      for (const [n, { files, low, item }] of scenes.entries()) {
        const out = join(folder, folderName(item.id));
        const named = ofScene(reporter, `scene ${n + 1}/${scenes.length}`);
        acquired[item.id] = await acquire(files, policy, { ...options, out, low, item, cells }, named);
      }
      cells.finish();
    } finally {
      cells.close();
    }
    sum = sumOf(acquired);
    writeJson(join(folder, fileNames.savings), sum);
    writeJson(join(folder, fileNames.items), collectionOf(folder, Object.keys(acquired)));
  });
  return sum!;
}

/** The bar says which scene is under way. */
function ofScene(reporter: Reporter, which: string): Reporter {
  return { ...loose(reporter), progress: (label, ...rest) => reporter.progress(`${which}: ${label}`, ...rest) };
}

const longestName = 100;

/** An id as the name of a folder: other characters than these may mean something to a file system or in an address. */
export function folderName(id: string): string {
  const safe = id
    .replaceAll(/[^A-Za-z0-9._-]/g, "_")
    .replace(/^\./, "_")
    .slice(0, longestName);
  const taken: readonly string[] = Object.values(fileNames);
  return safe === id && !taken.includes(id) ? id : `${safe}-${sha256(id).slice(0, 8)}`;
}

/** The items of all scenes as one ItemCollection, whose addresses begin at its own folder. */
function collectionOf(folder: string, ids: readonly string[]): object {
  const features = ids.map((id) => {
    const name = folderName(id);
    const item = JSON.parse(readFileSync(join(folder, name, fileNames.item), "utf8"));
    const assets = Object.entries<{ href: string }>(item.assets).map(([key, asset]) => {
      return [key, { ...asset, href: `./${name}/${asset.href}` }] as const;
    });
    return { ...item, assets: Object.fromEntries(assets) };
  });
  return { type: "FeatureCollection", features };
}

function writeJson(path: string, content: object): void {
  writeFileAtomic(path, new TextEncoder().encode(`${JSON.stringify(content, undefined, 2)}\n`));
}
