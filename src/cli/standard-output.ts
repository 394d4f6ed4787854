/** Standard output, of which no byte is lost without a word. */
import { Socket } from "node:net";
import type { Writable } from "node:stream";
import { fault } from "../errors.ts";
import { writeAll } from "../utils/write-all.ts";
import { fail } from "./failure.ts";

/**
 * Ends the program where its standard output takes no more: with one line, or quietly where the reader of a pipe went away
 * (`| head`), as it does for any Unix tool. Node takes a file that keeps a part of a write for one that kept all of it.
 */
export function keepStandardOutput(): void {
  const stdout: Writable & { readonly fd: number } = process.stdout;
  stdout.on("error", lost);
  if (stdout instanceof Socket) return; // a pipe or a terminal
  stdout._write = (chunk: Uint8Array, _encoding, written) => {
    try {
      writeAll(stdout.fd, chunk);
    } catch (error) {
      lost(error as Error); // at once, since a command may end the process before it hears of an event
    }
    written();
  };
}

function lost(error: NodeJS.ErrnoException): never {
  if (error.code === "EPIPE") process.exit(0);
  const rule = `could not be written (${error.message})`;
  fail(fault("system", { where: "standard output", rule, next: "free some space, or write elsewhere" }, error));
}
