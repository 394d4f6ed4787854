/** The lines of a file that may be larger than memory, each with the byte that it begins at. */

import { type FileHandle, open, stat } from "node:fs/promises";
import { systemFault } from "./atomic.ts";

const chunkBytes = 2 ** 20;
const lineBreak = 10;

export interface Line {
  /** Without its line break. */
  readonly text: string;
  /** The byte that it begins at. */
  readonly at: number;
  /** The byte behind it and its line break. */
  readonly end: number;
  /** Whether a line break ends it; only the last of a file may have none. */
  readonly isWhole: boolean;
}

export interface LineRange {
  /** Lines that begin at the bytes start … end − 1; all when absent. */
  readonly start?: number;
  readonly end?: number;
  /** In bytes. */
  readonly longest: number;
  /** What is wrong with a longer one. */
  tooLong(at: number): Error;
}

/** A pipe would hold up whoever opens it. */
async function openRegular(path: string): Promise<FileHandle> {
  if (!(await stat(path)).isFile()) throw new Error("not a file, but a folder, a pipe or a device");
  return open(path, "r");
}

/** @throws what `tooLong` makes; system */
export async function* linesOf(
  path: string,
  { start = 0, end = Number.POSITIVE_INFINITY, longest, tooLong }: LineRange,
): AsyncGenerator<Line> {
  const file = await openRegular(path).catch((error) => {
    throw systemFault("could not be read", path, 0, error);
  });
  try {
    // A line begins behind a line break: that of the first one may be the last byte before `start`.
    let at = Math.max(0, start - 1);
    let held: Buffer = Buffer.alloc(0);
    let isInside = start === 0;
    for (let isLast = false; !isLast; ) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(chunkBytes), 0, chunkBytes, at + held.length);
      isLast = bytesRead === 0;
      const searched = held.length;
      held = Buffer.concat([held, buffer.subarray(0, bytesRead)]);
      let from = 0;
      for (let stop = held.indexOf(lineBreak, searched); stop >= 0; stop = held.indexOf(lineBreak, from)) {
        if (isInside && at + from >= end) return;
        if (isInside && stop - from > longest) throw tooLong(at + from);
        const line = { text: held.toString("utf8", from, stop), at: at + from, end: at + stop + 1, isWhole: true };
        if (isInside) yield line;
        isInside = true;
        from = stop + 1;
      }
      if (isLast && isInside && from < held.length && at + from < end) {
        yield { text: held.toString("utf8", from), at: at + from, end: at + held.length, isWhole: false };
      }
      held = held.subarray(from);
      at += from;
      if (isInside && at >= end) return;
      if (held.length > longest) throw tooLong(at);
    }
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined
      ? error
      : systemFault("could not be read", path, 0, error);
  } finally {
    await file.close();
  }
}
