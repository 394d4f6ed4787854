/** Which of very many ids may have been seen twice, in 8 bytes an id: whoever wants to be sure looks at these few again. */

import { createHash } from "node:crypto";

const hashBytes = 6;

export class SeenIds {
  #hashes = new Float64Array(1024);
  #count = 0;

  /** 48 bits of SHA-256, as a number. */
  static hash(id: string): number {
    return createHash("sha256").update(id).digest().readUIntBE(0, hashBytes);
  }

  add(id: string): void {
    if (this.#count === this.#hashes.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#hashes);
      this.#hashes = larger;
    }
    this.#hashes[this.#count++] = SeenIds.hash(id);
  }

  /** The hashes that more than one id had, whether the same or another. */
  suspects(): ReadonlySet<number> {
    const sorted = this.#hashes.subarray(0, this.#count).slice().sort();
    const found = new Set<number>();
    for (let n = 1; n < sorted.length; n++) if (sorted[n] === sorted[n - 1]) found.add(sorted[n]);
    return found;
  }
}
