/** The stages' options: what is refused in which words, and the defaults that wait for the model. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PatchDropError } from "../../src/errors.ts";
import {
  parseOptions,
  type ResolvedStageOptions,
  type StageName,
  schemas,
  stageNames,
  withModelDefaults,
} from "../../src/options/stage-options.ts";
import { refusal } from "./commands.ts";

/** What a stage cannot do without. */
const needed: Record<StageName, Record<string, string>> = {
  classifier_training: {},
  pretrain: { ckpt_hr_cl: "hr" },
  finetune: { load: "policy", ckpt_hr_cl: "hr" },
  finetune2stream: { load: "policy", ckpt_lr_cl: "lr" },
};

/** The options with a model. */
const of = <T extends object>(model: string, options: T) => ({ ...options, model, variant: "2019" as const });

function faultsOf(work: () => unknown) {
  try {
    work();
  } catch (error) {
    if (error instanceof PatchDropError) return error.faults;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("defaults by model", () => {
  // Learning rate, batch and penalties of the authors' code (docs/method.md): fMoW's, and those of all other models.
  it.each<[StageName, string, number, number]>([
    ["classifier_training", "lr", 0.1, 1e-4],
    ["pretrain", "batch_size", 512, 1024],
    ["finetune", "penalty", -5, -7],
    ["finetune2stream", "penalty", -5, -20],
  ])("of %s: %s is %d, and %d with R34_fMoW", (stage, name, usual, ofFmow) => {
    const options = parseOptions(stage, needed[stage]);
    expect(options).not.toHaveProperty(name);
    const value = (model: string) =>
      Object.entries(withModelDefaults(stage, of(model, options))).find(([key]) => key === name);
    expect(value("R32_C10")).toEqual([name, usual]);
    expect(value("R34_fMoW")).toEqual([name, ofFmow]);
    expect(value("R34_fMoW_")).toEqual([name, usual]);
  });

  it("give way to what was given, and leave the given options as they are", () => {
    const given = { ...needed.finetune, penalty: -1, fill: "lr", policy_head: "map" };
    const options = of("R34_fMoW", parseOptions("finetune", given));
    const before = structuredClone(options);
    const resolved: ResolvedStageOptions<"finetune"> = withModelDefaults("finetune", options);
    expect(resolved).toEqual(before);
    expect(options).toEqual(before);
  });

  it("have the paper's zeros in dropped patches, where no checkpoint has another fill", () => {
    expect(withModelDefaults("pretrain", of("R32_C10", parseOptions("pretrain", needed.pretrain))).fill).toBe("zero");
  });

  it("take the place of an option that is there without a value", () => {
    const options = of("R34_fMoW", { ...parseOptions("finetune", needed.finetune), penalty: undefined });
    expect(withModelDefaults("finetune", options).penalty).toBe(-7);
  });

  it("leave nothing open: all options of a stage are there but those that may be absent with every model", () => {
    for (const stage of stageNames) {
      const options = of("R32_C10", parseOptions(stage, needed[stage]));
      const names = Object.keys(withModelDefaults(stage, options));
      // In the schema's order, as a run folder records them.
      expect(names).toEqual(Object.keys(schemas[stage].shape).filter((name) => names.includes(name)));
      // What is by model; of a policy, fill and head, too; where it can have them, its rounds.
      const found = { classifier_training: 1, pretrain: 4, finetune: 3, finetune2stream: 3 }[stage];
      expect(names.length).toBe(Object.keys(options).length + found);
    }
  });

  it("need a model", () => {
    const options = parseOptions("finetune", needed.finetune);
    expect(faultsOf(() => withModelDefaults("finetune", options))).toMatchObject([
      { where: "--model", rule: "must be given" },
      { where: "--variant", rule: "must be given" },
    ]);
  });

  it("are no way around the checks", () => {
    const options = of("R32_C10", { ...parseOptions("finetune", needed.finetune), penalty: 1 });
    expect(faultsOf(() => withModelDefaults("finetune", options))).toEqual([
      { where: "--penalty", rule: "must be at most 0", got: 1, next: "see `patchdrop finetune --help`" },
    ]);
  });
});

describe("options that do not go together", () => {
  const values = (flag: string) => `give --estimator values --reward priced, or leave --${flag} out`;
  const lowNext = "leave it out: the low resolution has no patches to drop";
  const cycle = "must be left out with --schedule onecycle, whose learning rate falls at the end";
  const priceNext = "give --reward priced, or leave --price out";
  const cycleNext = "give --schedule constant, or fewer --max_epochs";

  it.each<[StageName, Record<string, unknown>, { where: string; rule: string; got: unknown; next: string }[]]>([
    [
      "classifier_training",
      { stream_id: "LR", random_masks: 0.5 },
      [{ where: "random_masks", rule: "needs --stream_id HR", got: 0.5, next: lowNext }],
    ],
    [
      "pretrain",
      { price: 0.02 },
      [{ where: "price", rule: "has no effect with --reward quadratic", got: 0.02, next: priceNext }],
    ],
    ["finetune", { patience: 3, schedule: "onecycle" }, [{ where: "patience", rule: cycle, got: 3, next: cycleNext }]],
    [
      "classifier_training",
      { arch: "speedrun", patience: 3 },
      [{ where: "patience", rule: cycle.replace("onecycle", "linear"), got: 3, next: cycleNext }],
    ],
    [
      "pretrain",
      { rounds: 4, judge_epochs: 1, patience: 2, schedule: "onecycle" },
      [
        { where: "patience", rule: cycle, got: 2, next: cycleNext },
        { where: "rounds", rule: "must be 1 with --estimator self_critical", got: 4, next: values("rounds") },
        { where: "judge_epochs", rule: "needs --estimator values", got: 1, next: values("judge_epochs") },
      ],
    ],
  ])("are refused all at once, where they stand: %s with %j", (stage, given, faults) => {
    const at = (prefix: string) => faults.map((one) => ({ ...one, where: `${prefix}${one.where}` }));
    expect(faultsOf(() => parseOptions(stage, { ...needed[stage], ...given }, "x.yaml: "))).toEqual(at("x.yaml: "));
    expect(faultsOf(() => parseOptions(stage, { ...needed[stage], ...given }))).toEqual(at("--"));
  });

  it("are taken one without the other", () => {
    for (const given of [
      { patience: 3 },
      { schedule: "onecycle" },
      { rounds: 1 },
      { price: 0.01 },
      { price: 0.02, reward: "priced" },
      { rounds: 4, judge_epochs: 2, estimator: "values" },
    ]) {
      expect(parseOptions("pretrain", { ...needed.pretrain, ...given })).toMatchObject(given);
    }
    expect(parseOptions("classifier_training", { random_masks: 0.5 })).toMatchObject({ random_masks: 0.5 });
  });

  it("are refused where they come from a checkpoint", () => {
    const options = of("R32_C10", { ...parseOptions("pretrain", needed.pretrain), rounds: 4 });
    expect(faultsOf(() => withModelDefaults("pretrain", options))).toMatchObject([{ where: "--rounds", got: 4 }]);
  });
});

describe("parseOptions", () => {
  it.each(["pretrain", "finetune", "finetune2stream"] as const)(
    "of %s refuses an alpha that learns nothing",
    (stage) => {
      const parsed = (alpha: number) => parseOptions(stage, { ...needed[stage], alpha });
      for (const alpha of [0, 0.5]) {
        expect(faultsOf(() => parsed(alpha))).toEqual([
          {
            where: "--alpha",
            rule: "must be above 0.5, at which every probability is ½ and nothing is learned",
            got: alpha,
            next: `see \`patchdrop ${stage} --help\``,
          },
        ]);
      }
      expect(faultsOf(() => parsed(1.5))).toMatchObject([{ where: "--alpha", rule: "must be at most 1", got: 1.5 }]);
      expect(parsed(0.51).alpha).toBe(0.51);
      expect(parsed(1).alpha).toBe(1);
    },
  );

  it("names the option by the prefix, with rule and value, all faults together", () => {
    const given = { batch_size: "8", lr: 0, schedule: "slow", resume: 1, speed: [1, 2], cv_dir: 3, device: "gpu" };
    const faults = faultsOf(() => parseOptions("classifier_training", given, "a.yaml: stages.hr."));
    expect(faults.map(({ where, rule, got }) => [where, rule, got])).toEqual([
      ["a.yaml: stages.hr.cv_dir", "must be text", 3],
      ["a.yaml: stages.hr.resume", "must be true or false", 1],
      ["a.yaml: stages.hr.batch_size", "must be a number", "8"],
      ["a.yaml: stages.hr.lr", "must be above 0", 0],
      ["a.yaml: stages.hr.schedule", "must be one of constant, multistep, step, onecycle, linear", "slow"],
      ["a.yaml: stages.hr.device", "must be cpu, cuda or cuda:N", "gpu"],
      ["a.yaml: stages.hr.speed", "must be an option of classifier_training", [1, 2]],
    ]);
  });
});

describe("with resume", () => {
  const home = process.cwd();
  let folder: string;
  /** A run of the stage in a folder, as far as its options go. */
  const runOf = (stage: StageName, options: Record<string, unknown>) => {
    const dataset = { name: "CIFAR-10", fingerprint: "ab12", images: 10 };
    const config = { format: 1, stage, options, versions: {}, dataset, created: "2026-01-01" };
    writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "patchdrop-resume-"));
  });
  afterEach(() => {
    process.chdir(home);
    rmSync(folder, { recursive: true, force: true });
  });

  it("a run's own options hold, but for those that are given; it is where it was found", () => {
    runOf("pretrain", { cv_dir: "elsewhere", ckpt_hr_cl: "hr", lr: 0.25, max_epochs: 3, seed: 7 });
    const given = { cv_dir: folder, resume: true, max_epochs: 9, seed: undefined };
    const own = { cv_dir: folder, ckpt_hr_cl: "hr", lr: 0.25, max_epochs: 9, seed: 7, resume: true };
    expect(parseOptions("pretrain", given)).toMatchObject(own);
  });

  it("a run of another stage is refused, with the command that continues it", async () => {
    runOf("finetune", { load: "policy", ckpt_hr_cl: "hr" });
    const rule = "must hold a run of pretrain to resume, got finetune";
    expect(await refusal(() => parseOptions("pretrain", { cv_dir: folder, resume: true }))).toBe(
      `locked: ${folder}: ${rule}; patchdrop finetune --cv_dir ${folder} --resume`,
    );
  });

  it("the run is looked for in runs/last unless its folder is given", async () => {
    process.chdir(folder);
    const next = "leave out --resume to start one, or give the --cv_dir of a run";
    const message = `there is no run to resume (no config.json); ${next}`;
    expect(await refusal(() => parseOptions("pretrain", { resume: true }))).toBe(`input: runs/last: ${message}`);
    expect(await refusal(() => parseOptions("pretrain", { resume: true, cv_dir: folder }))).toBe(
      `input: ${folder}: ${message}`,
    );
  });

  it("that is false, no run is looked for", () => {
    runOf("pretrain", { ckpt_hr_cl: "hr", seed: 7 });
    const options = parseOptions("pretrain", { cv_dir: folder, resume: false, ckpt_hr_cl: "hr" });
    expect(options).toMatchObject({ resume: false, seed: 1 });
  });
});

it("every option of the model is named as one", async () => {
  const { modelOptionNames } = await import("../../src/options/stage-options.ts");
  const { modelGroup } = await import("../../src/options/model-group.ts");
  expect(modelOptionNames).toEqual(Object.keys(modelGroup));
});
