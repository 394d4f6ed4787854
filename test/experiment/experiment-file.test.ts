/** Experiment files: what is read of a good one, and every fault of a bad one, word for word. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { PatchDropError } from "../../src/errors.ts";
import { readExperiment } from "../../src/experiment/experiment-file.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-experiment-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(text: string, overrides?: Record<string, unknown>) {
  const file = join(folder, "x.yaml");
  writeFileSync(file, text);
  return readExperiment(file, "out", overrides);
}

/** The lines of the error, without the file's name. */
function faultsOf(text: string, overrides?: Record<string, unknown>): string[] {
  try {
    read(text, overrides);
  } catch (error) {
    if (!(error instanceof PatchDropError)) throw error;
    expect(error.kind).toBe("usage");
    return error.message.split("\n").map((line) => line.replace(`${join(folder, "x.yaml")}: `, ""));
  }
  return [];
}

const stages = `stages:
  hr: { stage: classifier_training }
  first: { stage: pretrain, ckpt_hr_cl: hr }
  second: { stage: finetune, load: first, ckpt_hr_cl: hr }
`;

describe("a good file", () => {
  it("has options of the command line over its own, but for data, seed, threads and torch", () => {
    const file = `common: { lr: 1, seed: 3 }
stages:
  hr: { stage: classifier_training, lr: 2, seed: 5, data_dir: mine, threads: 2, max_epochs: 9 }
  first: { stage: pretrain, ckpt_hr_cl: hr }
`;
    const { stages: all } = read(file, { lr: 3, max_epochs: 1, alpha: 0.9, seed: 4, data_dir: "other", threads: 1 });
    const [hr, first] = all.map(({ options }) => options);
    expect(hr).toMatchObject({ lr: 3, max_epochs: 1, seed: 5, data_dir: "mine", threads: 2 });
    expect(hr).not.toHaveProperty("alpha");
    expect(first).toMatchObject({ lr: 3, max_epochs: 1, alpha: 0.9, seed: 4, data_dir: "other", threads: 1 });
  });

  it("is refused with options of the command line that none of its stages has, or that are wrong", () => {
    const file = "stages: { hr: { stage: classifier_training, lr: 2 } }";
    expect(faultsOf(file, { alpha: 0.9, lr: -1, max_epochs: "x" })).toEqual([
      "--alpha: must be an option of a stage of the file, got 0.9",
      "--lr: must be above 0, got -1",
      "--max_epochs: must be a number, got x",
    ]);
  });

  it("gives common options to the stages that take them, under their own and over their defaults", () => {
    const { stages: all } = read(`common: { alpha: 0.9, seed: 3, batch_size: 16 }\n${stages}`, { seed: 4 });
    const options = new Map(all.map((one) => [one.name, one.options]));
    expect([...options.keys()]).toEqual(["hr", "first", "second"]);
    expect(options.get("hr")).toMatchObject({ seed: 4, batch_size: 16, cv_dir: join("out", "hr") });
    expect(options.get("hr")).not.toHaveProperty("alpha");
    expect(options.get("first")).toMatchObject({ seed: 4, alpha: 0.9, batch_size: 16, ckpt_hr_cl: join("out", "hr") });
    expect(
      read(`common: { batch_size: 16 }\nstages: { a: { stage: classifier_training, batch_size: 8 } }`),
    ).toMatchObject({
      stages: [{ options: { batch_size: 8, seed: 1 } }],
    });
  });

  it("shows the stage that gallery names, or the last one with a policy", () => {
    expect(read(`${stages}gallery: first`).gallery).toBe("first");
    expect(read(stages).gallery).toBe("second");
    expect(read("stages: { hr: { stage: classifier_training } }").gallery).toBeUndefined();
  });

  it("takes a checkpoint option for all stages, and leaves alone what the command line leaves open", () => {
    const { stages: all } = read(
      "common: { ckpt_hr_cl: hr }\nstages: { hr: { stage: classifier_training }, a: { stage: pretrain } }",
      { seed: undefined },
    );
    expect(all[1].options).toMatchObject({ ckpt_hr_cl: join("out", "hr"), seed: 1 });
  });
});

describe("common", () => {
  it("with a key that no stage takes is refused, with the key that was meant", () => {
    expect(faultsOf(`common: { max_epoch: 3, colour: red }\n${stages}`)).toEqual([
      "common.max_epoch: must be an option of a stage of the file, got 3; did you mean max_epochs?",
      "common.colour: must be an option of a stage of the file, got red",
    ]);
  });

  it("with an option of other stages than the file's is refused", () => {
    expect(faultsOf("common: { alpha: 0.9 }\nstages: { hr: { stage: classifier_training } }")).toEqual([
      "common.alpha: must be an option of a stage of the file, got 0.9",
    ]);
  });

  it("with names that every object has is refused", () => {
    expect(faultsOf(`common: { toString: 1, constructor: 2 }\n${stages}`)).toEqual([
      "common.toString: must be an option of a stage of the file, got 1",
      "common.constructor: must be an option of a stage of the file, got 2",
    ]);
  });

  it("with wrong values has each reported once, not once a stage", () => {
    expect(
      faultsOf(
        `common: { seed: -1, alpha: 7, ckpt_hr_cl: 3 }\nstages: { a: { stage: pretrain }, b: { stage: pretrain } }`,
      ),
    ).toEqual([
      "common.seed: must be at least 0, got -1",
      "common.alpha: must be at most 1, got 7",
      "common.ckpt_hr_cl: must be text, got 3",
    ]);
  });

  it("with a checkpoint that is no stage before the first that takes it is refused once", () => {
    const two = "a: { stage: pretrain }, b: { stage: pretrain }";
    expect(faultsOf(`common: { ckpt_hr_cl: hrr }\nstages: { hr: { stage: classifier_training }, ${two} }`)).toEqual([
      "common.ckpt_hr_cl: must be an earlier stage (hr) or a run folder or checkpoint that exists, got hrr; did you mean hr?",
    ]);
    expect(faultsOf(`common: { ckpt_hr_cl: hr }\nstages: { ${two}, hr: { stage: classifier_training } }`)).toEqual([
      "common.ckpt_hr_cl: must be a run folder or checkpoint that exists, since no stage comes before, got hr",
    ]);
  });

  it("and the command line are told apart", () => {
    expect(faultsOf(`common: { seed: x }\n${stages}`, { threads: 0, sed: 2 })).toEqual([
      "common.seed: must be a number, got x",
      "--threads: must be at least 1, got 0",
      "--sed: must be an option of a stage of the file, got 2; did you mean seed?",
    ]);
  });
});

describe("stages", () => {
  it("have their wrong and missing options reported, all of them", () => {
    expect(
      faultsOf(`stages:
  hr: { stage: classifier_training, batch_size: 1, max_epoch: 3, frequency: 2 }
  policy: { stage: pretrain, alpha: 2 }
`),
    ).toEqual([
      "stages.hr.max_epoch: must be an option of classifier_training, got 3; did you mean max_epochs?",
      "stages.hr.frequency: must be an option of classifier_training, got 2; see `patchdrop classifier_training --help`",
      "stages.hr.batch_size: must be at least 2, got 1; see `patchdrop classifier_training --help`",
      "stages.policy.alpha: must be at most 1, got 2; see `patchdrop pretrain --help`",
      "stages.policy.ckpt_hr_cl: must be given; see `patchdrop pretrain --help`",
    ]);
  });

  it("may not say what the experiment sets", () => {
    expect(
      faultsOf("common: { cv_dir: a }\nstages: { hr: { stage: classifier_training, cv_dir: b, resume: true } }"),
    ).toEqual([
      "common.cv_dir: must be left out: the run folder of a stage is its name, in the folder of the experiment, got a",
      "stages.hr.cv_dir: must be left out: the run folder of a stage is its name, in the folder of the experiment, got b",
      "stages.hr.resume: must be left out: a stage that was begun continues by itself, got true",
    ]);
  });

  it("must start from an earlier stage", () => {
    expect(faultsOf(`stages: { a: { stage: pretrain, ckpt_hr_cl: a }, hr: { stage: classifier_training } }`)).toEqual([
      "stages.a.ckpt_hr_cl: must be a run folder or checkpoint that exists, since no stage comes before, got a",
    ]);
    expect(
      faultsOf(
        `stages: { hr: { stage: classifier_training }, lr: { stage: classifier_training }, a: { stage: pretrain, ckpt_hr_cl: rh } }`,
      ),
    ).toEqual([
      "stages.a.ckpt_hr_cl: must be an earlier stage (hr, lr) or a run folder or checkpoint that exists, got rh",
    ]);
  });

  it("must have names that can be folders, in the file's order", () => {
    expect(
      faultsOf(`stages:
  12: { stage: classifier_training }
  ../up: { stage: classifier_training }
  results.json: { stage: classifier_training }
  ${"a".repeat(100)}: { stage: classifier_training }
  ${"b".repeat(101)}: { stage: classifier_training }
`),
    ).toEqual([
      "stages.12: must not be a number alone, since the order of stages would be lost, got keys with values",
      "stages.../up: must be letters, digits, '.', '_' or '-', since it names a folder, got keys with values",
      "stages.results.json: must not be the name of a file that the experiment writes, got keys with values",
      `stages.${"b".repeat(101)}: must be at most 100 characters, since it names a folder, got keys with values`,
    ]);
  });

  it("must be there", () => {
    expect(faultsOf("title: a")).toEqual(["stages: must be given"]);
    expect(faultsOf("stages:")).toEqual(["stages: must be keys with values, got nothing"]);
    expect(faultsOf("stages: {}")).toEqual(["stages: must hold at least one stage, got nothing"]);
    expect(faultsOf("stages: [hr]")).toEqual(["stages: must be keys with values, got a list"]);
    expect(faultsOf("")).toEqual([
      "must hold the keys of an experiment, such as stages, got nothing; see docs/experiments.md, and configs/ for examples",
    ]);
  });
});

describe("gallery", () => {
  const policies = "must be a stage of the file that has a policy (first, second)";
  it.each([
    ["nowhere", `gallery: ${policies}, got nowhere`],
    ["secnd", `gallery: ${policies}, got secnd; did you mean second?`],
    ["hr", `gallery: ${policies}, got hr`],
    ["3", "gallery: must be text, got 3"],
  ])("%s is refused", (gallery, line) => {
    expect(faultsOf(`${stages}gallery: ${gallery}`)).toEqual([line]);
  });

  it("is refused where no stage has a policy", () => {
    expect(faultsOf("stages: { hr: { stage: classifier_training } }\ngallery: hr")).toEqual([
      "gallery: must be left out, since no stage of the file has a policy, got hr",
    ]);
  });
});

it("reports the faults of all parts together", () => {
  expect(
    faultsOf(`stags: { a: 1 }
common: { sead: 1 }
stages: { hr: { stage: training }, a: { stage: classifier_training, lr: 0 } }
gallery: b
`),
  ).toEqual([
    "stages.hr.stage: must be one of classifier_training, pretrain, finetune, finetune2stream, got training",
    "stags: must be a key of an experiment file, got keys with values; did you mean stages?",
    "common.sead: must be an option of a stage of the file, got 1; did you mean seed?",
    "stages.a.lr: must be above 0, got 0; see `patchdrop classifier_training --help`",
    "gallery: must be a stage of the file that has a policy (hr), got b",
  ]);
});

describe("YAML that is taken by no experiment, in one line of ours, and none of the library's", () => {
  it.each([
    ["a tag", "title: !mine Scenes", "Unresolved tag: !mine at line 1, column 8; leave it out"],
    [
      "a tag of a program",
      "common: { seed: !!js/function 1 }",
      "Unresolved tag: tag:yaml.org,2002:js/function at line 1, column 17; leave it out",
    ],
    ["a directive", "%MINE 1\n---\ntitle: Scenes", "Unknown directive %MINE at line 1, column 1; leave it out"],
    ["a list as a key", "title: x\n? [a, b]\n: 1", "keys with values, or a list, as a key at line 2, column 3"],
    ["keys as a key", "common:\n  ? { a: 1 }\n  : 1", "keys with values, or a list, as a key at line 2, column 5"],
    [
      "a name for a list as a key",
      "title: &a [x]\n*a : 1",
      "keys with values, or a list, as a key at line 2, column 1",
    ],
    ["a name that is not there", "title: *a", "Unresolved alias (the anchor must be set before the alias): a"],
    ["two documents", "title: a\n---\ntitle: b", "Source contains multiple documents at line 2, column 1"],
    [
      "a key of every object",
      "title: a\ncommon: { __proto__: { seed: 3 } }",
      "__proto__ as a key at line 2, column 11",
    ],
  ])("%s", (_, text, got) => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => undefined);
    const faults = faultsOf(`${text}\n`);
    expect(warn).not.toHaveBeenCalled();
    warn.mockRestore();
    expect(faults).toEqual([`must be YAML, got ${got}`]);
  });
});
