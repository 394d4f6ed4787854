/**
 * Where the lines of `patchdrop predict` go: a stream, or a file that grows by whole batches and that a later run can go
 * on with. A last line that was cut off is taken away first.
 */

import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import type { Writable } from "node:stream";
import { fault } from "../errors.ts";
import { assertWritable, systemFault } from "../files/atomic.ts";
import { lockBeside, type Release, takeLock } from "../files/lock.ts";
import { cutFile, LogFile } from "../files/log-file.ts";
import { realPlace } from "../utils/make-missing.ts";
import { breathe, type Reporter } from "../utils/reporter.ts";
import type { LineFormat, Made } from "./lines.ts";

/** Takes whole lines. */
export interface Results {
  write(lines: string): Promise<void>;
  close(): void;
}

/** What a file has already. */
export interface Recovered {
  /** In bytes. */
  readonly length: number;
  readonly paths: ReadonlySet<string>;
  /** How many of them are lines of images that could not be read. */
  readonly unreadable: number;
}

const nothingYet: Recovered = { length: 0, paths: new Set(), unreadable: 0 };

/** What is written, by whom it is asked to stop, and where to without a file. */
interface Opening {
  readonly format: LineFormat;
  readonly made: Made;
  readonly stream: Writable;
  readonly reporter: Reporter;
}

/**
 * Opens the file `out`, or the stream in its place, and begins it with the format's header.
 * @throws usage: a file that exists already, without `resume`; locked: one that another process writes; what {@link recover} throws; system
 */
export async function openResults(
  { out, resume }: { out?: string | undefined; resume: boolean },
  opening: Opening,
): Promise<{ results: Results; recovered: Recovered }> {
  const { format } = opening;
  if (out === undefined) {
    const results = toStream(opening.stream);
    await results.write(format.header);
    return { results, recovered: nothingYet };
  }
  assertWritable(out);
  const release = takeLock(lockBeside(realPlace(out))); // two that resumed one file would both do what is missing
  try {
    const isThere = existsSync(out);
    if (isThere && !resume) {
      const next = "continue it with --resume, or give another --out";
      throw fault("usage", { where: `--out ${out}`, rule: "must not exist yet", next });
    }
    const recovered = isThere ? await recover(out, opening) : nothingYet;
    const results = toFile(out, release);
    if (recovered.length === 0) await results.write(format.header);
    return { results, recovered };
  } catch (error) {
    release();
    throw error;
  }
}

function toStream(stream: Writable): Results {
  return {
    async write(lines) {
      if (lines !== "" && !stream.write(lines)) await once(stream, "drain");
    },
    close: () => {},
  };
}

function toFile(path: string, release: Release): Results {
  const file = new LogFile(path);
  return {
    write: async (lines) => file.append(new TextEncoder().encode(lines)),
    close() {
      try {
        file.sync();
        file.close();
      } finally {
        release();
      }
    },
  };
}

/** In bytes. No line of ours is longer, and of a file of something else no more is held. */
const longestLine = 2 ** 23;
/** Of what is no line as ours are, as much is quoted. */
const quotedLength = 60;

/**
 * Reads what an earlier run wrote, and cuts off a last line that is not whole.
 * @throws locked: lines of another checkpoint or other settings; input: a file of anything else; system; Stopped
 */
async function recover(path: string, { format, made, reporter }: Opening): Promise<Recovered> {
  const paths = new Set<string>();
  let [unreadable, end] = [0, 0];
  for await (const line of linesOf(path, format.quotes, reporter)) {
    const { text } = line;
    const isFirst = end === 0;
    if (!line.isWhole && line.end - end <= longestLine && format.begins(text, isFirst)) break;
    const isHeader = isFirst && format.header !== "";
    end = line.end;
    if (isHeader && text === format.header) continue;
    const recorded = isHeader || !line.isWhole ? undefined : format.read(text);
    if (recorded === undefined) {
      throw fault("input", {
        where: path,
        rule: "must hold lines as this run writes them",
        got: text.slice(0, quotedLength).trimEnd(),
        next: "use the --format and --top that it was started with, or another --out, also for a file of patchdrop 0.1",
      });
    }
    refuseOther(path, recorded, made);
    paths.add(recorded.path);
    if (recorded.error !== undefined) unreadable++;
  }
  cutFile(path, end);
  return { length: end, paths, unreadable };
}

/** Lines that were made in different ways are not to stand in one file. @throws locked */
function refuseOther(path: string, recorded: Made, made: Made): void {
  if (recorded.checkpoint !== made.checkpoint) {
    const next = "use the same --load, or another --out";
    const rule = `was started with another checkpoint: ${recorded.checkpoint}`;
    throw fault("locked", { where: path, rule, got: made.checkpoint, next });
  }
  const [theirs, ours] = [recorded.settings, made.settings].map((settings) => settings.split(/ (?=--)/));
  const was = theirs.filter((option) => !ours.includes(option)).join(" ");
  const is = ours.filter((option) => !theirs.includes(option)).join(" ");
  if (was === is) return; // both are nothing
  const rule = was === "" ? `was started without ${is}` : `was started with ${was}`;
  const got = was === "" || is === "" ? undefined : is;
  throw fault("locked", { where: path, rule, got, next: "give the same options, or another --out" });
}

const [quote, newline] = ['"'.charCodeAt(0), "\n".charCodeAt(0)];

interface Line {
  /** With its line break, where it is whole. */
  readonly text: string;
  /** The byte behind it. */
  readonly end: number;
  /** Only the last may not be, or what is longer than a line can be. */
  readonly isWhole: boolean;
}

async function* linesOf(path: string, quotes: boolean, reporter: Reporter): AsyncGenerator<Line> {
  let held: Uint8Array = new Uint8Array();
  let [start, inQuotes] = [0, false];
  for await (const chunk of chunksOf(path)) {
    await breathe(reporter);
    const bytes = Buffer.concat([held, chunk]);
    let from = 0;
    for (let at = held.length; at < bytes.length; at++) {
      if (quotes && bytes[at] === quote) inQuotes = !inQuotes;
      if (inQuotes || bytes[at] !== newline) continue;
      yield { text: bytes.toString("utf8", from, at + 1), end: start + at + 1, isWhole: true };
      from = at + 1;
    }
    held = bytes.subarray(from);
    start += from;
    if (held.length > longestLine) break;
  }
  if (held.length > 0) yield { text: Buffer.from(held).toString("utf8"), end: start + held.length, isWhole: false };
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw systemFault("could not be read", path, 0, error);
  }
}
