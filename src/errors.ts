/**
 * The errors that a user can meet, and the one factory that words them: "where: rule, got value; what to do".
 * Each kind has its exit code. Nothing here knows libtorch, files or the command line.
 */

/** Why a command ends, and with which exit code. */
export const exitCodes = {
  /** Wrong flag, option, configuration. */
  usage: 2,
  /** A file, folder or installation that does not hold what it must. */
  input: 3,
  /** Refused, since reading on would be unsafe. */
  unsafe: 4,
  /** Disk, permission, system. */
  system: 5,
  /** A limit on memory, size or count. */
  resource: 6,
  /** Loss, gradient, reward or weight that is not finite. */
  notFinite: 7,
  /** A run folder that is in use, or belongs to another run. */
  locked: 8,
  /** A bug of ours. */
  internal: 70,
} as const;

export type ErrorKind = keyof typeof exitCodes;

/** What went wrong, in the order in which the message says it. */
export interface Fault {
  /** Where: a function, a flag, `file:line`, `checkpoint: key`. */
  where: string;
  /** What must hold. */
  rule: string;
  /** What was found instead; shown with `String`. */
  got?: unknown;
  /** What to do next. */
  next?: string;
}

/** An error with a kind, made by {@link fault}; the command line prints its message as one line and exits with its code. */
export class PatchDropError extends Error {
  override readonly name = "PatchDropError";
  readonly kind: ErrorKind;
  /** What the message says, fault by fault: whoever passes an error on takes these and never its text. */
  readonly faults: readonly Fault[];

  constructor(kind: ErrorKind, faults: readonly Fault[], options?: { cause?: unknown }) {
    super(faults.map(sentence).join("\n"), options);
    this.kind = kind;
    this.faults = faults;
  }

  get exitCode(): number {
    return exitCodes[this.kind];
  }
}

/**
 * Makes an error of one or several faults, worded alike. Several faults of one file or configuration are reported
 * together, one a line.
 */
export function fault(kind: ErrorKind, faults: Fault | readonly Fault[], cause?: unknown): PatchDropError {
  const list = Array.isArray(faults) ? (faults as readonly Fault[]) : [faults as Fault];
  return new PatchDropError(kind, list, cause === undefined ? undefined : { cause });
}

function sentence({ where, rule, got, next }: Fault): string {
  const found = got === undefined ? "" : `, got ${shown(got)}`;
  return `${where}: ${rule}${found}${next === undefined ? "" : `; ${next}`}`;
}

const longestShown = 200;

/** One line, control characters escaped, bounded: an error must stay readable whatever a file holds. */
function shown(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value).slice(1, -1) : String(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}
