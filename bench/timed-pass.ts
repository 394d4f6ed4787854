/** What bench/patches.ts times, in Node and in its page alike: nothing of Node. */

export interface Pass {
  /** [B, K] */
  logits(): Promise<Float32Array>;
  /** Of one pass, on average over as many as it takes to fill that many milliseconds. */
  milliseconds(leastMs: number): Promise<number>;
}

/** A pass that is timed where it is called. */
export function passOf(logits: () => Promise<Float32Array>): Pass {
  return {
    logits,
    async milliseconds(leastMs) {
      const began = performance.now();
      let passes = 0;
      let took: number;
      do {
        await logits();
        passes++;
        took = performance.now() - began;
      } while (took < leastMs);
      return took / passes;
    },
  };
}
