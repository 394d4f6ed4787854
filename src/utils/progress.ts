/**
 * How far a long step is: a bar on a terminal, a line after each silent minute elsewhere (a log file, a batch system), nothing
 * with `quiet`. No colours, so `NO_COLOR` asks for nothing more. A stream that can't be written to silences it.
 */

import { SingleBar } from "cli-progress";

export interface ProgressOptions {
  /** What is under way, e.g. "pretrain epoch 3/200". */
  readonly label: string;
  /** Number of images. */
  readonly total: number;
  /** How many of them were done in an earlier session: they count for the share, not for the rate. */
  readonly before?: number;
  readonly stream?: NodeJS.WriteStream;
  readonly quiet?: boolean;
  /** Shared by steps that follow each other, of which none may take a minute. */
  readonly said?: LastWord;
  /** Milliseconds from any origin. */
  readonly now?: () => number;
}

/** When something was last said where there is no terminal, by the clock `now`. */
export interface LastWord {
  at: number;
}

export interface Progress {
  /** `done` of the images are done; `numbers` are the few that matter, shown in this order. */
  update(done: number, numbers?: Readonly<Record<string, number | string>>): void;
  /** Prints a line above the bar. */
  note(text: string): void;
  /** Takes the bar away. */
  stop(): void;
}

/** After how long a silence a line is printed where there is no terminal. */
const longestSilenceMs = 60_000;
/** A shorter bar would not be readable. */
const shortestBar = 8;
const longestBar = 30;
const defaultColumns = 80;

export function createProgress({
  label,
  total,
  before = 0,
  stream = process.stderr,
  quiet = false,
  now = () => performance.now(),
  said = { at: now() },
}: ProgressOptions): Progress {
  if (quiet) return { update() {}, note() {}, stop() {} };
  const output = survivor(stream);
  const isTerminal = stream.isTTY === true && process.env.TERM !== "dumb";
  const show = isTerminal ? bar(stream, output.isOpen) : lines(output.write, now, said);
  const start = now();
  return {
    update(done, numbers = {}) {
      const seconds = (now() - start) / 1000;
      show.update((columns) => progressLine({ label, total, before, done, seconds, numbers }, columns));
    },
    note(text) {
      show.note(text, output.write);
    },
    stop() {
      show.stop();
    },
  };
}

interface Display {
  update(line: (columns: number | undefined) => string): void;
  note(text: string, write: (text: string) => void): void;
  stop(): void;
}

/** cli-progress draws, limits its rate and cleans up; the line is ours, cut to the terminal's width. */
function bar(stream: NodeJS.WriteStream, isOpen: () => boolean): Display {
  let line = (_: number | undefined): string => "";
  const drawn = new SingleBar({
    stream,
    format: () => line((stream.columns || defaultColumns) - 1),
    clearOnComplete: true,
    hideCursor: null, // a run that is killed must not leave the terminal without a cursor
    linewrap: true, // as for the cursor: the terminal's line wrapping stays as it is
    gracefulExit: false, // signals are the run's, which saves first
    forceRedraw: true,
  });
  let started = false;
  let steps = 0;
  const stop = () => {
    if (started) drawn.stop();
    started = false;
  };
  return {
    update(next) {
      if (!isOpen()) return stop();
      line = next;
      if (!started) drawn.start(Number.MAX_SAFE_INTEGER, 0);
      started = true;
      drawn.update(++steps);
    },
    note(text, write) {
      stop();
      write(`${text}\n`);
    },
    stop,
  };
}

function lines(write: (text: string) => void, now: () => number, said: LastWord): Display {
  const say = (text: string) => {
    said.at = now();
    write(`${text}\n`);
  };
  return {
    update(line) {
      if (now() - said.at >= longestSilenceMs) say(line(undefined));
    },
    note: say,
    stop() {},
  };
}

interface State {
  readonly label: string;
  readonly total: number;
  readonly before?: number;
  readonly done: number;
  /** Since the start. */
  readonly seconds: number;
  readonly numbers: Readonly<Record<string, number | string>>;
}

/**
 * One line of progress. With `columns`, it fits them: a bar fills what is free, and if there is too little space, the last
 * parts are dropped first, then the label is cut. Without, there is no bar and no limit.
 */
export function progressLine({ label, total, before = 0, done, seconds, numbers }: State, columns?: number): string {
  const share = total > 0 ? Math.min(1, done / total) : 1;
  const rate = seconds > 0 ? (done - before) / seconds : 0;
  const parts = [`${Math.floor(share * 100)} %`];
  if (rate > 0) parts.push(`${duration((total - done) / rate)} left`, `${Math.round(rate)} images/s`);
  for (const [name, value] of Object.entries(numbers)) parts.push(`${name} ${value}`);
  if (columns === undefined) return `${label}: ${parts.join(" · ")}`;

  while (parts.length > 1 && label.length + 1 + parts.join(" · ").length > columns) parts.pop();
  const text = parts.join(" · ");
  const cells = Math.min(longestBar, columns - label.length - text.length - 2);
  if (cells < shortestBar) return `${label} ${text}`.slice(0, Math.max(0, columns));
  const full = Math.round(share * cells);
  return `${label} ${"█".repeat(full)}${"░".repeat(cells - full)} ${text}`;
}

/** "42 s", "3 min 20 s", "2 h 5 min". */
function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** Streams whose errors are already handled: a run makes many progress displays on one stream. */
const closed = new WeakMap<NodeJS.WriteStream, { is: boolean }>();

/**
 * A writer that goes quiet when nobody can read any more: a reader that went away (EPIPE), a terminal that was closed (EIO), a
 * full disk behind it. A run is worth more than what is said of it.
 */
function survivor(stream: NodeJS.WriteStream): { write(text: string): void; isOpen(): boolean } {
  let state = closed.get(stream);
  if (state === undefined) {
    const made = { is: false };
    stream.on("error", () => {
      made.is = true;
    });
    closed.set(stream, made);
    state = made;
  }
  const current = state;
  const isOpen = () => !current.is && !stream.destroyed;
  return { write: (text) => void (isOpen() && stream.write(text)), isOpen };
}
