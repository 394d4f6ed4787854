/**
 * The options of the four stages: one schema gives the flags, the help with its defaults, the configuration file and
 * what a run folder records. Names and defaults are those of the authors' code where it has them (docs/method.md).
 */
import { z } from "zod";
import { type Fault, fault } from "../errors.ts";

export const stageNames = ["classifier_training", "pretrain", "finetune", "finetune2stream"] as const;
export type StageName = (typeof stageNames)[number];

export const whole = (minimum: number) => z.number().int().min(minimum);
const positive = z.number().positive();
const device = z.string().regex(/^(cpu|cuda(:\d+)?)$/, "must be cpu, cuda or cuda:N");

/** What every stage takes. */
export const common = {
  model: z.string().default("R32_C10").describe("model, as `patchdrop models` lists them"),
  variant: z
    .enum(["2019", "2020"])
    .default("2019")
    .describe("networks and sizes of the authors' first or second public version"),
  img_size: whole(1).optional().describe("side of the high-resolution image in pixels; the model's when absent"),
  lr_size: whole(1).optional().describe("side of the low-resolution image; a quarter of the image's when absent"),
  patch_size: whole(1).optional().describe("side of a patch; a quarter of the image's when absent"),
  data_dir: z.string().optional().describe("folder or archive of the data set; none is needed for --dataset synthetic"),
  dataset: z
    .enum(["synthetic", "cifar10", "cifar100", "cifar100_coarse", "folder", "csv"])
    .optional()
    .describe("data set; found from --data_dir when absent"),
  download: z
    .boolean()
    .default(false)
    .describe("fetch the official CIFAR archive into --data_dir when it is not there"),
  skip_bad: whole(0).default(0).describe("unreadable image files to leave out before giving up"),
  cv_dir: z.string().default("runs/last").describe("run folder: configuration, metrics, checkpoints"),
  resume: z.boolean().default(false).describe("go on with the run in --cv_dir from its last checkpoint"),
  batch_size: whole(2).describe("images a step"),
  max_epochs: whole(1).describe("epochs in all"),
  test_interval: whole(1).describe("epochs between tests; the last epoch is always tested"),
  lr: positive.describe("learning rate (the highest, with --schedule onecycle)"),
  wd: z.number().min(0).default(0).describe("weight decay"),
  schedule: z.enum(["constant", "multistep", "step", "onecycle"]).describe("learning rate over time"),
  epoch_step: whole(1).default(10_000).describe("epochs between ×0.1 of --schedule step"),
  clip: positive.optional().describe("bound on the gradients' L2 norm; none when absent"),
  num_workers: whole(0).optional().describe("threads that decode image files; all processors when absent"),
  seed: z.number().int().min(0).default(1).describe("seed of every random number"),
  device: device.default("cpu").describe("cpu, cuda or cuda:N"),
  precision: z
    .enum(["auto", "fp32", "bf16"])
    .default("auto")
    .describe("arithmetic of the networks; auto takes bf16 where the processor has it"),
  cuda_graph: z
    .boolean()
    .default(true)
    .describe("with --device cuda, capture a step once as a CUDA graph and replay it"),
  threads: whole(1).optional().describe("threads of libtorch; all processors when absent"),
  torch: z.string().optional().describe("folder of the PyTorch to use; searched for when absent (patchdrop doctor)"),
  parallel: z.boolean().default(false).describe("accepted for the reference's command lines; no effect on one device"),
};

/** A checkpoint that a stage cannot do without. */
const startingPoint = (what: string) => z.string().describe(`${what}: run folder or checkpoint (required)`);

/** What the three policy stages take besides. */
const policy = {
  alpha: z.number().min(0.5).max(1).default(0.8).describe("bound of the probabilities for exploration"),
  beta: z
    .number()
    .min(0)
    .default(0)
    .describe("weight of an entropy bonus in the policy's loss (the reference's flag, without effect there)"),
  sigma: z.number().default(0.1).describe("accepted for the reference's command lines; no effect, as there"),
  reward: z
    .enum(["quadratic", "linear"])
    .default("quadratic")
    .describe("reward of a right answer: the paper's, or that of the 2019 code"),
  fill: z
    .enum(["zero", "lr"])
    .default("zero")
    .describe("what stands where a patch was dropped: zeros, or the low-resolution image"),
};

const finetuning = {
  classifier_bn: z
    .enum(["train", "frozen"])
    .default("train")
    .describe("batch norm of the classifier while it is finetuned (frozen: 2019)"),
  policy_loss: z.enum(["mean", "sum"]).default("mean").describe("policy loss over the images of a batch (sum: 2019)"),
};

const penalty = z.number().max(0).describe("reward of a wrong classification");

export const schemas = {
  classifier_training: z.strictObject({
    ...common,
    stream_id: z.enum(["HR", "LR"]).default("HR").describe("resolution to train on"),
    pretrained: z
      .string()
      .optional()
      .describe("ImageNet weights to start from: torchvision's file, or auto to fetch it; random weights when absent"),
    momentum: z.number().min(0).max(1).default(0.9).describe("momentum of SGD"),
    label_smoothing: z.number().min(0).max(1).default(0).describe("share of the target spread over all classes"),
    penalty: penalty.default(0).describe("accepted for the reference's command lines; no effect in this stage"),
    batch_size: common.batch_size.default(64),
    max_epochs: common.max_epochs.default(350),
    test_interval: common.test_interval.default(10),
    lr: common.lr.default(0.1),
    schedule: common.schedule
      .default("multistep")
      .describe("learning rate over time (multistep: ×0.1 at epochs 150 and 250)"),
  }),
  pretrain: z.strictObject({
    ...common,
    ...policy,
    ckpt_hr_cl: startingPoint("high-resolution classifier, the judge"),
    curriculum: z.boolean().default(true).describe("decide only the first e + 1 patches in epoch e, take the others"),
    load: z.string().optional().describe("policy to start from: run folder or checkpoint"),
    penalty: penalty.default(-0.5),
    batch_size: common.batch_size.default(512),
    max_epochs: common.max_epochs.default(100),
    test_interval: common.test_interval.default(10),
    lr: common.lr.default(1e-3),
    schedule: common.schedule.default("constant"),
  }),
  finetune: z.strictObject({
    ...common,
    ...policy,
    ...finetuning,
    load: startingPoint("policy to start from"),
    ckpt_hr_cl: startingPoint("high-resolution classifier to start from"),
    penalty: penalty.default(-5),
    batch_size: common.batch_size.default(256),
    max_epochs: common.max_epochs.default(100),
    test_interval: common.test_interval.default(5),
    lr: common.lr.default(1e-4),
    schedule: common.schedule.default("constant"),
  }),
  finetune2stream: z.strictObject({
    ...common,
    ...policy,
    ...finetuning,
    load: startingPoint("policy and high-resolution classifier to start from"),
    ckpt_lr_cl: startingPoint("low-resolution classifier"),
    ckpt_hr_cl: z
      .string()
      .optional()
      .describe("high-resolution classifier, if not the one of --load: run folder or checkpoint"),
    two_stream_mix: z
      .enum(["sum", "share"])
      .default("sum")
      .describe("logits in training: HR + LR, or mixed by the share of patches used (2019)"),
    penalty: penalty.default(-5),
    batch_size: common.batch_size.default(256),
    max_epochs: common.max_epochs.default(100),
    test_interval: common.test_interval.default(1),
    lr: common.lr.default(1e-4),
    schedule: common.schedule.default("constant"),
  }),
} as const;

export type StageOptions<S extends StageName = StageName> = z.infer<(typeof schemas)[S]>;
export type ClassifierOptions = StageOptions<"classifier_training">;
export type PretrainOptions = StageOptions<"pretrain">;
export type FinetuneOptions = StageOptions<"finetune">;
export type TwoStreamOptions = StageOptions<"finetune2stream">;

/**
 * Checks a stage's options from the command line or a configuration file.
 * @throws kind "usage" with all faults at once, each naming the flag, the rule and the value.
 */
export function parseOptions<S extends StageName>(
  stage: S,
  given: Record<string, unknown>,
  prefix = "--",
): StageOptions<S> {
  return parseWith(schemas[stage] as unknown as z.ZodType<StageOptions<S>>, given, stage, prefix);
}

/** The same for any command's schema. */
export function parseWith<T>(schema: z.ZodType<T>, given: Record<string, unknown>, command: string, prefix = "--"): T {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  const next = `see \`patchdrop ${command} --help\``;
  const faults = faultsOf(result.error, given, prefix, `must be an option of ${command}`);
  throw fault(
    "usage",
    faults.map((one) => ({ ...one, next })),
  );
}

/** What a schema found wrong in `given`, in words; `unknown` is the rule that a key broke which is not in the schema. */
export function faultsOf(error: z.ZodError, given: unknown, prefix: string, unknown: string): Fault[] {
  return error.issues.flatMap((issue) => {
    const place = issue.path.join(".");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        where: `${prefix}${[...issue.path, key].join(".")}`,
        rule: unknown,
        got: at(given, [...issue.path, key]),
      }));
    }
    const found = at(given, issue.path);
    return [{ where: `${prefix}${place}`, rule: ruleOf(issue, found), got: found ?? "nothing" }];
  });
}

function at(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((inner: unknown, key) => (inner as Record<PropertyKey, unknown> | undefined)?.[key], value);
}

const kinds: Record<string, string> = {
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  record: "keys with values",
  object: "keys with values",
};

/** What must hold, in words. */
function ruleOf(issue: z.core.$ZodIssue, given: unknown): string {
  if (issue.code === "invalid_key") return issue.issues[0].message;
  if (given === undefined) return "must be given";
  if (issue.code === "invalid_type") return `must be ${kinds[issue.expected] ?? issue.expected}`;
  if (issue.code === "too_small") return `must be ${issue.inclusive ? "at least" : "above"} ${issue.minimum}`;
  if (issue.code === "too_big") return `must be ${issue.inclusive ? "at most" : "below"} ${issue.maximum}`;
  if (issue.code === "invalid_value") return `must be one of ${issue.values.join(", ")}`;
  return issue.message;
}
