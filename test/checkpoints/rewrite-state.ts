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
  const { sha256: _, ...state } = JSON.parse(readFileSync(path, "utf8"));
  change(state);
  const sha256 = createHash("sha256").update(JSON.stringify(state)).digest("hex");
  writeFileSync(path, JSON.stringify({ ...state, sha256 }));
}

/** The same for a run folder's config.json, which has no checksum. */
export function rewriteConfig(run: string, change: (config: StoredState["config"]) => void): void {
  const path = join(run, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  change(config);
  writeFileSync(path, JSON.stringify(config));
}
