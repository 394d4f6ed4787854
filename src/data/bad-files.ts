/** The files of a data set that can't be read: counts those that are left out, and makes the error when there are more. */

import { type Fault, fault, type PatchDropError } from "../errors.ts";

/** A file that could not be read and was left out. */
export interface SkippedFile {
  readonly path: string;
  readonly reason: string;
}

const mostListed = 10;

/** Counts them while a data set is being read. */
export class BadFiles {
  readonly #allowed: number;
  readonly #onSkip: ((file: SkippedFile) => void) | undefined;
  readonly #found = new Map<string, SkippedFile>();

  /** @param onSkip told of each file once */
  constructor(allowed: number, onSkip?: (file: SkippedFile) => void) {
    this.#allowed = allowed;
    this.#onSkip = onSkip;
  }

  has(path: string): boolean {
    return this.#found.has(path);
  }

  /** @throws input: one more than allowed */
  add(file: SkippedFile): void {
    if (this.#found.has(file.path)) return;
    this.#found.set(file.path, file);
    if (this.#found.size > this.#allowed) throw tooManyBad([...this.#found.values()], this.#allowed, "so far");
    this.#onSkip?.(file);
  }
}

/** @param known whether these are all or only those found so far */
export function tooManyBad(files: readonly SkippedFile[], allowed: number, known: "in all" | "so far"): PatchDropError {
  const faults: Fault[] = files
    .slice(0, mostListed)
    .map(({ path, reason }) => ({ where: path, rule: "must be a whole image", got: reason }));
  const rest = files.length - faults.length;
  const count = rest > 0 ? `these and at least ${rest} more` : `${files.length} ${known}`;
  // A file that is whole, and of a kind that flags make readable, says by which.
  const given = files[faults.length - 1].reason.includes("; give ") ? "do that, " : "";
  const next = `${count}, --skip_bad allows ${allowed}: ${given}replace the files, or raise --skip_bad`;
  faults[faults.length - 1] = { ...faults[faults.length - 1], next };
  return fault("input", faults);
}
