/** A signal while the test set is evaluated: everything is saved, and the resumed run ends as one that was not stopped. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { evaluateRun } from "../../src/evaluation/evaluate-run.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { train } from "../../src/training/train.ts";
import { type Reporter, Stopped, silentReporter } from "../../src/utils/reporter.ts";
import { makeImageFolder } from "../e2e/images.ts";
import { linked, tensorFiles, timelessMetrics } from "../e2e/runs.ts";

openLibtorch(findLibtorch(), { threads: 1 });

let folder: string;
let data: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-stop-"));
  data = await makeImageFolder(join(folder, "data"), { classes: 3, train: 11, test: 3 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const given = { model: "R8_Scenes", batch_size: 8, max_epochs: 2, test_interval: 1, threads: 1, precision: "fp32" };
const optionsFor = (name: string, more: Record<string, unknown> = {}) => {
  const all = { ...given, data_dir: data, cv_dir: join(folder, name), ...more };
  return parseOptions("classifier_training", all);
};

/** Asks for a stop as soon as the n-th evaluation begins. */
function stopInEvaluation(n: number): Reporter {
  let evaluations = 0;
  return {
    ...silentReporter,
    progress(label, total) {
      if (label === "evaluation") evaluations += 1;
      return silentReporter.progress(label, total);
    },
    stopping: () => (evaluations >= n ? "SIGTERM" : undefined),
  };
}

it("training stops in the test, and goes on with it", async () => {
  await train("classifier_training", optionsFor("whole"));
  const { stopped } = await train("classifier_training", optionsFor("cut"), { reporter: stopInEvaluation(2) });
  expect(stopped).toBe("SIGTERM");
  // All four steps of the second epoch are saved, and not lost for the sake of its test.
  expect(linked(join(folder, "cut"), "last")).toBe("ckpt_E_1_S_4");
  expect(timelessMetrics(join(folder, "cut")).map(({ epoch, split }) => `${split} ${epoch}`)).toEqual([
    "train 1",
    "test 1",
  ]);
  await train("classifier_training", optionsFor("cut", { resume: true }));
  expect(timelessMetrics(join(folder, "cut"))).toEqual(timelessMetrics(join(folder, "whole")));
  const files = (name: string) => tensorFiles(join(folder, name, "checkpoints", linked(join(folder, name), "last")));
  expect(files("cut")).toEqual(files("whole"));
});

it("a finished run says so when it is resumed", async () => {
  const notes: string[] = [];
  const reporter: Reporter = { ...silentReporter, note: (text) => notes.push(text) };
  await train("classifier_training", optionsFor("whole", { resume: true }), { reporter });
  expect(notes.at(-1)).toBe(
    `${join(folder, "whole")}: epoch 2 of 2 is already done; a larger --max_epochs lets it go on`,
  );
});

it("an evaluation has nothing to save, and ends", async () => {
  const options = evalSchema.parse({ load: join(folder, "whole"), threads: 1 });
  await expect(evaluateRun(options, stopInEvaluation(1))).rejects.toEqual(new Stopped("SIGTERM"));
});
