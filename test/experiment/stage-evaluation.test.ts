/** Which low-resolution classifier of a file a policy is held against, and which stage is swept. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { evalOptions } from "../../src/experiment/stage-evaluation.ts";

it("is the one of the same images in the same sizes", () => {
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-low-"));
  const file = join(folder, "x.yaml");
  writeFileSync(
    file,
    `common: { model: R32_C10, ckpt_hr_cl: hr }
stages:
  hr: { stage: classifier_training }
  low4: { stage: classifier_training, stream_id: LR, lr_size: 4 }
  low8: { stage: classifier_training, stream_id: LR }
  at4: { stage: pretrain, lr_size: 4 }
  at8: { stage: pretrain }
  at16: { stage: pretrain, lr_size: 16 }
gallery: at4
`,
  );
  const experiment = readExperiment(file, "out");
  rmSync(folder, { recursive: true });
  const options = new Map(experiment.stages.map((stage) => [stage.name, evalOptions(stage, experiment)]));
  expect([...options].map(([name, { ckpt_lr_cl, sweep }]) => [name, ckpt_lr_cl, sweep])).toEqual([
    ["hr", undefined, false],
    ["low4", undefined, false],
    ["low8", undefined, false],
    ["at4", join("out", "low4"), true],
    ["at8", join("out", "low8"), false],
    ["at16", undefined, false],
  ]);
  // What the file does not say is left out, so that it is taken from the run.
  expect(Object.keys(options.get("hr")!)).not.toContain("threads");
});
