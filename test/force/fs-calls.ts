/** Stands between this process and `node:fs`, so that calls can be recorded, or fail. */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";

export interface Call {
  readonly name: string;
  readonly given: readonly unknown[];
  /** Makes the call, with other arguments where some are given. */
  readonly make: (...others: unknown[]) => unknown;
}

/** Loads what Node loads at the first removal, so that it keeps the real functions. */
fs.rmSync("/nonexistent/patchdrop-force", { recursive: true, force: true });

/**
 * Hands the calls of these functions to `answer`, also those of modules that were imported before; not the calls that a
 * function of `node:fs` makes itself. Returns what puts the real ones back.
 */
export function intercept(names: readonly string[], answer: (call: Call) => unknown): () => void {
  const real = new Map<string, unknown>(names.map((name) => [name, Reflect.get(fs, name)]));
  let inside = false;
  for (const [name, original] of real) {
    if (typeof original !== "function") throw new Error(`node:fs has no ${name}`);
    const outermost = (...given: unknown[]): unknown => {
      const make = (...others: unknown[]) => Reflect.apply(original, fs, others.length > 0 ? others : given);
      if (inside) return make();
      inside = true;
      try {
        return answer({ name, given, make });
      } finally {
        inside = false;
      }
    };
    Reflect.set(fs, name, Object.assign(outermost, original));
  }
  syncBuiltinESMExports();
  return () => {
    for (const [name, original] of real) Reflect.set(fs, name, original);
    syncBuiltinESMExports();
  };
}
