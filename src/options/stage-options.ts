/**
 * The options of the four stages: one schema gives the flags, the help with its defaults, the configuration file and
 * what a run folder records. Names and defaults are those of the authors' code where it has them (docs/method.md).
 */
import { z } from "zod";
import { endsWithTraining } from "../checkpoints/run-config.ts";
import { readRunConfig } from "../checkpoints/saved-checkpoints.ts";
import { mostPadding } from "../data/transforms.ts";
import { type Fault, fault, type PatchDropError } from "../errors.ts";
import { didYouMean } from "../utils/closest.ts";
import { defined } from "../utils/defined.ts";
import { dataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { modelGroup } from "./model-group.ts";
import { byModel, checkpoint, defaultsFor, file, onByDefault, whole } from "./option.ts";
import { parseWith } from "./parse.ts";
import {
  defaultPrice,
  finetuningGroup,
  foundFill,
  foundPolicyHead,
  foundRounds,
  penalty,
  policyGroup,
  pretrainingGroup,
  randomMasks,
} from "./policy-group.ts";
import { trainingGroup } from "./training-group.ts";

/** The four stages, as their commands are called. */
export const stageNames = ["classifier_training", "pretrain", "finetune", "finetune2stream"] as const;
/** One of the four stages. */
export type StageName = (typeof stageNames)[number];

const { batch_size, max_epochs, test_interval, lr, schedule } = trainingGroup;
const everyStage = { ...modelGroup, ...dataGroup, ...trainingGroup, ...deviceGroup };

/** In place of other defaults of classifier_training, where a network asks for another training than a ResNet. */
const recipes: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  speedrun: {
    ...{ optimizer: "muon", lr: 0.24, momentum: 0.85, schedule: "linear", batch_size: 1000, max_epochs: 10 },
    ...{ label_smoothing: 0.2, flips: "alternating", test_interval: 5 },
  },
  patches: {
    ...{ optimizer: "muon", lr: 0.08, schedule: "linear", batch_size: 512, max_epochs: 20 },
    ...{ random_masks: 1, flips: "alternating", test_interval: 5 },
  },
};

/** The same as one would write them: "speedrun: --optimizer muon --lr 0.24 …". */
const recipesText = Object.entries(recipes)
  .map(
    ([arch, own]) =>
      `${arch}: ${Object.entries(own)
        .map(([name, value]) => `--${name} ${value}`)
        .join(" ")}`,
  )
  .join("; ");

/** A checkpoint that a stage starts from. */
const startingPoint = (what: string) => checkpoint(`${what}: run folder, checkpoint, or patchdrop:NAME`);

export const schemas = {
  classifier_training: z.strictObject({
    ...everyStage,
    arch: modelGroup.arch.describe(`${modelGroup.arch.description}; with it the defaults are others: ${recipesText}`),
    stream_id: z.enum(["HR", "LR"]).default("HR").describe("resolution to train on"),
    pretrained: file(
      "ImageNet weights to start from: a PyTorch file, or auto to fetch the official one; random weights when absent",
    ).optional(),
    optimizer: z
      .enum(["sgd", "muon"])
      .default("sgd")
      .describe("sgd, or muon: the filters of convolutions by Muon, the rest by SGD with Nesterov's momentum"),
    momentum: z.number().min(0).max(1).default(0.9).describe("momentum of SGD"),
    flips: z
      .enum(["random", "alternating"])
      .default("random")
      .describe(
        "where images are mirrored in training: each at random, or every image in every other epoch; no matter with --turns",
      ),
    crop_padding: whole(0, mostPadding)
      .default(mostPadding)
      .describe(`pixels by which images of CIFAR's kind are shifted in training, at most; up to ${mostPadding}`),
    random_masks: randomMasks.describe(
      "share of the images that are shown under random masks of 0 to all patches, with the low resolution in the others",
    ),
    label_smoothing: z.number().min(0).max(1).default(0).describe("share of the target spread over all classes"),
    penalty: penalty
      .default(0)
      .describe("accepted so that the authors' command lines work; has no effect in this stage"),
    batch_size: batch_size.default(64),
    max_epochs: max_epochs.default(350),
    test_interval: test_interval.default(10),
    lr: byModel(lr, { any: 0.1, R34_fMoW: 1e-4, EffLite0: 0.01 }),
    schedule: schedule
      .default("multistep")
      .describe(
        "learning rate over time; multistep: ×0.1 at epochs 150 and 250; linear: straight down to nothing at the end",
      ),
  }),
  pretrain: z.strictObject({
    ...everyStage,
    ...policyGroup,
    ...pretrainingGroup,
    ckpt_hr_cl: startingPoint("high-resolution classifier, the judge"),
    curriculum: onByDefault(
      "in epoch e, let the policy decide only the first e + 1 patches, and take the others",
      "let the policy decide all patches from the start, not only the first e + 1 in epoch e",
    ),
    load: startingPoint("policy to start from").optional(),
    penalty: penalty.default(-0.5),
    batch_size: byModel(batch_size, { any: 512, R34_fMoW: 1024 }),
    max_epochs: max_epochs.default(100),
    test_interval: test_interval.default(10),
    lr: lr.default(1e-3),
    schedule: schedule.default("constant"),
  }),
  finetune: z.strictObject({
    ...everyStage,
    ...policyGroup,
    ...finetuningGroup,
    load: startingPoint("policy to start from"),
    ckpt_hr_cl: startingPoint("high-resolution classifier to start from"),
    penalty: byModel(penalty, { any: -5, R34_fMoW: -7 }),
    batch_size: batch_size.default(256),
    max_epochs: max_epochs.default(100),
    test_interval: test_interval.default(5),
    lr: lr.default(1e-4),
    schedule: schedule.default("constant"),
  }),
  finetune2stream: z.strictObject({
    ...everyStage,
    ...policyGroup,
    ...finetuningGroup,
    load: startingPoint("policy and high-resolution classifier to start from"),
    ckpt_lr_cl: startingPoint("low-resolution classifier"),
    ckpt_hr_cl: startingPoint("high-resolution classifier, if not the one of --load").optional(),
    two_stream_mix: z
      .enum(["sum", "share"])
      .default("sum")
      .describe("logits in training: HR + LR, or mixed by the share of patches used, as in the 2019 code"),
    penalty: byModel(penalty, { any: -5, R34_fMoW: -20 }),
    batch_size: batch_size.default(256),
    max_epochs: max_epochs.default(100),
    test_interval: test_interval.default(1),
    lr: lr.default(1e-4),
    schedule: schedule.default("constant"),
  }),
} as const;

const found = { fill: foundFill, policy_head: foundPolicyHead };

/** The same with nothing missing: what is taken from data or checkpoints is there, and what has a default by model. */
const resolved = {
  classifier_training: schemas.classifier_training.required({ model: true, variant: true, lr: true }),
  pretrain: schemas.pretrain
    .required({ model: true, variant: true, batch_size: true })
    .extend({ ...found, rounds: foundRounds }),
  finetune: schemas.finetune.required({ model: true, variant: true, penalty: true }).extend(found),
  finetune2stream: schemas.finetune2stream.required({ model: true, variant: true, penalty: true }).extend(found),
} as const;

type Parsed = { readonly [S in StageName]: z.infer<(typeof schemas)[S]> };
type Resolved = { readonly [S in StageName]: z.infer<(typeof resolved)[S]> };
const parsers: { readonly [S in StageName]: z.ZodType<Parsed[S]> } = schemas;
const resolvers: { readonly [S in StageName]: z.ZodType<Resolved[S]> } = resolved;

/** A stage's options as they were given, its defaults filled in; those whose default depends on the model may be absent. */
export type StageOptions<S extends StageName = StageName> = Parsed[S];
/** A stage's options, all there: what it runs with, and what a run folder records. */
export type ResolvedStageOptions<S extends StageName = StageName> = Resolved[S];
export type ClassifierOptions = ResolvedStageOptions<"classifier_training">;
export type PretrainOptions = ResolvedStageOptions<"pretrain">;
export type FinetuneOptions = ResolvedStageOptions<"finetune">;
export type TwoStreamOptions = ResolvedStageOptions<"finetune2stream">;

/**
 * Checks a stage's options from the command line or a configuration file. With `resume`, what is not given is as the run in
 * `cv_dir` has it.
 * @throws kind "usage" with all faults at once, each naming the flag, the rule and the value; "input" and "locked" where
 *   there is no run to resume, or one of another stage
 */
export function parseOptions<S extends StageName>(
  stage: S,
  given: Record<string, unknown>,
  prefix = "--",
): StageOptions<S> {
  if (!stageNames.includes(stage)) throw unknownStage(stage);
  const named = defined(given);
  const before = given.resume === true ? optionsOfRun(stage, given.cv_dir) : recipeOf(stage, named);
  const all = { ...before, ...named };
  return together(parseWith(parsers[stage], all, stage, prefix), prefix);
}

/** A low-resolution classifier has no patches: beside one of patches it is the model's own, and learns as that does. */
function recipeOf(stage: StageName, { arch, stream_id }: Record<string, unknown>): Readonly<Record<string, unknown>> {
  if (stage !== "classifier_training" || (arch === "patches" && stream_id === "LR")) return {};
  return Object.hasOwn(recipes, String(arch)) ? recipes[String(arch)] : {};
}

function unknownStage(stage: unknown): PatchDropError {
  const next = didYouMean(String(stage), stageNames);
  return fault("usage", {
    where: "stage",
    rule: `must be one of ${stageNames.join(", ")}`,
    got: stage ?? "nothing",
    next,
  });
}

/** Options of which one says when another may be given. */
interface Combined extends Pick<StageOptions, "patience" | "schedule"> {
  readonly stream_id?: "HR" | "LR" | undefined;
  readonly random_masks?: number | undefined;
  readonly estimator?: string | undefined;
  readonly rounds?: number | undefined;
  readonly judge_epochs?: number | undefined;
  readonly reward?: string | undefined;
  readonly price?: number | undefined;
  readonly target_patches?: number | undefined;
}

/**
 * The options, where they go together.
 * @throws usage: those that do not, all at once; which they are can be said before there are data, models or checkpoints
 */
function together<T extends Combined>(options: T, prefix = "--"): T {
  const checks = [cutCycle, masksOfLow, unpaidPrice, pricedTarget, sampledRounds, sampledAgain];
  const faults = checks.map((check) => check(options)).filter((one) => one !== undefined);
  if (faults.length === 0) return options;
  throw fault(
    "usage",
    faults.map((one) => ({ ...one, where: `${prefix}${one.where}` })),
  );
}

/** A schedule that is cut has never slowed down. */
function cutCycle({ patience, schedule }: Combined): Fault | undefined {
  if (patience === undefined || !endsWithTraining(schedule)) return undefined;
  const rule = `must be left out with --schedule ${schedule}, whose learning rate falls at the end`;
  return { where: "patience", rule, got: patience, next: "give --schedule constant, or fewer --max_epochs" };
}

function masksOfLow({ stream_id, random_masks = 0 }: Combined): Fault | undefined {
  if (stream_id !== "LR" || random_masks === 0) return undefined;
  const next = "leave it out: the low resolution has no patches to drop";
  return { where: "random_masks", rule: "needs --stream_id HR", got: random_masks, next };
}

/** What only values can do: a sampled policy's rounds would have to be sampled together, which no estimator here does. */
function sampledRounds({ estimator, rounds: got = 1 }: Combined): Fault | undefined {
  if (estimator === undefined || estimator === "values" || got === 1) return undefined;
  const next = "give --estimator values --reward priced, or leave --rounds out";
  return { where: "rounds", rule: `must be 1 with --estimator ${estimator}`, got, next };
}

/** A sampled policy tries other masks in each epoch. */
function sampledAgain({ estimator, judge_epochs: got }: Combined): Fault | undefined {
  if (got === undefined || estimator === "values") return undefined;
  const next = "give --estimator values --reward priced, or leave --judge_epochs out";
  return { where: "judge_epochs", rule: "needs --estimator values", got, next };
}

/** A price that nobody pays changes nothing; the default one stands in every run that was saved. */
function unpaidPrice({ reward, price: got }: Combined): Fault | undefined {
  if (reward === undefined || reward === "priced" || got === undefined || got === defaultPrice) return undefined;
  const next = "give --reward priced, or leave --price out";
  return { where: "price", rule: `has no effect with --reward ${reward}`, got, next };
}

/** A price that is driven must be one that is paid, and more than nothing to begin with: it changes by shares of itself. */
function pricedTarget({ target_patches: got, estimator, reward, price }: Combined): Fault | undefined {
  if (got === undefined) return undefined;
  const where = "target_patches";
  if (estimator === "values") {
    const next = "leave it out, and give it to eval afterwards: values serve every number of patches";
    return { where, rule: "must not be given with --estimator values", got, next };
  }
  if (reward !== "priced") {
    const next = "give --reward priced, or leave --target_patches out";
    return { where, rule: "needs --reward priced", got: `--reward ${reward}`, next };
  }
  return price === 0 ? { where: "price", rule: "must be above 0 with --target_patches", got: price } : undefined;
}

function optionsOfRun(stage: StageName, folder: unknown): Record<string, unknown> {
  const path = typeof folder === "string" ? folder : trainingGroup.cv_dir.parse(undefined);
  const saved = readRunConfig(path);
  if (saved.stage !== stage) {
    const next = `patchdrop ${saved.stage} --cv_dir ${path} --resume`;
    throw fault("locked", { where: path, rule: `must hold a run of ${stage} to resume`, got: saved.stage, next });
  }
  const gone = Object.keys(saved.options).find((name) => !Object.hasOwn(schemas[stage].shape, name));
  if (gone !== undefined) {
    const rule = `was begun with --${gone}, which this version of patchdrop does not have`;
    throw fault("locked", {
      where: path,
      rule,
      got: saved.options[gone],
      next: "use it as it is, or begin another run",
    });
  }
  return { ...saved.options, cv_dir: path };
}

/** The options that say which model. */
export const modelOptionNames = ["model", "variant", "arch", "img_size", "lr_size", "patch_size", "grid"] as const;
/** Those that a stage takes from its data or its checkpoints where no flag gives them. */
export const foundOptionNames = [...modelOptionNames, "fill", "policy_head", "rounds"] as const;

/**
 * The options with the defaults for their model where nothing was given; they are not changed.
 * @param options their model and its variant among them
 * @throws kind "usage" for options that `parseOptions` would refuse
 */
export function withModelDefaults<S extends StageName>(stage: S, options: StageOptions<S>): ResolvedStageOptions<S> {
  const defaults = defaultsFor(options.model ?? "", schemas[stage].shape);
  return together(parseWith(resolvers[stage], { ...defaults, ...defined(options) }, stage));
}
