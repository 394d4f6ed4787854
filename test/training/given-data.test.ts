/** A program that brings its own images: trained on, tested on, evaluated on, with no data set that a flag could name. */
import { beforeAll, describe, expect, it } from "vitest";
import type { DataSplits, Dataset } from "../../src/data/dataset.ts";
import { evaluateRun } from "../../src/evaluation/evaluate-run.ts";
import { exportRun } from "../../src/export/export-run.ts";
import { parseEvalOptions } from "../../src/options/eval-options.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { withModel } from "../../src/training/choose-model.ts";
import { asLogged, counts, evaluate, exact, listener, memoryData, refusal, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();
const silent = listener().reporter;

beforeAll(async () => {
  await runs.train("classifier_training", "hr", { lr: 0.05 }, { data });
});

describe("data that a program gives", () => {
  it("choose the model, as files of their size do", async () => {
    const { reporter, notes } = listener();
    const { model, variant } = await withModel(parseOptions("classifier_training", {}), reporter, data);
    expect({ model, variant }).toEqual({ model: "R32_C10", variant: "2019" });
    expect(notes).toEqual(["--model R32_C10, of 32 pixels, is taken for images of 32 × 32"]);
  });

  it("are what a run is evaluated on", async () => {
    const { test } = await runs.train("pretrain", "policy", { ckpt_hr_cl: runs.at("hr"), curriculum: false }, { data });
    const options = parseEvalOptions({ ...exact, load: runs.at("policy", "last") });
    const evaluation = await evaluateRun(options, silent, { data });
    expect(evaluation).toMatchObject({ dataset: "squares", images: counts.classes * counts.test });
    const { accuracy, sparsity, reward } = asLogged(evaluation);
    expect({ accuracy, sparsity, reward }).toEqual({
      accuracy: test!.accuracy,
      sparsity: test!.sparsity,
      reward: test!.reward,
    });
  });

  it("are asked for by a command, rather than replaced by a data set of other classes", async () => {
    // The model is that of the synthetic scenes, which need no --data_dir.
    const { kind, faults } = await refusal(() => evaluate(runs.at("hr", "last")));
    expect(kind).toBe("usage");
    expect(faults).toEqual([
      {
        where: "--data_dir",
        rule: `must be given: ${runs.at("hr", "last")} was trained on data of a program, squares`,
        next: "give images of the same classes, or evaluate it from the program",
      },
    ]);
  });

  it("are not replaced in an export either, which compares on random pixels then", async () => {
    const options = exportSchema.parse({ load: runs.at("hr"), out: runs.at("onnx"), images: 1, threads: 1 });
    expect((await exportRun(options)).images).toEqual({ count: 1, of: "random pixels" });
  });

  it("are refused where they are not what their type promises", async () => {
    const train = { ...data.train, classes: undefined, normalization: undefined } as unknown as Dataset;
    const { kind, faults } = await refusal(() =>
      runs.train("classifier_training", "none", {}, { data: { train, test: data.test } }),
    );
    expect(kind).toBe("usage");
    expect(faults).toEqual([
      { where: "data set squares: classes", rule: "must be a list", got: "undefined" },
      { where: "data set squares: normalization.mean", rule: "must be a list", got: "undefined" },
      { where: "data set squares: normalization.std", rule: "must be a list", got: "undefined" },
      { where: "data set squares: read", rule: "must be a function", got: "undefined" },
    ]);
    const empty = await refusal(() => runs.train("classifier_training", "none", {}, { data: {} as DataSplits }));
    expect(empty.message).toMatch(/^data set undefined: name: must be text, got undefined/);
  });

  it("are refused where the run's model takes images of another size", async () => {
    const { message } = await refusal(() =>
      evaluateRun(parseEvalOptions({ ...exact, load: runs.at("hr"), img_size: 64 }), silent, { data }),
    );
    expect(message).toContain("data set squares: has images of 32 × 32, the model takes 64 × 64");
  });
});
