/**
 * `results.json` of an experiment: its table, its evaluations, and the hashes of what they were made from. What is read again
 * is believed only as far as those hashes are still right, and a file that was changed, not at all.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { EvaluationRow, RunEvaluation } from "../evaluation/evaluation.ts";
import { writeFileAtomic } from "../files/atomic.ts";
import { isJsonObject } from "../files/json.ts";
import { sha256 } from "../utils/sha256.ts";
import { version } from "../utils/version.ts";
import type { Experiment } from "./experiment-file.ts";

const hash = z.string().regex(/^[0-9a-f]{64}$/);

const resultsSchema = z.object({
  format: z.literal(2),
  /** See {@link experimentKey}. */
  made_from: hash,
  /** SHA-256 of the page that shows these results. */
  page: hash,
  /** By stage. */
  evaluations: z.record(z.string(), z.custom<RunEvaluation>(isJsonObject)),
  /** By stage: see `evaluationKey`. */
  keys: z.record(z.string(), hash),
});
/** What a later run needs of the file. */
export type KnownResults = z.infer<typeof resultsSchema>;

export interface Results extends Omit<KnownResults, "format"> {
  /** The command line that made them. */
  readonly command: string;
  readonly rows: readonly EvaluationRow[];
  /** By stage: how long it trained. */
  readonly seconds: Readonly<Record<string, number>>;
}

/** SHA-256 over all that the page and the table show: the file's words, the stages, and what each was evaluated from. */
export function experimentKey(
  { title, summary, gallery, stages }: Experiment,
  { keys, seconds }: Pick<Results, "keys" | "seconds">,
): string {
  const made = stages.map(({ name, stage }) => [name, stage, keys[name], seconds[name]]);
  return sha256(JSON.stringify({ program: version(), title, summary, gallery, made }));
}

/** Writes the file, with a SHA-256 over itself. @throws system */
export function writeResults(file: string, results: Results): void {
  const all = { format: 2, ...results, written: new Date().toISOString() };
  const text = JSON.stringify({ ...all, sha256: sha256(JSON.stringify(all)) }, null, 2);
  writeFileAtomic(file, new TextEncoder().encode(`${text}\n`));
}

/** What an earlier run wrote; nothing, with a note, of a file that it did not write so. */
export function readResults(file: string, note: (text: string) => void): KnownResults | undefined {
  const bytes = bytesOf(file);
  if (bytes === undefined) return undefined;
  try {
    // JSON has no NaN, which is the accuracy of a class without images; nothing else is null.
    const value = JSON.parse(bytes.toString(), (_, inner) => (inner === null ? Number.NaN : inner));
    const { sha256: stated, ...rest } = isJsonObject(value) ? value : {};
    const known = resultsSchema.parse(rest);
    if (stated === sha256(JSON.stringify(rest))) return known;
  } catch {} // No JSON, or not of these results: said below.
  note(`${file}: damaged, changed, or of another version; all stages are evaluated again`);
  return undefined;
}

/** SHA-256 of a file; undefined where there is none that can be read. */
export function fileHash(file: string): string | undefined {
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
