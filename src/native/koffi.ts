/**
 * koffi, which calls C. It is a native module, loaded by the first call of {@link koffi} and not by an import: most of the
 * code on top of libtorch is also imported by commands that never open it.
 */
import { createRequire } from "node:module";

type Koffi = typeof import("koffi").default;

/** A shared library that koffi has opened. */
export type Shared = ReturnType<Koffi["load"]>;

const require = createRequire(import.meta.url);

export function koffi(): Koffi {
  return require("koffi");
}
