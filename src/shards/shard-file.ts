/**
 * The results of a shard: one file of JSON Lines. While the shard is worked on it has another name, grows by whole scenes, and
 * what of it is whole is kept by whoever goes on; complete, it gets its own name.
 *
 *     {"shard":[3,100],"manifest":{…},"part":"…","command":"acquire","checkpoint":"…","settings":"…"}
 *     {"of":"S2A_…", …}          what there is of a scene besides its own line, such as its windows
 *     {"id":"S2A_…", …}          a scene, done; with "error" where it could not be read
 *     {"end":{"scenes":1000,"failed":2}}
 */

import { existsSync, renameSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { ManifestMark, Shard } from "../archive/manifest.ts";
import { type Fault, fault, type PatchDropError, sentences } from "../errors.ts";
import { syncFolder, systemFault } from "../files/atomic.ts";
import { type Line, linesOf } from "../files/line-reader.ts";
import { cutFile, LogFile } from "../files/log-file.ts";
import { faultsOf } from "../options/parse.ts";

/** How the lines of a file came about; the same in all shards of a manifest but for its own number. */
export interface ShardHeader {
  readonly shard: readonly [index: number, count: number];
  readonly manifest: ManifestMark & { readonly name: string };
  /** A hash of what the list says of the shard's own scenes. */
  readonly part: string;
  readonly command: "acquire" | "predict";
  /** Identifies the networks' weights. */
  readonly checkpoint: string;
  /** The options that lines depend on. */
  readonly settings: string;
}

export interface ShardCounts {
  readonly scenes: number;
  /** Those of them that could not be read. */
  readonly failed: number;
}

const whole = z.int().min(0);
export const headerSchema = z.strictObject({
  shard: z.tuple([whole, z.int().positive()]),
  manifest: z.strictObject({ name: z.string(), bytes: whole, sha256: z.string() }),
  part: z.string(),
  command: z.enum(["acquire", "predict"]),
  checkpoint: z.string(),
  settings: z.string(),
});
const endSchema = z.strictObject({ end: z.strictObject({ scenes: whole, failed: whole }) });
const sceneSchema = z.looseObject({ id: z.string(), error: z.string().optional() });

/** Of the windows of a scene none is longer. */
const longestLine = 2 ** 26;

/** "shard-03-of-12.jsonl" */
export function shardName({ index, count }: Shard): string {
  return `shard-${String(index).padStart(String(count - 1).length, "0")}-of-${count}.jsonl`;
}

/** Of how many shards a file is one, complete or not; undefined of any other file. */
export function divisionOf(name: string): number | undefined {
  const [, count] = /^\.?shard-\d+-of-(\d+)\.jsonl(?:\.partial)?$/.exec(name) ?? [];
  return count === undefined ? undefined : Number(count);
}

/** A line of a shard's file that was checked. */
export type ShardLine = { readonly where: string } & (
  | { readonly kind: "header"; readonly header: ShardHeader }
  /** Something of a scene whose own line follows. */
  | { readonly kind: "part"; readonly content: Readonly<Record<string, unknown>> }
  | {
      readonly kind: "scene";
      readonly id: string;
      readonly error: string | undefined;
      readonly content: Readonly<Record<string, unknown>>;
    }
  | { readonly kind: "end"; readonly counts: ShardCounts }
);

/**
 * The lines of a file, checked one by one; a last one that was cut off is not among them.
 * @throws input: what is no file of a shard; system
 */
export async function* shardLines(path: string): AsyncGenerator<{ line: ShardLine; end: number }> {
  const tooLong = (at: number) => noShard(`${path}: byte ${at}`, "a longer line");
  let isFirst = true;
  for await (const { text, at, end, isWhole } of linesOf(path, { longest: longestLine, tooLong })) {
    if (!isWhole) return;
    yield { line: lineOf(text, `${path}: byte ${at}`, isFirst), end };
    isFirst = false;
  }
}

function lineOf(text: Line["text"], where: string, isFirst: boolean): ShardLine {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw noShard(where, text);
  }
  if (isFirst) return { where, kind: "header", header: checked(headerSchema, content, where) };
  if (text.startsWith('{"of":'))
    return { where, kind: "part", content: checked(z.looseObject({ of: z.string() }), content, where) };
  if (text.startsWith('{"end":')) return { where, kind: "end", counts: checked(endSchema, content, where).end };
  const scene = checked(sceneSchema, content, where);
  return { where, kind: "scene", id: scene.id, error: scene.error, content: scene };
}

/** @throws input */
export function checked<T>(schema: z.ZodType<T>, content: unknown, where: string): T {
  const result = schema.safeParse(content);
  if (result.success) return result.data;
  const next = "give a folder of shards";
  const faults = faultsOf(result.error, content, `${where}: `, "must not be there");
  throw fault(
    "input",
    faults.map((one): Fault => ({ ...one, next })),
  );
}

function noShard(where: string, text: string): PatchDropError {
  const rule = "must be a line of a shard's results";
  return fault("input", { where, rule, got: text.slice(0, 50), next: "remove it, or give another --out" });
}

/** A shard's file that is written, or that was. */
export class ShardFile {
  readonly path: string;
  /** Scenes that are there. */
  readonly done = new Set<string>();
  readonly #partial: string;
  readonly #header: ShardHeader;
  #log: LogFile | undefined;
  #failed = 0;

  private constructor(folder: string, header: ShardHeader) {
    const [index, count] = header.shard;
    this.path = join(folder, shardName({ index, count }));
    this.#partial = join(folder, `.${shardName({ index, count })}.partial`);
    this.#header = header;
  }

  /**
   * Opens what is there, to go on with it. Whoever calls holds a lock on it.
   * @throws locked: what was begun with another manifest, run or options; input: what is no file of a shard; system
   */
  static async open(folder: string, header: ShardHeader): Promise<ShardFile> {
    const file = new ShardFile(folder, header);
    if (existsSync(file.path)) await file.#recover(file.path, true);
    else {
      if (existsSync(file.#partial)) await file.#recover(file.#partial, false);
      file.#log = new LogFile(file.#partial);
      if (file.#log.length === 0) file.#append(header);
    }
    return file;
  }

  /** Whether all of the shard was there already. */
  get isComplete(): boolean {
    return this.#log === undefined;
  }

  get counts(): ShardCounts {
    return { scenes: this.done.size, failed: this.#failed };
  }

  /** A scene that was read. @param lines its own and before it what else there is of it, each with its line break @throws system */
  add(id: string, lines: string): void {
    this.#write(lines);
    this.done.add(id);
  }

  /** A scene that could not be read, and why. @throws system */
  addFailed(id: string, error: PatchDropError): void {
    this.#append({ id, error: sentences(error).join("; "), kind: error.kind });
    this.done.add(id);
    this.#failed++;
  }

  /** Gives the file its name. @throws system */
  finish(): void {
    this.#append({ end: this.counts });
    this.#log!.sync();
    this.close();
    try {
      renameSync(this.#partial, this.path);
      syncFolder(join(this.path, ".."));
    } catch (error) {
      throw systemFault("could not be written", this.path, 0, error);
    }
  }

  close(): void {
    this.#log?.close();
    this.#log = undefined;
  }

  #append(content: object): void {
    this.#write(`${JSON.stringify(content)}\n`);
  }

  #write(lines: string): void {
    this.#log!.append(new TextEncoder().encode(lines));
  }

  async #recover(path: string, isComplete: boolean): Promise<void> {
    let [kept, hasEnded] = [0, false];
    for await (const { line, end } of shardLines(path)) {
      if (line.kind === "header") this.#mustBeOurs(line.header, path);
      if (line.kind === "scene") {
        this.done.add(line.id);
        if (line.error !== undefined) this.#failed++;
      }
      hasEnded = line.kind === "end";
      // What there is of a scene counts with its own line.
      if (line.kind === "header" || line.kind === "scene") kept = end;
    }
    if (!isComplete) cutFile(path, kept);
    else if (!hasEnded) throw noShard(path, "a file that ends too early");
  }

  /** Lines that were made in different ways are not to stand together. @throws locked */
  #mustBeOurs(theirs: ShardHeader, path: string): void {
    const different = (["manifest", "part", "command", "checkpoint", "settings"] as const).find(
      (key) => JSON.stringify(theirs[key]) !== JSON.stringify(this.#header[key]),
    );
    if (different === undefined) return;
    const shown = (header: ShardHeader) => (different === "manifest" ? manifestText(header) : header[different]);
    const what = { manifest: "another manifest", part: "other scenes", settings: "other settings" };
    const named =
      different === "manifest" || different === "part" || different === "settings"
        ? what[different]
        : `another ${different}`;
    const rule = `was begun with ${named}: ${shown(theirs)}`;
    const next = "give the same options, or another --out";
    throw fault("locked", { where: path, rule, got: shown(this.#header), next });
  }
}

function manifestText({ manifest: { name, bytes, sha256 } }: ShardHeader): string {
  return `${name}, ${bytes} bytes, ${sha256.slice(0, 8)}`;
}
