/** A file on this machine that changes while it is read: no scene is made of two versions. */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import { LocalFile } from "../../src/acquire/byte-source.ts";
import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { blockScene, brightPolicy, limits, writeScene } from "./scenes.ts";

async function opened() {
  const path = join(temporaryFolder(onTestFinished), "a.tif");
  writeFileSync(path, Buffer.alloc(1000, "a"));
  const long = new Date(1e9);
  utimesSync(path, long, long);
  return { path, file: await LocalFile.open(path) };
}

it.each<[string, (path: string) => void]>([
  ["is written over", (path) => writeFileSync(path, Buffer.alloc(1000, "b"), { flag: "r+" })],
  ["is made anew in its place", (path) => writeFileSync(path, Buffer.alloc(1000, "b"))],
  ["grows", (path) => appendFileSync(path, "b")],
  ["is cut", (path) => truncateSync(path, 10)],
])("one that %s is refused by name", async (_, change) => {
  const { path, file } = await opened();
  expect(Buffer.from(await file.fetch({ start: 0, end: 10 }, "low")).toString()).toBe("aaaaaaaaaa");
  change(path);
  await expect(file.fetch({ start: 500, end: 510 }, "low")).rejects.toMatchObject({
    kind: "input",
    message: `${path}: must not change while it is read, got it was written to; run the command again when the file is complete`,
  });
  await file.close();
});

it("one that another is renamed over is read to its end as it was", async () => {
  const { path, file } = await opened();
  writeFileSync(`${path}.new`, Buffer.alloc(1000, "b"));
  renameSync(`${path}.new`, path);
  expect(Buffer.from(await file.fetch({ start: 500, end: 510 }, "low")).toString()).toBe("aaaaaaaaaa");
  await file.close();
});

it("an acquisition of a scene that is rewritten on the way makes nothing", async () => {
  const folder = temporaryFolder(onTestFinished);
  const path = join(folder, "scene.tif");
  await writeScene(path, blockScene(64, 256));
  let looks = 0;
  const policy: PatchPolicy = {
    ...brightPolicy,
    decide(low, acquired) {
      // The same length, so that only the time of the change tells.
      if (++looks === 3) writeFileSync(path, readFileSync(path));
      return brightPolicy.decide(low, acquired);
    },
  };
  const choices = { ...limits, top: 1, batch_size: 64, out: join(folder, "out") };
  await expect(acquire(path, policy, choices)).rejects.toMatchObject({
    kind: "input",
    message: expect.stringMatching(/scene\.tif: must not change while it is read/),
  });
  expect(readdirSync(folder)).toEqual(["scene.tif"]);
});

it("a pipe, a device or a folder is refused, not waited for: whoever waits for a pipe cannot end", async () => {
  const folder = temporaryFolder(onTestFinished);
  const pipe = join(folder, "scene.tif");
  execFileSync("mkfifo", [pipe]);
  for (const path of [pipe, "/dev/zero", folder]) {
    const message = `${path}: must be an image file that can be read, got not a file, but a folder, a pipe or a device`;
    const choices = { ...limits, top: 1, batch_size: 64, out: join(folder, "out") };
    await expect(acquire(path, brightPolicy, choices)).rejects.toMatchObject({ kind: "input", message });
    await expect(LocalFile.open(path)).rejects.toMatchObject({ kind: "input", message });
  }
});
