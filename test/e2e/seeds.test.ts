/** `patchdrop run --seeds` as a user meets it: begun with one seed, more added, stopped and continued. */
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { makeImageFolder } from "./images.ts";
import { runTimeoutMs, start, succeed, until } from "./program.ts";
import { linked } from "./runs.ts";

vi.setConfig({ testTimeout: runTimeoutMs, hookTimeout: runTimeoutMs });

const folder = mkdtempSync(join(tmpdir(), "patchdrop-seeds-e2e-"));
const out = join(folder, "out");
const file = join(folder, "tiny.yaml");
const command = (...more: string[]) => ["run", file, "--data_dir", join(folder, "data"), "--threads", "1", ...more];
const seeded = (seeds: string) => command("--out", out, "--seeds", seeds);
const rowsOf = (...place: string[]) => JSON.parse(readFileSync(join(out, ...place, "results.json"), "utf8")).rows;
/** Bytes and time of a seed's results. */
const resultsOf = (name: string) => {
  const path = join(out, name, "results.json");
  return [readFileSync(path, "utf8"), statSync(path).mtimeMs];
};

beforeAll(async () => {
  await makeImageFolder(join(folder, "data"), { classes: 4, train: 6, test: 3 });
  writeFileSync(
    file,
    `title: Tiny
common: { model: R8_Scenes, dataset: folder, batch_size: 16, max_epochs: 1, test_interval: 1, precision: fp32 }
stages:
  hr: { stage: classifier_training, lr: 0.05 }
  a: { stage: pretrain, ckpt_hr_cl: hr, curriculum: false, max_epochs: 8, test_interval: 8 }
`,
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

// In order: each goes on with what the ones before have left.
it("takes a seed that was run alone, and prints means and intervals of both", async () => {
  await succeed(command("--out", join(out, "seed1"), "--seed", "1"));
  const before = resultsOf("seed1");
  const { stdout, stderr } = await succeed(seeded("1,2"));
  expect(stderr.match(/^seed \d+$|^\w+: (?:already done|classifier_training$|pretrain$)/gm)).toEqual([
    ...["seed 1", "hr: already done", "a: already done"],
    ...["seed 2", "hr: classifier_training", "a: pretrain"],
  ]);
  expect(resultsOf("seed1")).toEqual(before);
  const lines = stdout.trimEnd().split("\n");
  expect(lines.at(-1)).toBe(join(out, "index.html"));
  expect(lines).toContain(
    "Means over 2 seeds (1, 2) with intervals of 95 % over the seeds (Student's t, 1 degree of freedom).",
  );
  const [one, two] = [rowsOf("seed1"), rowsOf("seed2")];
  for (const [i, { name, accuracy, patches }] of one.entries()) {
    const said = lines.find((line) => line.startsWith(`${name} `))?.slice(name.length);
    const [, percent, , count] = /^ +([\d.]+) ± ([\d.]+) +([\d.]+) ± [\d.]+/.exec(said ?? "")!;
    expect(Math.abs(Number(percent) - 50 * (accuracy + two[i].accuracy))).toBeLessThan(0.051);
    expect(Math.abs(Number(count) - (patches + two[i].patches) / 2)).toBeLessThan(0.0051);
  }
  expect(readFileSync(join(out, "index.html"), "utf8")).toContain('<a href="seed2/index.html">seed 2</a>');
});

it("trains, evaluates and writes nothing the second time, and prints the same", async () => {
  const before = [resultsOf("."), resultsOf("seed1"), resultsOf("seed2")];
  const first = await succeed(seeded("1,2"));
  expect(first.stderr).not.toMatch(/^epoch |: evaluation$|: page$/m);
  const quiet = await succeed([...seeded("1,2"), "--quiet"]);
  expect(quiet.stderr).toBe("");
  expect(quiet.stdout).toBe(first.stdout);
  expect([resultsOf("."), resultsOf("seed1"), resultsOf("seed2")]).toEqual(before);
});

it("stops at SIGTERM in the third seed, saved, and goes on there", async () => {
  const before = [resultsOf("."), resultsOf("seed1"), resultsOf("seed2")];
  const { child, ended } = start(seeded("1,2,3"));
  const metrics = join(out, "seed3", "a", "metrics.jsonl");
  await until(() => existsSync(metrics) && readFileSync(metrics, "utf8").includes("\n"));
  child.kill("SIGTERM");
  const { code, stdout, stderr } = await ended;
  expect({ code, stdout }).toEqual({ code: 143, stdout: "" });
  expect(stderr).toMatch(/stopped by SIGTERM; everything is saved; continue with the same command\n$/);
  expect(linked(join(out, "seed3", "a"), "last")).toMatch(/_S_\d+$/);
  expect([resultsOf("."), resultsOf("seed1"), resultsOf("seed2")]).toEqual(before);

  const again = await succeed(seeded("1,2,3"));
  expect(again.stderr.match(/^\w+: (?:already done|classifier_training$|pretrain$)/gm)).toEqual([
    ...["hr: already done", "a: already done", "hr: already done", "a: already done"],
    ...["hr: already done", "a: pretrain"],
  ]);
  expect(again.stderr).not.toMatch(/^epoch 1\/8/m);
  expect(again.stdout).toContain("\nMeans over 3 seeds (1, 2, 3) with");
  expect([resultsOf("seed1"), resultsOf("seed2")]).toEqual(before.slice(1));
});
