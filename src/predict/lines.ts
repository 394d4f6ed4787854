/**
 * What `patchdrop predict` says about an image as a line: of JSON Lines, or of a CSV table (RFC 4180, a header first). Both
 * can be read back as far as a resumed run needs it.
 */

import { parse } from "csv-parse/sync";
import { z } from "zod";

/** A class and its probability, 0 … 1. */
export interface Guess {
  readonly class: string;
  readonly probability: number;
}

/** How a line came about; all lines of a file have the same. */
export interface Made {
  /** Of the networks, see OpenedRun. */
  readonly checkpoint: string;
  /** The other options that lines depend on: "--policy threshold --threshold 0.5 --fill zero --top 5". */
  readonly settings: string;
}

/** Options as they would be given; those that are undefined are left out. */
export function settingsText(settings: Readonly<Record<string, unknown>>): string {
  const given = Object.entries(settings).filter(([, value]) => value !== undefined);
  return given.map(([flag, value]) => (value === true ? `--${flag}` : `--${flag} ${value}`)).join(" ");
}

export interface Prediction extends Made {
  readonly path: string;
  /** The most probable class. */
  readonly class: string;
  /** The most probable first. */
  readonly top: readonly Guess[];
  /** "0110…", patch 0 first. */
  readonly mask: string;
  /** How many patches are taken. */
  readonly patches: number;
  /** In how many rounds patches were asked for; none where the policy decides once. */
  readonly rounds?: number | undefined;
  /** Whether the image left early, as the classifier was sure enough of it. */
  readonly left?: true | undefined;
  /** The policy's, [P]; none where no policy chose. */
  readonly patch_probabilities?: readonly number[] | undefined;
  /** Acquired: those of the patches, and those of the low resolution where a network saw it. */
  readonly pixels: number;
  /** The batch's time, with what was waited for its decoding, divided by its images. */
  readonly ms: number;
}

/** In the place of a prediction. */
export interface Unreadable extends Made {
  readonly path: string;
  readonly error: string;
}

/** What a resumed run asks of a line. */
export type Recorded = Made & Pick<Prediction, "path"> & { readonly error?: string | undefined };

export interface LineFormat {
  /** The first line; none when empty. */
  readonly header: string;
  /** Whether a line break within double quotes belongs to the line. */
  readonly quotes: boolean;
  line(said: Prediction | Unreadable): string;
  /** Undefined for what is no such line. */
  read(line: string): Recorded | undefined;
  /** Whether a line may have been cut off behind `text`, or `text` be all that there is of a file's first. */
  begins(text: string, isFirst: boolean): boolean;
}

const recorded = z.object({
  path: z.string(),
  checkpoint: z.string(),
  settings: z.string(),
  error: z.string().optional(),
});

/** What each line begins with. */
const jsonStart = '{"path":"';

export const jsonLines: LineFormat = {
  header: "",
  quotes: false,
  line: (said) => `${JSON.stringify(said)}\n`,
  read(line) {
    try {
      return recorded.parse(JSON.parse(line));
    } catch {
      return undefined;
    }
  },
  begins: (text) => jsonStart.startsWith(text.slice(0, jsonStart.length)),
};

/** @param top classes a line: the first has the columns class and probability, the n-th class_n and probability_n */
export function csvLines(top: number): LineFormat {
  const guesses = Array.from({ length: top - 1 }, (_, n) => [`class_${n + 2}`, `probability_${n + 2}`]);
  const columns = [
    ...["path", "class", "probability", ...guesses.flat()],
    ...["mask", "patches", "pixels", "ms", "checkpoint", "settings", "error"],
  ];
  const header = csvLine(columns);
  const read = (line: string) => {
    const fields = fieldsOf(line);
    if (fields.length !== columns.length) return undefined;
    const [checkpoint, settings, error] = fields.slice(-3);
    return { path: fields[0], checkpoint, settings, error: error === "" ? undefined : error };
  };
  return {
    header,
    quotes: true,
    line(said) {
      const { path, checkpoint, settings } = said;
      if ("error" in said) {
        return csvLine([path, ...Array<string>(columns.length - 4).fill(""), checkpoint, settings, said.error]);
      }
      const top = said.top.flatMap(({ class: name, probability }) => [name, probability]);
      return csvLine([path, ...top, said.mask, said.patches, said.pixels, said.ms, checkpoint, settings, ""]);
    },
    read,
    begins(text, isFirst) {
      if (isFirst) return header.startsWith(text);
      // Behind a quote too many or too few all the rest looks like one line, with others in it.
      return !text.split("\n").slice(1).some(read);
    },
  };
}

function csvLine(fields: readonly (string | number)[]): string {
  return `${fields.map(quoted).join(",")}\n`;
}

/** None where it is no CSV. */
function fieldsOf(line: string): string[] {
  try {
    return parse(line)[0] ?? [];
  } catch {
    return [];
  }
}

function quoted(field: string | number): string {
  const text = String(field);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** Classes by falling probability; of two with equal probability, the one with the lower label first. */
export function likeliest(probabilities: Float32Array, classes: readonly string[], top: number): Guess[] {
  const labels = Array.from(probabilities.keys()).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  return labels.slice(0, top).map((label) => ({ class: classes[label], probability: rounded(probabilities[label]) }));
}

/** float32 has no more than seven digits to say. */
export function rounded(value: number): number {
  return Number(value.toPrecision(6));
}
