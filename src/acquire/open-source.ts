/** Which kind of source an argument names: an address, a TIFF file or another picture; or a file for each band. */

import type { SceneFile } from "../archive/assets.ts";
import { redacted } from "../archive/document.ts";
import { type BandChoice, overRendering, type RenderingOptions, refuseRendering } from "../data/rendering.ts";
import { fault } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { beginsAsTiff } from "../formats/tiff.ts";
import { type ByteSource, LocalFile, openToRead } from "./byte-source.ts";
import { type CogOptions, CogSource } from "./cog-source.ts";
import type { FetchGroup } from "./fetcher.ts";
import { HttpFile, type HttpOptions } from "./http-file.ts";
import { ImageSource } from "./image-source.ts";
import type { LowResolution, PatchSource } from "./patch-source.ts";
import { StackedSource } from "./stacked-source.ts";

export interface OpenOptions extends HttpOptions {
  /** What reads from servers meanwhile; the thread that asks does when absent. */
  readonly fetching?: FetchGroup | undefined;
}

export interface SourceOptions extends CogOptions, OpenOptions {
  readonly max_image_bytes?: number | undefined;
  /** What holds of a TIFF where nothing is chosen. */
  readonly usual?: RenderingOptions | undefined;
}

/**
 * Opens a scene of one file or of several, of which each gives a band.
 * @throws usage: bands that none or several of the files are; input: files of different grids; what openSource throws
 */
export async function openFiles(
  files: readonly SceneFile[],
  sizes: LowResolution,
  options: SourceOptions,
): Promise<PatchSource> {
  if (files.length === 1) return openSource(files[0].place, sizes, { ...options, bandNames: files[0].bandNames });
  const { bands, scale } = overRendering(options, options.usual);
  const chosen = bands === undefined ? files : bands.map((band) => fileOf(band, files));
  const opened: PatchSource[] = [];
  try {
    for (const [n, { place, called, bandNames }] of chosen.entries()) {
      const missing = options.missing?.slice(n, n + 1);
      const own = { ...options, usual: undefined, bands: called.slice(0, 1), scale, missing };
      // Of a file that is one band, all that it is called is the name of the band.
      const names = bandNames.length > 1 ? bandNames : [called];
      opened.push(await openSource(place, sizes, { ...own, bandNames: names, memoryShare: 1 / chosen.length }));
    }
    return new StackedSource(opened);
  } catch (error) {
    await Promise.all(opened.map((one) => one.close()));
    throw error;
  }
}

/** @throws usage */
function fileOf(band: BandChoice, files: readonly SceneFile[]): SceneFile {
  const isIt = ({ called }: SceneFile) => called.some((one) => one.toLowerCase() === String(band).toLowerCase());
  const found = typeof band === "number" ? files.slice(band - 1, band) : files.filter(isIt);
  if (found.length === 1) return found[0];
  const next = `they are ${files.map(({ called }) => called.join(" or ")).join(", ")}`;
  throw fault("usage", { where: "--bands", rule: "must each be one of the scene's assets", got: band, next });
}

/**
 * Opens a path or an http(s) address.
 * @throws usage: an address of another kind; what the sources throw
 */
export async function openSource(argument: string, sizes: LowResolution, options: SourceOptions): Promise<PatchSource> {
  if (schemeOf(argument) === undefined && !(await isTiff(argument))) {
    // Of a picture that is no TIFF, the decoder says which bands are which colours.
    refuseRendering(options, `must be left out for ${argument}, which is no TIFF`);
    if (options.pixelType === "float32") {
      const rule = "must be a TIFF, since the run has learned from measured values";
      throw fault("input", { where: argument, rule, got: "a picture", next: "give the scene as it was measured" });
    }
    return ImageSource.open(argument, sizes, options);
  }
  const bytes = await openBytes(argument, "image", options);
  try {
    return await CogSource.open(bytes, sizes, { ...options, ...overRendering(options, options.usual) });
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/**
 * The bytes of a path or an http(s) address.
 * @param where names the argument in errors
 * @throws usage: an address of another kind; input: not there; what HttpFile throws
 */
export function openBytes(argument: string, where: string, options: OpenOptions): Promise<ByteSource> {
  const scheme = schemeOf(argument);
  if (scheme === undefined) return LocalFile.open(argument, options.ledger);
  if (scheme === "http" || scheme === "https") {
    return options.fetching?.open(argument, options) ?? HttpFile.open(argument, options);
  }
  const next = "give a path, or an https address (of a bucket: a presigned one)";
  throw fault("usage", { where, rule: "must be a path or an http or https address", got: redacted(argument), next });
}

function schemeOf(argument: string): string | undefined {
  return /^([a-z][a-z0-9+.-]*):\/\//i.exec(argument)?.[1].toLowerCase();
}

/** By the byte order at the file's beginning, whatever the name. @throws input: not a file that can be opened; system */
async function isTiff(path: string): Promise<boolean> {
  const file = await openToRead(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 0).catch((error) => {
      throw systemFault("could not be read", path, 0, error);
    });
    return beginsAsTiff(buffer);
  } finally {
    await file.close();
  }
}
