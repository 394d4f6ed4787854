/** Where downloads are kept for all runs of one user: libtorch, data sets. */
import os from "node:os";
import path from "node:path";

/** Environment variables, as `process.env` has them. */
export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The per-user cache: `$PATCHDROP_CACHE`, else the platform's own place (XDG Base Directory on Linux, Library/Caches on
 * macOS) with `patchdrop` below it. The folder need not exist.
 */
export function cacheFolder(env: Environment = process.env): string {
  if (env.PATCHDROP_CACHE) return path.resolve(env.PATCHDROP_CACHE);
  if (process.platform === "darwin") return path.join(os.homedir(), "Library", "Caches", "patchdrop");
  // XDG: a relative path is invalid and must be ignored.
  const base = env.XDG_CACHE_HOME;
  return path.join(base && path.isAbsolute(base) ? base : path.join(os.homedir(), ".cache"), "patchdrop");
}
