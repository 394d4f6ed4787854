/**
 * The model that a stage trains where no flag says it: its checkpoints', or the one that suits its data. And what is refused
 * in words: data that several models suit, and networks that know another number of classes.
 */
import { mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { parseOptions, type StageName, type StageOptions, withModelDefaults } from "../../src/options/stage-options.ts";
import { withModel } from "../../src/training/choose-model.ts";
import { counts, evaluate, type Given, listener, memoryData, refusal, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();
/** Of the runs' models: not a default among them. */
const sizes = { lr_size: 16, patch_size: 16 };

beforeAll(async () => {
  const given = { max_epochs: 1, ...sizes };
  await runs.train("classifier_training", "hr", given, { data });
  await runs.train("classifier_training", "lr", { ...given, stream_id: "LR" }, { data });
  await runs.train("pretrain", "policy", { ...given, ckpt_hr_cl: runs.at("hr") }, { data });
});

/** The options with their model, and what was noted on the way. */
async function chosen<S extends StageName>(stage: S, given: Given) {
  const { reporter, notes } = listener();
  return { options: await withModel(parseOptions(stage, given), reporter, undefined), notes };
}

/** The options that say which model. */
function modelIn({ model, variant, img_size, lr_size, patch_size }: StageOptions) {
  return { model, variant, img_size, lr_size, patch_size };
}

describe("without --model", () => {
  const ofRuns = { model: "R8_Scenes", variant: "2019", img_size: undefined, ...sizes };

  it.each<[StageName, () => Given, string]>([
    ["pretrain", () => ({ ckpt_hr_cl: runs.at("hr") }), "hr"],
    ["finetune", () => ({ load: runs.at("policy"), ckpt_hr_cl: runs.at("hr") }), "policy"],
    ["finetune2stream", () => ({ load: runs.at("policy"), ckpt_lr_cl: runs.at("lr") }), "policy"],
  ])("%s takes that of its checkpoint, sizes and all, and says so", async (stage, given, from) => {
    const { options, notes } = await chosen(stage, given());
    expect(modelIn(options)).toEqual(ofRuns);
    expect(notes).toEqual([`--model R8_Scenes, as in ${runs.at(from)}`]);
  });

  it("what is given goes before what the checkpoint has", async () => {
    const { options } = await chosen("pretrain", { ckpt_hr_cl: runs.at("hr"), patch_size: 8 });
    expect(modelIn(options)).toEqual({ ...ofRuns, patch_size: 8 });
  });

  it("the run records it, and trains it", async () => {
    const given = { ckpt_hr_cl: runs.at("hr"), model: undefined, max_epochs: 1 };
    await runs.train("pretrain", "unsaid", given, { data });
    expect(readRunConfig(runs.at("unsaid")).options).toMatchObject({ model: "R8_Scenes", variant: "2019", ...sizes });
    expect(readRunConfig(runs.at("unsaid")).description).toMatchObject({ lowSize: 16, patchSize: 16 });
  });

  it("the synthetic scenes take theirs, and class folders of CIFAR's size CIFAR's", async () => {
    const scenes = await chosen("classifier_training", { dataset: "synthetic" });
    expect(scenes.options).toMatchObject({ model: "R8_Scenes", variant: "2019" });
    expect(scenes.notes).toEqual(["--model R8_Scenes, made for these data"]);
    const small = await chosen("classifier_training", { data_dir: await runs.makeFolder() });
    expect(small.options).toMatchObject({ model: "R32_C10", variant: "2019" });
    expect(small.notes).toEqual(["--model R32_C10, of 32 pixels, is taken for images of 32 × 32"]);
  });

  it("a folder of pictures of 150 pixels is refused: nobody trains on thumbnails unawares", async () => {
    for (const split of ["train", "test"]) {
      for (const label of ["a", "b"]) {
        mkdirSync(runs.at("large", split, label), { recursive: true });
        const create = { width: 150, height: 120, channels: 3, background: "red" } as const;
        await sharp({ create })
          .png()
          .toFile(join(runs.at("large", split, label), "0.png"));
      }
    }
    const given = { model: undefined, data_dir: runs.at("large") };
    const { kind, faults } = await refusal(() => runs.train("classifier_training", "thumbnails", given));
    expect(kind).toBe("usage");
    expect(faults).toEqual([
      {
        where: "--model",
        rule: "must be given for images of 150 × 120 pixels",
        next: "R34_fMoW (112 pixels) or EffLite0 (112 pixels) or R34_ImgNet (224 pixels) suit them, R32_C10 trains on thumbnails of 32",
      },
    ]);
  });
});

describe("a run of R34_fMoW", () => {
  it.each<[StageName, () => Given, number]>([
    ["finetune", () => ({ load: runs.at("policy"), ckpt_hr_cl: runs.at("hr") }), -7],
    ["finetune2stream", () => ({ load: runs.at("policy"), ckpt_lr_cl: runs.at("lr") }), -20],
  ])("in %s would record its own penalty", async (stage, given, penalty) => {
    const { options } = await chosen(stage, { ...given(), model: "R34_fMoW" });
    expect(withModelDefaults(stage, options)).toMatchObject({ model: "R34_fMoW", penalty });
    const { options: small } = await chosen(stage, { ...given(), model: "R32_C10" });
    expect(withModelDefaults(stage, small)).toMatchObject({ model: "R32_C10", penalty: -5 });
  });
});

describe("a classifier of three classes, and data of four", () => {
  const four = memoryData({ ...counts, classes: 4 });
  const got = "3, without class3";
  const next = "give the data that the run was trained on, or train a classifier on these";

  it.each<[StageName, string, () => Given]>([
    ["pretrain", "--ckpt_hr_cl", () => ({ ckpt_hr_cl: runs.at("hr") })],
    ["finetune", "--ckpt_hr_cl", () => ({ load: runs.at("policy"), ckpt_hr_cl: runs.at("hr") })],
  ])("is refused by %s", async (stage, flag, given) => {
    const { kind, faults } = await refusal(() =>
      runs.train(stage, "refused", { ...sizes, ...given() }, { data: four }),
    );
    const rule = "must know the 4 classes of squares and no others";
    expect({ kind, faults }).toEqual({
      kind: "input",
      faults: [{ where: `${flag} ${runs.at("hr")}`, rule, got, next }],
    });
  });

  it("is refused by a second stream", async () => {
    await runs.train("classifier_training", "hr4", { ...sizes, max_epochs: 1 }, { data: four });
    const given = { ...sizes, load: runs.at("policy"), ckpt_hr_cl: runs.at("hr4"), ckpt_lr_cl: runs.at("lr") };
    const { faults } = await refusal(() => runs.train("finetune2stream", "refused", given, { data: four }));
    expect(faults).toMatchObject([{ where: `--ckpt_lr_cl ${runs.at("lr")}`, got }]);
  });

  it.each(["hr", "policy"])("is refused by an evaluation: of %s", async (name) => {
    const data_dir = await runs.makeFolder("four", { classes: 4, train: 1, test: 1 });
    const { kind, faults } = await refusal(() => evaluate(runs.at(name), { data_dir }));
    expect(kind).toBe("input");
    expect(faults).toMatchObject([{ rule: "must know the 4 classes of four and no others", got, next }]);
  });

  it("is no matter of names: a run may be evaluated on as many classes that are called otherwise", async () => {
    const data_dir = await runs.makeFolder("others");
    for (const split of ["train", "test"])
      renameSync(join(data_dir, split, "class1"), join(data_dir, split, "class1b"));
    expect((await evaluate(runs.at("policy"), { data_dir })).dataset).toBe("others");
    const given = { ...sizes, ckpt_hr_cl: runs.at("hr"), data_dir };
    const { faults } = await refusal(() => runs.train("pretrain", "refused", given));
    expect(faults).toMatchObject([{ rule: "must call class 1 class1b, as others", got: "class1" }]);
  });

  it("is refused where a class that the run knows has another label", async () => {
    const data_dir = await runs.makeFolder("relabelled");
    // class0, class2, class9: the second is the run's third.
    for (const split of ["train", "test"]) renameSync(join(data_dir, split, "class1"), join(data_dir, split, "class9"));
    const { kind, faults } = await refusal(() => evaluate(runs.at("policy"), { data_dir }));
    expect(kind).toBe("input");
    expect(faults).toMatchObject([{ rule: "must call class 1 class2, as relabelled", got: "class1", next }]);
  });

  it("a policy that starts another one may come from data of other classes: it knows none", async () => {
    const given = { load: runs.at("policy"), ckpt_hr_cl: runs.at("hr4"), ...sizes, max_epochs: 1 };
    await runs.train("pretrain", "moved", given, { data: four });
    expect(readRunConfig(runs.at("moved")).description?.classes).toEqual(four.train.classes);
  });
});
