import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A temporary folder that is removed when the test ends: pass vitest's `onTestFinished`. */
export function temporaryFolder(onEnd: (remove: () => void) => void): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "patchdrop-test-")));
  onEnd(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
