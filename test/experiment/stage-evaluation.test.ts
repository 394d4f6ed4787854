/** Which low-resolution classifier of a file a policy is held against, and which stage is swept. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { evalOptions } from "../../src/experiment/stage-evaluation.ts";
import { toJson } from "../../src/files/json.ts";

const folder = mkdtempSync(join(tmpdir(), "patchdrop-low-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("is the one of the same classes in the same sizes, as they were trained", () => {
  const file = join(folder, "x.yaml");
  writeFileSync(
    file,
    `common: { ckpt_hr_cl: hr }
stages:
  hr: { stage: classifier_training, model: R32_C10 }
  low4: { stage: classifier_training, stream_id: LR, model: R32_C10, lr_size: 4 }
  low8: { stage: classifier_training, stream_id: LR, model: R32_C10 }
  at4: { stage: pretrain, lr_size: 4 }
  at8: { stage: pretrain }
  at16: { stage: pretrain, lr_size: 16 }
  others: { stage: pretrain }
gallery: at4
`,
  );
  const out = join(folder, "out");
  const experiment = readExperiment(file, out);
  for (const { name, stage, options } of experiment.stages) {
    mkdirSync(options.cv_dir, { recursive: true });
    const dataset = { name: "data", classes: [name === "others" ? "cat" : "dog"], fingerprint: "0" };
    // A policy's model is found from its classifier, and recorded.
    const recorded = toJson({ ...options, model: "R32_C10", variant: "2019" });
    const config = { format: 1, stage, options: recorded, versions: {}, dataset, created: "2026-11-27T00:00:00.000Z" };
    writeFileSync(join(options.cv_dir, "config.json"), JSON.stringify(config));
  }
  const options = new Map(experiment.stages.map((stage) => [stage.name, evalOptions(stage, experiment)]));
  expect([...options].map(([name, { ckpt_lr_cl, sweep }]) => [name, ckpt_lr_cl, sweep])).toEqual([
    ["hr", undefined, false],
    ["low4", undefined, false],
    ["low8", undefined, false],
    ["at4", join(out, "low4"), true],
    ["at8", join(out, "low8"), false],
    ["at16", undefined, false],
    ["others", undefined, false],
  ]);
  // What the file does not say is left out, so that it is taken from the run.
  expect(Object.keys(options.get("hr")!)).not.toContain("threads");
});
