/**
 * The flags of each command with their defaults. Learning rates, batches, penalties, momentum, schedules and α are those of
 * docs/method.md, the choices of patches those of docs/budget.md. No page states the others (lengths of stages, --top,
 * --num_workers, …): they are listed by hand as the program has them, since users' scripts rely on them.
 */
import { expect, it } from "vitest";
import { type CommandName, schemaOf } from "../../src/options/command-schemas.ts";
import { modelDefaultsText } from "../../src/options/described-option.ts";

const model = [
  "--arch <speedrun|patches>",
  "--model <model>",
  "--variant <2019|2020>",
  "--img_size <n>",
  "--lr_size <n>",
  "--patch_size <n|WxH>",
];
/** Of a run that is there its patches are known. */
const trained = [...model, "--grid <CxR>"];
const device = ["--device <name> = cpu", "--precision <auto|fp32|bf16> = auto", "--threads <n>", "--torch <folder>"];
const dataset = "--dataset <synthetic|synthetic_bands|cifar10|cifar100|cifar100_coarse|csv|folder>";
/** Of commands that use the data of a run unless told otherwise. */
const files = ["--num_workers <n>", "--max_image_bytes <n>", "--bands <band,…>", "--scale <black,white>"];
const runData = ["--data_dir <folder>", dataset, "--skip_bad <n>", ...files];
const choice = ["--policy <threshold|topk|sample|calibrated>", "--budget <n>", "--threshold <n>", "--exit <n>"];
const plainChoice = ["--policy <threshold|topk|calibrated>", "--budget <n>", "--threshold <n>", "--exit <n>"];
const evaluation = ["--ckpt_lr_cl <run>", "--split <test|train|val> = test", "--seed <n>"];
const fill = "--fill <zero|lr>";

const everyStage = [
  ...[...trained, "--data_dir <folder>", dataset, "--download", "--skip_bad <n> = 0", ...files],
  ...["--cv_dir <folder> = runs/last", "--resume", "--wd <n> = 0", "--epoch_step <n> = 10000", "--clip <n>"],
  ...[
    "--seed <n> = 1",
    "--val_fraction <n> = 0",
    "--patience <n>",
    "--turns",
    "--no_cuda_graph",
    "--shards <n>",
    "--save_interval <n|Nm> = 10m",
    "--parallel",
    "--profile",
    ...device,
  ],
];
const policyStage = [
  ...["--alpha <n> = 0.8", "--beta <n> = 0", "--sigma <n> = 0.1"],
  ...[
    "--reward <quadratic|linear|priced> = quadratic",
    "--price <n> = 0.01",
    "--target_patches <n>",
    "--policy_head <mean|map>",
    fill,
  ],
  ...["--schedule <constant|multistep|step|onecycle|linear> = constant", "--max_epochs <n> = 100"],
];
const randomMasks = "--random_masks <n> = 0";
const finetuning = [
  "--estimator <self_critical|leave_one_out> = self_critical",
  ...["--classifier_bn <train|frozen> = train", "--policy_loss <mean|sum> = mean", randomMasks],
];

/** Which scenes, and which part of a list of them. */
const archive = [
  ...["--asset <key,…>", "--bbox <w,s,e,n>", "--datetime <from/to>", "--query <conditions>"],
  ...["--manifest <file>", "--shard <I/N>", "--requests <n>"],
];

const flags: Record<CommandName, readonly string[]> = {
  classifier_training: [
    ...[...everyStage, "--stream_id <HR|LR> = HR", "--pretrained <file>", randomMasks],
    ...["--momentum <n> = 0.9", "--label_smoothing <n> = 0", "--penalty <n> = 0"],
    ...["--optimizer <sgd|muon> = sgd", "--flips <random|alternating> = random", "--crop_padding <n> = 4"],
    ...["--batch_size <n> = 64", "--max_epochs <n> = 350", "--test_interval <n> = 10"],
    ...[
      "--lr <n> = 0.1; 0.0001 with R34_fMoW; 0.01 with EffLite0",
      "--schedule <constant|multistep|step|onecycle|linear> = multistep",
    ],
  ],
  pretrain: [
    ...[...everyStage, ...policyStage, "--ckpt_hr_cl <run> required", "--load <run>", "--no_curriculum"],
    ...["--estimator <self_critical|leave_one_out|values> = self_critical", "--rounds <n>", "--judge_epochs <n>"],
    ...["--penalty <n> = -0.5", "--batch_size <n> = 512; 1024 with R34_fMoW", "--test_interval <n> = 10"],
    "--lr <n> = 0.001",
  ],
  finetune: [
    ...[...everyStage, ...policyStage, ...finetuning, "--load <run> required", "--ckpt_hr_cl <run> required"],
    ...[
      "--penalty <n> = -5; -7 with R34_fMoW",
      "--batch_size <n> = 256",
      "--test_interval <n> = 5",
      "--lr <n> = 0.0001",
    ],
  ],
  finetune2stream: [
    ...[...everyStage, ...policyStage, ...finetuning, "--load <run> required", "--ckpt_lr_cl <run> required"],
    ...["--ckpt_hr_cl <run>", "--two_stream_mix <sum|share> = sum", "--penalty <n> = -5; -20 with R34_fMoW"],
    ...["--batch_size <n> = 256", "--test_interval <n> = 1", "--lr <n> = 0.0001"],
  ],
  eval: [
    ...["--load <run> required", ...choice, "--target_patches <n>", "--target_accuracy <n>", "--sweep"],
    ...[
      "--chart <file>",
      "--ckpt_hr_cl <run>",
      ...evaluation,
      ...model,
      ...runData,
      "--download",
      fill,
      "--tta",
      ...device,
    ],
  ],
  headroom: [
    ...[
      "--load <run> required",
      "--budgets <k,k,…>",
      "--split <test|train|val>",
      "--judge <run>",
      "--chart <file>",
      "--seed <n>",
    ],
    ...[...model, ...runData, "--download", fill, ...device],
  ],
  profile: ["--load <run> required", "--batch_size <n,n,…>", ...device],
  predict: [
    ...["--load <run> required", "--engine <libtorch|onnx> = libtorch", "--tta", "--out <file>", ...archive],
    "--format <jsonl|csv> = jsonl",
    ...[
      "--top <n> = 5",
      "--resume",
      "--overlay <folder>",
      "--masked <folder>",
      "--composite <band,…>",
      "--batch_size <n> = 64",
    ],
    ...[...files, ...plainChoice, fill, ...device],
  ],
  acquire: [
    ...[
      "--load <run> required",
      "--engine <libtorch|onnx> = libtorch",
      "--tta",
      "--out <folder> required",
      ...archive,
      "--bands <band,…>",
      "--scale <black,white>",
    ],
    ...["--low <image>", "--low_bands <band,…>", "--low_scale <black,white>", "--plan"],
    ...[
      "--allow_full_file",
      "--free_patches",
      ...["--whole_if_cheaper", "--budget_bytes <n>", "--budget_seconds <n>", "--budget_money <n>"],
      "--max_image_bytes <n>",
      "--max_pixels <n> = 2000000000",
      "--max_output_bytes <n> = 10000000000",
      "--max_file_bytes <n> = 10000000000",
      "--price_per_km2 <n>",
      "--min_area_km2 <n>",
      "--egress_per_gb <n>",
    ],
    ...["--top <n> = 5", "--batch_size <n> = 64", ...plainChoice, fill, ...device],
  ],
  export: [
    ...["--load <run> required", "--out <folder> required", "--batch_size <n>", "--images <n> = 8", ...model],
    ...["--data_dir <folder>", dataset, fill, "--tta", "--threads <n>", "--torch <folder>"],
  ],
  gather: ["--out <folder>"],
  order: [
    ...["--rules <file|name> required", "--price_per_km2 <n> required", "--price_per_order <n> = 0"],
    ...["--value_per_cell <n>", "--out <folder>"],
  ],
  demo: ["--port <n> = 4173"],
  report: [
    ...["--out <file> = report.html", "--title <text> = PatchDrop report", "--no_sweep", ...choice],
    ...[...evaluation, ...runData, "--composite <band,…>", ...device],
  ],
  run: [
    "--dry_run",
    "--out <folder>",
    "--data_dir <folder>",
    "--seed <n>",
    "--seeds <n,n,…>",
    "--threads <n>",
    "--torch <folder>",
    "--profile",
  ],
  quickstart: ["--out <folder> = runs/quickstart", "--seed <n>", "--threads <n>", "--torch <folder>", "--profile"],
  "data fmow": [
    ...["--input <folder> required", "--out <folder> required", "--num_workers <n> = 8", "--skip_bad <n> = 0"],
  ],
  "data split": ["--data_dir <folder> required", "--test_fraction <n> = 0.2"],
  "data check": [
    ...["--data_dir <folder> required", "--num_workers <n> = 8"],
    ...["--max_image_bytes <n>", "--bands <band,…>", "--scale <black,white>"],
  ],
  "data stats": [
    ...["--data_dir <folder>", "--num_workers <n> = 8"],
    ...["--max_image_bytes <n>", "--bands <band,…>", "--scale <black,white>", dataset],
  ],
};

it.each(Object.entries(flags) as [CommandName, string[]][])("%s", async (command, expected) => {
  const { describeOption } = await import("../../src/options/option.ts");
  const { shape } = await schemaOf(command);
  const found = Object.entries(shape).map(([name, entry]) => {
    const { type, placeholder, required, default: value, modelDefaults } = describeOption(entry);
    if (type === "switch") return value === true ? `--no_${name}` : `--${name}`;
    const byDefault = modelDefaults === undefined ? value : modelDefaultsText(modelDefaults);
    return `--${name} <${placeholder}>${required ? " required" : ""}${byDefault === undefined ? "" : ` = ${byDefault}`}`;
  });
  expect(found.sort()).toEqual([...expected].sort());
});
