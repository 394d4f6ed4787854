/** Changes what a checkpoint's state.json says, with a checksum that fits: a checkpoint as another version would have made it. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

interface StoredState {
  files: Record<string, unknown>;
  progress: Record<string, unknown>;
  config: Record<string, unknown> & { options: Record<string, unknown>; versions: Record<string, unknown> };
}

/** @param change gets what `folder`'s state.json holds, and changes it in place */
export function rewriteState(folder: string, change: (state: StoredState) => void): void {
  const path = join(folder, "state.json");
  rewriteJson(path, change);
}

function rewriteJson<T extends object>(path: string, change: (value: T) => void): void {
  const { sha256: _, ...value } = JSON.parse(readFileSync(path, "utf8"));
  change(value as T);
  const sha256 = createHash("sha256").update(JSON.stringify(value)).digest("hex");
  writeFileSync(path, JSON.stringify({ ...value, sha256 }));
}

/** The same for a run folder's config.json. */
export function rewriteConfig(run: string, change: (config: StoredState["config"]) => void): void {
  const path = join(run, "config.json");
  rewriteJson(path, change);
}
