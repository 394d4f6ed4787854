/** The folder `--out`: it appears when all is there, or not at all, and only one process makes it. */

import { resolve } from "node:path";
import { assertNew, makeFolderAtomic } from "../files/atomic.ts";
import { lockBeside, type Release, takeLock } from "../files/lock.ts";

/** @throws usage: it exists; locked: another process is making it; system; what `fill` throws */
export async function makeNewFolder(given: string, fill: (temporary: string) => Promise<void>): Promise<void> {
  assertNew(given);
  const out = resolve(given);
  let release: Release | undefined;
  await makeFolderAtomic(out, async (folder) => {
    // Of two that would give their folder this name, the second is not to find out only when it has read everything.
    release = takeLock(lockBeside(out));
    assertNew(given);
    await fill(folder);
  }).finally(() => release?.());
}
