/** SHA-256 over any number of texts and byte arrays. */

import { createHash } from "node:crypto";

/** Node's hash takes less than 2 GiB at a time. */
const mostAtOnce = 1 << 30;

/** @returns 64 hex digits */
export function sha256(...parts: readonly (string | Uint8Array | Int32Array)[]): string {
  const hash = createHash("sha256");
  for (const part of parts) {
    const bytes =
      typeof part === "string" ? Buffer.from(part) : Buffer.from(part.buffer, part.byteOffset, part.byteLength);
    for (let start = 0; start < bytes.length; start += mostAtOnce) {
      hash.update(bytes.subarray(start, start + mostAtOnce));
    }
  }
  return hash.digest("hex");
}
