/** The quickstart's path on measured values: the generated scenes of four bands, from the classifier to an exported policy. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { patchdrop, runTimeoutMs, succeed } from "./program.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const config = fileURLToPath(new URL("../../configs/quickstart-bands.yaml", import.meta.url));
const bands = ["red", "green", "blue", "nir"];

describe("the generated scenes of four bands", { timeout: runTimeoutMs }, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "patchdrop-synthetic-bands-"));
    await succeed(["run", config, "--out", at("run"), "--max_epochs", "1", "--threads", "1"]);
  }, runTimeoutMs);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("train all stages, which see them alike", () => {
    const [hr, ...policies] = ["hr", "pretrain", "finetune"].map((name) => readRunConfig(at("run", name)).description!);
    expect(hr).toMatchObject({ bands, pixelType: "float32" });
    for (const { bands, normalization, stretch } of policies) {
      expect({ bands, normalization, stretch }).toEqual({
        bands: hr.bands,
        normalization: hr.normalization,
        stretch: hr.stretch,
      });
    }
    expect(readFileSync(at("run", "index.html"), "utf8")).toContain("PatchDrop on four bands");
  });

  it("tell their classes by near infrared, after an epoch", async () => {
    const { stdout } = await succeed(["eval", "--load", at("run", "hr"), "--json", "--threads", "1"]);
    expect(JSON.parse(stdout).rows[0].accuracy).toBeGreaterThan(0.5);
  });

  it("are exported with the run, on images of their own", async () => {
    await succeed(["export", "--load", at("run", "finetune"), "--out", at("onnx"), "--images", "3", "--threads", "1"]);
  });

  it("are measured by their name, and by no bands or folder beside it", async () => {
    const { stdout } = await succeed(["data", "stats", "--dataset", "synthetic_bands", "--json"]);
    const { normalization } = readRunConfig(at("run", "hr")).description!;
    const measured: Record<string, unknown>[] = JSON.parse(stdout);
    expect(measured.map(({ band }) => band)).toEqual(bands);
    // Of another seed's scenes, the same to a hundredth.
    for (const [n, { mean }] of measured.entries()) expect(mean).toBeCloseTo(normalization.mean[n], 2);
    const ended = await patchdrop(["data", "stats", "--dataset", "synthetic_bands", "--bands", "1,2"]);
    expect(ended).toMatchObject({
      code: 2,
      stderr: "error: --bands: must be left out for synthetic_bands, whose bands are known, got 1,2\n",
    });
  });
});
