/**
 * Where the lines of `patchdrop predict` go: a stream, or a file that grows by whole batches and that a later run can go
 * on with. A last line that was cut off is taken away first.
 */

import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import type { Writable } from "node:stream";
import { fault } from "../errors.ts";
import { assertWritable, systemFault } from "../files/atomic.ts";
import { type Release, takeLock } from "../files/lock.ts";
import { cutFile, LogFile } from "../files/log-file.ts";
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

/**
 * Opens the file `out`, or the stream in its place, and begins it with the format's header.
 * @throws usage: a file that exists already, without `resume`; locked: one that another process writes; what {@link recover} throws; system
 */
export async function openResults(
  { out, resume }: { out?: string | undefined; resume: boolean },
  { format, made, stream }: { format: LineFormat; made: Made; stream: Writable },
): Promise<{ results: Results; recovered: Recovered }> {
  if (out === undefined) {
    const results = toStream(stream);
    await results.write(format.header);
    return { results, recovered: nothingYet };
  }
  assertWritable(out);
  const release = takeLock(`${out}.lock`); // two that resumed one file would both do what is missing
  try {
    if (!resume && existsSync(out)) {
      const next = "continue it with --resume, or give another --out";
      throw fault("usage", { where: `--out ${out}`, rule: "must not exist yet", next });
    }
    const recovered = existsSync(out) ? await recover(out, format, made) : nothingYet;
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

/**
 * Reads what an earlier run wrote, and cuts off what is no whole line.
 * @throws locked: lines of another checkpoint or other settings; input: lines of another format; system
 */
async function recover(path: string, format: LineFormat, made: Made): Promise<Recovered> {
  const paths = new Set<string>();
  let [unreadable, end] = [0, 0];
  for await (const line of wholeLines(path, format.quotes)) {
    const isHeader = end === 0 && format.header !== "";
    end = line.end;
    if (isHeader && line.text === format.header) continue;
    const recorded = isHeader ? undefined : format.read(line.text);
    if (recorded === undefined) {
      const next = "use the --format and --top that it was started with, or another --out";
      throw fault("input", {
        where: path,
        rule: "must hold lines as this run writes them",
        got: line.text.trimEnd(),
        next,
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

/** The lines of a file that are whole, line break included, and the byte behind each. */
async function* wholeLines(path: string, quotes: boolean): AsyncGenerator<{ text: string; end: number }> {
  let held: Uint8Array = new Uint8Array();
  let [start, inQuotes] = [0, false];
  for await (const chunk of chunksOf(path)) {
    const bytes = Buffer.concat([held, chunk]);
    let from = 0;
    for (let at = held.length; at < bytes.length; at++) {
      if (quotes && bytes[at] === quote) inQuotes = !inQuotes;
      if (inQuotes || bytes[at] !== newline) continue;
      yield { text: bytes.toString("utf8", from, at + 1), end: start + at + 1 };
      from = at + 1;
    }
    held = bytes.subarray(from);
    start += from;
  }
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path) as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw systemFault("could not be read", path, 0, error);
  }
}
