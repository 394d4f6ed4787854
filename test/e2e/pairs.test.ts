/**
 * Pairs through the program: the class is to be seen in one patch, which the coarse picture alone tells. A policy that looks at it finds
 * the patch; one that looks at the low resolution of the image itself can't.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { Random } from "../../src/utils/random.ts";
import { pairOf, patch, size, writePairs } from "./pairs.ts";
import { patchdrop, runTimeoutMs, succeed } from "./program.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const quick = ["--threads", "1", "--precision", "fp32"];
const counts = { train: 200, test: 50 };

it("of the sharp picture, the low resolution is noise of the same kind everywhere, whatever the target", () => {
  const block = size / 8;
  for (let n = 0; n < 20; n++) {
    const { image } = pairOf(n % 2, new Random(1, "noise", n));
    for (let y = 0; y < size; y += block) {
      for (let x = 0; x < size; x += block) {
        for (let channel = 0; channel < 3; channel++) expect(image[3 * (y * size + x) + channel]).toBeLessThan(130);
      }
    }
  }
});

describe("pairs", { timeout: runTimeoutMs }, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "patchdrop-pairs-"));
    await writePairs(at("pairs"), counts);
    await writePairs(at("alone"), counts, false);
    const training = ["--model", "R8_Scenes", "--batch_size", "32", ...quick];
    const classifier = ["--data_dir", at("pairs"), "--max_epochs", "8", "--lr", "0.003", "--random_masks", "0.5"];
    await succeed(["classifier_training", ...training, ...classifier, "--cv_dir", at("hr")]);
    const values = ["--estimator", "values", "--reward", "priced", "--fill", "lr", "--policy_head", "map"];
    const policy = ["--ckpt_hr_cl", at("hr"), "--max_epochs", "10", "--lr", "0.01", "--test_interval", "10", ...values];
    for (const data of ["pairs", "alone"]) {
      const run = ["--data_dir", at(data), "--cv_dir", at(`policy-${data}`)];
      await succeed(["pretrain", ...training, ...policy, ...run]);
    }
  }, runTimeoutMs);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** With the one patch that a policy wants most. */
  const accuracyOf = async (run: string) => {
    const choice = ["--policy", "topk", "--budget", "1"];
    const { stdout } = await succeed(["eval", "--load", at(run), ...choice, "--json", ...quick]);
    return (JSON.parse(stdout) as { rows: { accuracy: number }[] }).rows[0].accuracy;
  };

  it("tell a policy where to look, and the image's own low resolution does not", async () => {
    expect(await accuracyOf("policy-pairs")).toBeGreaterThan(0.95);
    // One patch of 16 at random, and a guess of two classes: 53 %.
    expect(await accuracyOf("policy-alone")).toBeLessThan(0.7);
  });

  it("are what the run's description says", () => {
    expect(readRunConfig(at("policy-pairs")).description?.low?.mean).toHaveLength(3);
    expect(readRunConfig(at("policy-alone")).description).not.toHaveProperty("low");
  });

  it("stand in the report's gallery as the policy sees them", async () => {
    await succeed(["report", at("policy-pairs"), "--out", at("page.html"), "--no_sweep", ...quick]);
    expect(readFileSync(at("page.html"), "utf8")).toContain("policy sees");
  });

  it("are measured one by one, and both are checked", async () => {
    const { stdout } = await succeed(["data", "stats", "--data_dir", at("pairs"), "--json"]);
    const measured = JSON.parse(stdout) as { band: string; mean: number }[];
    expect(measured.slice(3).map(({ mean }) => mean)).toEqual(readRunConfig(at("hr")).description?.low?.mean);
    expect((await succeed(["data", "check", "--data_dir", at("pairs")])).stdout).toBe(
      "500 of 500 images can be read\n",
    );
  });

  it.each([
    [
      "by predict, which is given images alone",
      ["predict", "--load", "policy-pairs", "pairs/sharp/test0.png"],
      /^error: --load \S+policy-pairs: must make the low resolution of the image itself, since predict is given images alone, got a run that has learned from pairs; use eval/m,
      3,
    ],
    [
      "by acquire without --low",
      ["acquire", "--load", "policy-pairs", "pairs/sharp/test0.png", "--out", "no"],
      /^error: --low: must name the picture that the low resolution is made of, since \S+policy-pairs has learned from pairs, got nothing$/m,
      2,
    ],
    [
      "where a run has learned from images alone",
      ["eval", "--load", "policy-alone", "--data_dir", "pairs"],
      /^error: data set pairs: must be images alone, since the run makes the low resolution of the image itself, got pairs: a column low in its lists; take the column out, or train on pairs$/m,
      2,
    ],
    [
      "as images alone where a run has learned from pairs (headroom)",
      ["headroom", "--load", "policy-pairs", "--data_dir", "alone"],
      /^error: data set alone: must be pairs, since the run takes the low resolution from a picture beside the image, got images alone; give lists with a column low$/m,
      2,
    ],
    [
      "as images alone (export)",
      ["export", "--load", "policy-pairs", "--data_dir", "alone", "--out", "no"],
      /^error: data set alone: must be pairs/m,
      2,
    ],
  ])("are refused %s", async (_, words, message, code) => {
    const isOurs = (word: string) => /^(policy-|pairs|alone|no$)/.test(word);
    const ended = await patchdrop(words.map((word) => (isOurs(word) ? at(word) : word)));
    expect(ended.stderr).toMatch(message);
    expect(ended.code).toBe(code);
  });
});

it("a target is one patch", () => {
  const { image, target, label } = pairOf(1, new Random(1, "one"));
  const lit = new Set<number>();
  for (let n = label; n < image.length; n += 3) {
    if (image[n] < 250) continue;
    const [x, y] = [Math.floor(n / 3) % size, Math.floor(n / 3 / size)];
    lit.add((size / patch) * Math.floor(y / patch) + Math.floor(x / patch));
  }
  expect([...lit]).toEqual([target]);
});
