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
  /** A folder or file that another process writes, or that belongs to another run. */
  locked: 8,
  /** A bug of ours. */
  internal: 70,
} as const;

/** What kind of error it is: a key of {@link exitCodes}. */
export type ErrorKind = keyof typeof exitCodes;

/** What went wrong, in the order in which the message says it. */
export interface Fault {
  /** Where: a function, a flag, `file:line`, `checkpoint: key`. */
  where: string;
  /** What must hold. */
  rule: string;
  /** What was found instead; shown with `String`. */
  got?: unknown;
  /** The faults of an error that this one comes from: see {@link within}. */
  causes?: readonly Fault[] | undefined;
  /** What to do next. */
  next?: string | undefined;
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

/**
 * Says an error within another: the outer place and rule, then in brackets what was wrong inside. What to do next is the
 * outer fault's, or where it has nothing to say the inner error's; the kind is the inner one's unless it is given.
 */
export function within(outer: Fault, inner: PatchDropError, kind: ErrorKind = inner.kind): PatchDropError {
  const next = outer.next ?? inner.faults.at(-1)?.next;
  return fault(kind, { ...outer, causes: inner.faults, next }, inner);
}

/** What an error says, one line a fault; of an error that is not ours, its message. */
export function sentences(error: unknown): string[] {
  if (error instanceof PatchDropError) return error.faults.map(sentence);
  return (error instanceof Error ? error.message : String(error)).split("\n");
}

/** A fault in one line. */
export function sentence({ where, rule, got, causes = [], next }: Fault): string {
  const found = got === undefined ? "" : `, got ${shown(got)}`;
  return oneLine(`${where}: ${rule}${found}${reasons(causes)}${next === undefined ? "" : `; ${next}`}`);
}

const mostReasons = 3;

/** Without their own next steps: the reader is to take one. */
function reasons(causes: readonly Fault[]): string {
  if (causes.length === 0) return "";
  const said = causes.slice(0, mostReasons).map((cause) => sentence({ ...cause, next: undefined }));
  const rest = causes.length - said.length;
  return ` (${said.join("; ")}${rest > 0 ? `; and ${rest} more` : ""})`;
}

const longestShown = 200;

/** Bounded: an error must stay readable whatever a file holds. */
function shown(value: unknown): string {
  if (value === "") return '""'; // Else it would read as if nothing had been said of it.
  const text = typeof value === "string" ? JSON.stringify(value).slice(1, -1) : String(value);
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text;
}

/**
 * Characters that show nothing and change how what is around them shows: of control, and those that turn the direction of
 * writing until another ends it. The name of a file or a class may hold them.
 */
export const unseenCharacters = /[\p{Cc}\u202A-\u202E\u2066-\u2069]/gu;

/** A text in one line, with escapes for what would not be seen. */
export function oneLine(text: string): string {
  return text.replaceAll(unseenCharacters, (character) => {
    return character === "\n" ? "\\n" : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
}
