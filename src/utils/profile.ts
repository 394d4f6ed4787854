/** Where time goes: seconds by kind of work. */

/** Measures work by its kind, a name that a user understands; or, as {@link unprofiled}, nothing. */
export interface Profile<Kind extends string = string> {
  /**
   * Does the work of `body`, which may be asynchronous, and returns what it returns. Its time counts as `kind`, except for what
   * is spent in other kinds inside it: every moment belongs to one kind alone.
   */
  of<T>(kind: Kind, body: () => T): T;
}

/** For those who do not want to know: costs a call of a function. */
export const unprofiled: Profile = { of: (_kind, body) => body() };

/** The time of one kind of work. */
export interface KindTime {
  readonly kind: string;
  /** Without that of the kinds inside it. */
  readonly seconds: number;
  /** How often the work was begun. */
  readonly calls: number;
}

/** What was measured: the kinds' seconds add up to those in all. */
export interface Times {
  /** In all, by the clock on the wall. */
  readonly seconds: number;
  /** In the order in which they first began; time outside all kinds is {@link otherWork}. */
  readonly kinds: readonly KindTime[];
}

export const otherWork = "other";

/** What computes a training: seconds of one say nothing of another. */
export interface Computer {
  /** "cpu", "cuda" or "cuda:N". */
  readonly device: string;
  /** libtorch's. */
  readonly threads: number;
  /** "fp32" or "bf16". */
  readonly precision: string;
}

/** "2 threads, bf16 on cpu" */
export function computerText({ device, threads, precision }: Computer): string {
  return `${threads} ${threads === 1 ? "thread" : "threads"}, ${precision} on ${device}`;
}

/** What computed a training, and how fast. */
export interface TrainingTimes extends Computer {
  /** That were trained on, those of every epoch. */
  readonly images: number;
  /** Over the time of training alone: without start, tests and saving. */
  readonly imagesPerSecond: number;
}

/** What the time of a run or of an experiment went to. */
export interface RunTimes extends Times {
  /** How many sessions it is the sum of. */
  readonly sessions: number;
  /** Of a run. */
  readonly training?: TrainingTimes | undefined;
}

/** A kind that was begun and has not ended. */
interface Open {
  readonly kind: string;
}

/**
 * Measures from when it is made. For one thread of work: what goes on beside it, while it waits, counts as the kind that waits.
 */
export class Stopwatch<Kind extends string = string> implements Profile<Kind> {
  /** Milliseconds from any origin. */
  readonly #now: () => number;
  readonly #times = new Map<string, { ms: number; calls: number }>();
  /** The innermost last. */
  readonly #open: Open[] = [];
  /** Up to when all time has been counted. */
  #countedMs: number;

  constructor(now = () => performance.now()) {
    this.#now = now;
    this.#countedMs = now();
  }

  of<T>(kind: Kind, body: () => T): T {
    const open = this.#begin(kind);
    let isAwaited = false;
    try {
      const result = body();
      if (!(result instanceof Promise)) return result;
      isAwaited = true;
      return result.finally(() => this.#end(open)) as T;
    } finally {
      if (!isAwaited) this.#end(open);
    }
  }

  /** What was measured until now. */
  times(): Times {
    this.#count();
    const kinds = Array.from(this.#times, ([kind, { ms, calls }]) => ({ kind, seconds: ms / 1000, calls }));
    return { seconds: kinds.reduce((sum, { seconds }) => sum + seconds, 0), kinds };
  }

  #begin(kind: Kind): Open {
    this.#count();
    this.#timeOf(kind).calls += 1;
    const open = { kind };
    this.#open.push(open);
    return open;
  }

  /** Ends a kind with all that is open inside it: work that nobody waits for any more, which ends by itself later. */
  #end(open: Open): void {
    const at = this.#open.lastIndexOf(open);
    if (at === -1) return;
    this.#count();
    this.#open.length = at;
  }

  /** Gives the time since the last call to the innermost kind. */
  #count(): void {
    const now = this.#now();
    const kind = this.#open.at(-1)?.kind ?? otherWork;
    if (now > this.#countedMs) this.#timeOf(kind).ms += now - this.#countedMs;
    this.#countedMs = now;
  }

  #timeOf(kind: string): { ms: number; calls: number } {
    const known = this.#times.get(kind);
    if (known !== undefined) return known;
    const time = { ms: 0, calls: 0 };
    this.#times.set(kind, time);
    return time;
  }
}

/** Of several sessions together. */
export function addTimes(one: Times, other: Times): Times {
  const kinds = new Map(one.kinds.map((time) => [time.kind, time]));
  for (const { kind, seconds, calls } of other.kinds) {
    const before = kinds.get(kind) ?? { seconds: 0, calls: 0 };
    kinds.set(kind, { kind, seconds: before.seconds + seconds, calls: before.calls + calls });
  }
  return { seconds: one.seconds + other.seconds, kinds: [...kinds.values()] };
}
