/** A folder for a test file's experiments, with pictures to train on and a cache of its own; gone when the file ends. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { type Counts, makeImageFolder } from "../e2e/images.ts";

export function experimentFolder(prefix: string, counts: Counts) {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  const [data, out] = [join(folder, "data"), join(folder, "out")];
  const { PATCHDROP_CACHE: cache } = process.env;
  /** Found before the cache is another one. */
  const torch = findLibtorch().root;
  beforeAll(async () => {
    process.env.PATCHDROP_CACHE = join(folder, "cache");
    await makeImageFolder(data, counts);
  });
  afterAll(() => {
    if (cache === undefined) delete process.env.PATCHDROP_CACHE;
    else process.env.PATCHDROP_CACHE = cache;
    rmSync(folder, { recursive: true, force: true });
  });
  const [page, results] = [join(out, "index.html"), join(out, "results.json")];
  return { folder, data, out, file: join(folder, "x.yaml"), page, results, torch };
}
