import { writeSync } from "node:fs";

/** Writes all of `bytes`: one call of the system may take only some of them. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.byteLength; ) done += writeSync(file, bytes, done);
}
