/**
 * `results.json` of an experiment: its table, its evaluations, and the hashes of what they were made from; or the table of
 * several seeds' experiments. What is read again is believed only as far as those hashes are still right, and a file that was
 * changed, not at all.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { fault } from "../errors.ts";
import type { EvaluationRow, RunEvaluation } from "../evaluation/evaluation.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { isJsonObject } from "../files/json.ts";
import type { SeedsTable } from "../report/table.ts";
import type { NamedTimes } from "../report/time-table.ts";
import type { Reporter } from "../utils/reporter.ts";
import { sha256 } from "../utils/sha256.ts";
import { version } from "../utils/version.ts";
import type { Experiment } from "./experiment-file.ts";
import { pageName, resultsName } from "./experiment-schema.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const publishedSchema = z.object({
  format: z.literal(2),
  /** SHA-256 over what they come from: of one seed, see {@link experimentKey}; of several, all that is shown. */
  made_from: hash,
  /** SHA-256 of the page that shows these results. */
  page: hash,
});
type Published = z.infer<typeof publishedSchema>;

const resultsSchema = publishedSchema.extend({
  /** By stage. */
  evaluations: z.record(z.string(), z.custom<RunEvaluation>(isJsonObject)),
  /** By stage: see `evaluationKey`. */
  keys: z.record(z.string(), hash),
});
/** What a later run needs of the file. */
export type KnownResults = z.infer<typeof resultsSchema>;

const seedsSchema = publishedSchema.extend({ seeds: z.array(z.number()) });

export interface Results extends Omit<KnownResults, "format"> {
  /** The command line that made them. */
  readonly command: string;
  readonly rows: readonly EvaluationRow[];
  /** By stage: how long it trained. */
  readonly seconds: Readonly<Record<string, number>>;
}

/** Of several seeds: means and intervals. The evaluations are with each seed's own results. */
export interface SeedsResults extends SeedsTable, Omit<Published, "format"> {
  readonly command: string;
}

/**
 * SHA-256 over all that the page and the table show: the file's words, the stages, and what each was evaluated from. What the
 * time of a stage went to counts, that of the experiment does not: it would be another with each page.
 */
export function experimentKey(
  { title, summary, gallery, stages }: Experiment,
  { keys, seconds, times }: Pick<Results, "keys" | "seconds"> & { readonly times: readonly NamedTimes[] },
): string {
  const made = stages.map(({ name, stage }) => [name, stage, keys[name], seconds[name]]);
  return sha256(JSON.stringify({ program: version(), title, summary, gallery, made, times }));
}

/** Writes the file, with a SHA-256 over itself. @throws system */
export function writeResults(file: string, results: Results | SeedsResults): void {
  const all = { format: 2, ...results, written: new Date().toISOString() };
  const text = JSON.stringify({ ...all, sha256: sha256(JSON.stringify(all)) }, null, 2);
  writeFileAtomic(file, new TextEncoder().encode(`${text}\n`));
}

/** What an earlier run wrote; nothing, with a note, of a file that it did not write so. */
export function readResults(file: string, note: Reporter["note"]): KnownResults | undefined {
  return readKnown(file, resultsSchema, note, "all stages are evaluated again");
}

/** The same of several seeds' results. */
export function readSeedsResults(file: string, note: Reporter["note"]): Published | undefined {
  return readKnown(file, seedsSchema, note, "they are written again");
}

/** @param instead what is done where the file is not believed */
function readKnown<T>(file: string, schema: z.ZodType<T>, note: Reporter["note"], instead: string): T | undefined {
  const bytes = bytesOf(file);
  if (bytes === undefined) return undefined;
  try {
    // JSON has no NaN, which is the accuracy of a class without images; nothing else is null.
    const value = JSON.parse(bytes.toString(), (_, inner) => (inner === null ? Number.NaN : inner));
    const { sha256: stated, ...rest } = isJsonObject(value) ? value : {};
    const known = schema.parse(rest);
    if (stated === sha256(JSON.stringify(rest))) return known;
  } catch {} // No JSON, or not of these results: said below.
  note(`${file}: damaged, changed, or of another version; ${instead}`);
  return undefined;
}

/**
 * Refuses a folder with the results of several seeds for those of one, and the other way round: they would be lost. A file
 * that is neither may be written anew.
 * @throws locked
 */
export function assertResultsOf(kind: "one seed" | "several seeds", folder: string): void {
  const where = path.join(folder, resultsName);
  const bytes = bytesOf(where);
  if (bytes === undefined) return;
  const got = kindOf(bytes.toString());
  if (got === undefined || got === kind) return;
  throw fault("locked", {
    where,
    rule: `must be the results of ${kind}`,
    got: `those of ${got}`,
    next: "give another --out",
  });
}

function kindOf(text: string): "one seed" | "several seeds" | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (!isJsonObject(value)) return undefined;
    return "seeds" in value ? "several seeds" : "one seed";
  } catch {
    return undefined;
  }
}

/** What goes into a folder: results, and the page that shows them. */
interface Publication {
  readonly folder: string;
  /** What is there. */
  readonly known: Published | undefined;
  readonly results: Omit<Results, "page"> | Omit<SeedsResults, "page">;
  readonly render: () => Promise<string>;
}

/** Writes results.json and the page, unless they are there and made from the same. Returns the page's path. @throws system */
export async function publish({ folder, known, results, render }: Publication, { note }: Reporter): Promise<string> {
  const page = path.join(folder, pageName);
  const isSame = known?.made_from === results.made_from;
  if (isSame && fileHash(page) === known.page) return page;
  if (isSame) note(`${page}: missing, or not the page of these results; it is written again`);
  const bytes = Buffer.from(await render());
  // The page first: results.json says that all is there.
  writeFileAtomic(page, bytes);
  writeResults(path.join(folder, resultsName), { ...results, page: sha256(bytes) });
  return page;
}

/** SHA-256 of a file; undefined where there is none that can be read. */
function fileHash(file: string): string | undefined {
  const bytes = bytesOf(file);
  return bytes === undefined ? undefined : sha256(bytes);
}

function bytesOf(file: string): Buffer | undefined {
  try {
    return readFileSync(file);
  } catch {
    return undefined;
  }
}
