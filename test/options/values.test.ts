/**
 * What each option takes and what it refuses, at its borders and in whole messages; an option has one meaning in every
 * command that has it, but for the few that name their command below. The limits are those of docs/method.md (α above ½, a
 * penalty of at most 0, sizes in pixels) and of what a number counts: a share lies from 0 to 1, a batch norm needs two images.
 */
import { describe, expect, it } from "vitest";
import { commandNames, schemaOf } from "../../src/options/command-schemas.ts";
import { needed, parsed, refusal } from "./commands.ts";

interface Values {
  readonly takes: readonly unknown[];
  /** Values with the rule that each breaks. */
  readonly refuses: readonly (readonly [unknown, string])[];
  /** What must be given beside it. */
  readonly beside?: Readonly<Record<string, unknown>>;
}

const whole = (minimum: number): Values => ({
  takes: [minimum, minimum + 1, 1e9],
  refuses: [
    [minimum - 1, `must be at least ${minimum}`],
    [minimum + 0.5, "must be a whole number"],
    ["x", "must be a number"],
  ],
});
const upTo = (maximum: number, { takes, refuses }: Values): Values => ({
  takes: [...takes.filter((value) => Number(value) <= maximum), maximum],
  refuses: [...refuses, [maximum + 1, `must be at most ${maximum}`]],
});
const from = (minimum: number): Values => ({
  takes: [minimum, minimum + 0.001, 1e9],
  refuses: [
    [minimum - 0.001, `must be at least ${minimum}`],
    ["x", "must be a number"],
  ],
});
const share: Values = {
  takes: [0, 0.5, 1],
  refuses: [
    [-0.001, "must be at least 0"],
    [1.001, "must be at most 1"],
    ["x", "must be a number"],
  ],
};
const positive: Values = {
  takes: [1e-9, 10],
  refuses: [
    [0, "must be above 0"],
    [-1, "must be above 0"],
    ["x", "must be a number"],
  ],
};
const text: Values = {
  takes: ["some words", "7"],
  refuses: [
    [7, "must be text"],
    ["", "must not be empty"],
  ],
};
const svg: Values = {
  takes: ["x.svg", "a/b.SVG"],
  refuses: ["x.png", "svg", ""].map((name) => [name, "must end in .svg, as the chart is one"] as const),
};
const page: Values = {
  takes: ["x.html", "a/b.HTML"],
  refuses: ["runs/hr/metrics.jsonl", "photo.png", "html", ""].map(
    (name) => [name, "must end in .html, as the page is one"] as const,
  ),
};
const onOff: Values = {
  takes: [true, false],
  refuses: [
    ["yes", "must be true or false"],
    [1, "must be true or false"],
  ],
};
const oneOf = (...names: string[]): Values => ({
  takes: names,
  refuses: [
    ["", `must be one of ${names.join(", ")}`],
    [names[0].toUpperCase().concat("s"), `must be one of ${names.join(", ")}`],
  ],
});

const notPatchSize = "must be a whole number of pixels above 0, or width x height such as 28x56";
const notSaveInterval = "must be a number of steps above 0, or of minutes such as 30m";
const notBudgets = "must be numbers of patches above 0, each once, such as 2,4,8";
const notSeeds = "must be two seeds or more, each once, such as 1,2,3";
const notDevice = "must be cpu, cuda or cuda:N";
const notBands = "must be 1 to 16 bands, by their numbers counted from 1, or by their names, such as 3,2,1 or red,nir";
const notComposite = "must be one band or three, by number or by name, such as nir,red,green";
const composite = {
  takes: [[3, 2, 1], ["nir"], ["nir", "red", "green"]],
  refuses: [
    ["red,green", notComposite],
    ["1,2,3,4", notComposite],
    ["3,2,0", notBands],
  ] as const,
};
const notScale = "must be the values of black and white, such as 0,3000";

/** By option, or by command and option where a command differs. */
const bandLists: Values = {
  takes: [[3, 2, 1], [8], ["red", "nir"], ["red", 8], Array(16).fill(1)],
  refuses: [
    ...["3,2,0", "03,2,1", "3,2,1000", "3,", "", "3x,2,1", "red,,nir", "1".padEnd(33, ",1")],
    ...[[], [3, 2, 0], [3, 2, 1000], [3, 2, 1.5], ["3", "2", "1"], ["a,b"], 321, [1, 2, Number.NaN], Array(17).fill(1)],
  ].map((bands) => [bands, notBands] as const),
};
const scalePairs: Values = {
  takes: [[0, 3000]],
  refuses: [
    ...[
      ...["0", "0,1,2", "0,", ",1", "0,1.", "a,b", "--1,2", "x0,1", "0,1x", "0,.5"],
      ...["0,1e", "0,1e999", [0], [0, 1, 2], ["0", "1"], 5, [0, Number.NaN], [0, Number.POSITIVE_INFINITY]],
    ].map((scale) => [scale, notScale] as const),
    ["5,5.0", "must be two values that differ, such as 0,3000"],
    [[5, 5], "must be two values that differ, such as 0,3000"],
  ],
};

const values: Readonly<Record<string, Values>> = {
  // Which model.
  model: text,
  variant: oneOf("2019", "2020"),
  arch: oneOf("speedrun", "patches"),
  tta: onOff,
  img_size: whole(1),
  lr_size: whole(1),
  patch_size: {
    takes: [1, 28, "28x56", "1x1"],
    refuses: [
      [0, "must be above 0"],
      ...["0x56", "56x0", "-28x56"].map((size) => [size, "must have a width and a height above 0"] as const),
      ...[7.5, "28", "28x", "28x56x3"].map((size) => [size, notPatchSize] as const),
    ],
  },
  grid: {
    takes: ["3x5", "1x1", "999x2"],
    refuses: ["0x3", "3x0", "3", "3x5x7", "x5", "1000x1", "", 4].map((grid) => [
      grid,
      "must be columns x rows, such as 3x5",
    ]),
  },
  // Which data.
  data_dir: text,
  dataset: oneOf("synthetic", "synthetic_bands", "cifar10", "cifar100", "cifar100_coarse", "csv", "folder"),
  download: onOff,
  skip_bad: whole(0),
  num_workers: upTo(1024, whole(0)),
  max_image_bytes: whole(1),
  budgets: {
    takes: [],
    refuses: ["0", "2,", "2,4,4", "2.5", "a"].map((list) => [list, notBudgets] as const),
  },
  split: oneOf("test", "train", "val"),
  // How long and how fast is learned.
  cv_dir: text,
  resume: { ...onOff, takes: [false] },
  "predict resume": { ...onOff, beside: { out: "lines.jsonl" } },
  batch_size: whole(2),
  "predict batch_size": whole(1),
  max_pixels: whole(1),
  max_output_bytes: whole(1),
  max_file_bytes: whole(1),
  "acquire batch_size": whole(1),
  "export batch_size": whole(1),
  "profile batch_size": {
    takes: [],
    refuses: ["0", "1,1", "1;2", "1,x", "-1", ""].map((sizes) => [
      sizes,
      "must be numbers of images of 1 to 4096, each once, such as 1,64",
    ]),
  },
  max_epochs: whole(1),
  patience: whole(1),
  test_interval: whole(1),
  save_interval: {
    takes: [1, 500, "1m", "30m"],
    refuses: [0, 2.5, "0m", "m", "30", "30s", "1.5m"].map((interval) => [interval, notSaveInterval] as const),
  },
  lr: positive,
  wd: from(0),
  schedule: oneOf("constant", "multistep", "step", "onecycle", "linear"),
  epoch_step: whole(1),
  clip: positive,
  seed: whole(0),
  seeds: {
    takes: [],
    refuses: ["1", "1,1", "1,2,1", "1,", "1,-2", "1,2.5", "1,02", "1,9007199254740992", "a"].map(
      (list) => [list, notSeeds] as const,
    ),
  },
  dry_run: onOff,
  turns: onOff,
  cuda_graph: onOff,
  shards: {
    takes: [2, 4, 64],
    refuses: [
      [1, "must be at least 2"],
      [2.5, "must be a whole number"],
      [6, "must be a power of two"],
    ],
  },
  parallel: onOff,
  profile: onOff,
  stream_id: oneOf("HR", "LR"),
  pretrained: text,
  optimizer: oneOf("sgd", "muon"),
  momentum: share,
  flips: oneOf("random", "alternating"),
  crop_padding: upTo(4, whole(0)),
  label_smoothing: share,
  random_masks: share,
  val_fraction: {
    takes: [0, 0.5],
    refuses: [
      [-0.001, "must be at least 0"],
      [0.501, "must be at most 0.5"],
    ],
  },
  // Where is computed.
  device: {
    takes: ["cpu", "cuda", "cuda:0", "cuda:12"],
    refuses: ["gpu", "cpus", "acpu", "cuda:", "cuda:x", "cuda:1x", "cuda0"].map((name) => [name, notDevice] as const),
  },
  precision: oneOf("auto", "fp32", "bf16"),
  threads: upTo(1024, whole(1)),
  torch: text,
  // What the policy learns from.
  alpha: {
    takes: [0.501, 1],
    refuses: [
      [0.5, "must be above 0.5, at which every probability is ½ and nothing is learned"],
      [1.001, "must be at most 1"],
    ],
  },
  beta: from(0),
  sigma: { takes: [-3, 0, 3], refuses: [["x", "must be a number"]] },
  penalty: {
    takes: [0, -0.001, -20],
    refuses: [
      [0.001, "must be at most 0"],
      ["x", "must be a number"],
    ],
  },
  estimator: oneOf("self_critical", "leave_one_out"),
  "pretrain estimator": oneOf("self_critical", "leave_one_out", "values"),
  rounds: whole(1),
  judge_epochs: { ...whole(1), beside: { estimator: "values" } },
  reward: oneOf("quadratic", "linear", "priced"),
  price: { ...from(0), beside: { reward: "priced" } },
  policy_head: oneOf("mean", "map"),
  fill: oneOf("zero", "lr"),
  curriculum: onOff,
  classifier_bn: oneOf("train", "frozen"),
  policy_loss: oneOf("mean", "sum"),
  two_stream_mix: oneOf("sum", "share"),
  load: text,
  ckpt_hr_cl: text,
  ckpt_lr_cl: text,
  // Which patches are taken.
  policy: oneOf("threshold", "topk", "sample", "calibrated"),
  "predict policy": oneOf("threshold", "topk", "calibrated"),
  "acquire policy": oneOf("threshold", "topk", "calibrated"),
  budget: whole(0),
  threshold: share,
  exit: {
    takes: [0.001, 0.95, 1],
    refuses: [
      [0, "must be above 0"],
      [1.001, "must be at most 1"],
      ["x", "must be a number"],
    ],
  },
  target_patches: positive,
  test_fraction: {
    takes: [0.001, 0.999],
    refuses: [
      [0, "must be above 0"],
      [1, "must be below 1"],
    ],
  },
  "eval target_patches": from(0),
  target_accuracy: share,
  sweep: onOff,
  judge: text,
  "headroom chart": svg,
  chart: { ...svg, beside: { sweep: true } },
  // What is written, and how.
  out: text,
  "report out": page,
  engine: oneOf("libtorch", "onnx"),
  format: oneOf("jsonl", "csv"),
  top: whole(1),
  overlay: text,
  masked: text,
  images: whole(1),
  title: text,
  // Scenes, and images of any bands and values. A file of options has lists.
  manifest: text,
  "predict manifest": { ...text, beside: { out: "shards" } },
  shard: {
    takes: ["0/1", "99/100"],
    refuses: ["1", "1/0", "-1/2", "1/2/3", "a/b", "1.5/2", ""].map((shard) => [
      shard,
      "must be I/N, the I-th of N parts, from 0",
    ]),
    beside: { manifest: "list.jsonl", out: "shards" },
  },
  requests: { ...upTo(1000, whole(1)), beside: { manifest: "list.jsonl", out: "shards" } },
  asset: {
    takes: [],
    refuses: [
      ["red,,nir", "must be 1 to 16 assets with commas between them, such as red,green,blue,nir"],
      ["", "must be 1 to 16 assets with commas between them, such as red,green,blue,nir"],
      [7, "must be text"],
    ],
  },
  bbox: {
    takes: [],
    refuses: [
      ["1,2,3", "must be west,south,east,north in degrees, such as 170,-20,-170,10"],
      ["0,10,1,5", "must be west,south,east,north in degrees, such as 170,-20,-170,10"],
      ["0,0,181,5", "must be west,south,east,north in degrees, such as 170,-20,-170,10"],
    ],
  },
  datetime: {
    takes: [],
    refuses: [
      ["2024", "must be a time or two with / between them, such as 2024-01-01/2024-06-30 or ../2024-06-30"],
      ["../..", "must be a time or two with / between them, such as 2024-01-01/2024-06-30 or ../2024-06-30"],
    ],
  },
  query: {
    takes: [],
    refuses: [
      ["cloudy", "must be conditions with commas between them, such as eo:cloud_cover<20,platform=sentinel-2a"],
      ["a<1,,b>2", "must be conditions with commas between them, such as eo:cloud_cover<20,platform=sentinel-2a"],
    ],
  },
  bands: bandLists,
  composite,
  "predict composite": { ...composite, beside: { overlay: "seen" } },
  scale: scalePairs,
  low: text,
  low_bands: { ...bandLists, beside: { low: "low.tif" } },
  low_scale: { ...scalePairs, beside: { low: "low.tif" } },
  plan: { ...onOff, beside: { low: "low.tif" } },
  allow_full_file: onOff,
  free_patches: onOff,
  whole_if_cheaper: onOff,
  budget_bytes: whole(1),
  budget_seconds: {
    takes: [0.5, 60],
    refuses: [
      [0, "must be above 0"],
      [-1, "must be above 0"],
    ],
  },
  budget_money: {
    takes: [0.5, 60],
    refuses: [
      [0, "must be above 0"],
      [-1, "must be above 0"],
    ],
    beside: { egress_per_gb: 0.09 },
  },
  price_per_km2: from(0),
  price_per_order: from(0),
  value_per_cell: from(0),
  rules: { takes: ["single-999", "rules.json"], refuses: [["", "must not be empty"]] },
  min_area_km2: { ...from(0), beside: { price_per_km2: 12 } },
  egress_per_gb: from(0),
  // Folders of images.
  input: text,
  "data fmow num_workers": upTo(1024, whole(1)),
  "data check num_workers": upTo(1024, whole(1)),
  "data stats num_workers": upTo(1024, whole(1)),
  port: {
    takes: [0, 4173, 65_535],
    refuses: [
      [-1, "must be at least 0"],
      [65_536, "must be at most 65535"],
      [80.5, "must be a whole number"],
    ],
  },
};

/** What predict takes with a list alone. */
const ofList = ["asset", "bbox", "datetime", "query"];

describe.each(commandNames)("%s", (command) => {
  const valuesOf = (name: string): Values => {
    const own = values[`${command} ${name}`] ?? values[name];
    const needsList = command === "predict" && ofList.includes(name);
    return needsList ? { ...own, beside: { manifest: "list.jsonl", out: "shards" } } : own;
  };
  const names = async () => Object.keys((await schemaOf(command)).shape);

  it("takes what it should", async () => {
    for (const name of await names()) {
      const { takes, beside } = valuesOf(name);
      for (const value of takes) {
        expect(await parsed(command, { ...beside, [name]: value }), name).toMatchObject({ [name]: value });
      }
    }
  });

  it("refuses what it should, in whole messages", async () => {
    for (const name of await names()) {
      const { refuses, beside } = valuesOf(name);
      for (const [value, rule] of refuses) {
        const message = `usage: --${name}: ${rule}, got ${value === "" ? `""` : value}; see \`patchdrop ${command} --help\``;
        expect(await refusal(() => parsed(command, { ...beside, [name]: value }))).toBe(message);
      }
    }
  });

  it("says what it needs", async () => {
    const given = Object.fromEntries(Object.keys(needed[command]).map((name) => [name, undefined]));
    const said = await refusal(() => parsed(command, given));
    const lines = said?.replace("usage: ", "").split("\n") ?? [];
    const expected = Object.keys(given).map((name) => `--${name}: must be given; see \`patchdrop ${command} --help\``);
    expect(lines.sort()).toEqual(expected.sort());
  });

  it("has no option but its own", async () => {
    const next =
      "budget" in (await schemaOf(command)).shape ? "did you mean budget?" : `see \`patchdrop ${command} --help\``;
    const message = `usage: --bugdet: must be an option of ${command}, got 4; ${next}`;
    expect(await refusal(() => parsed(command, { bugdet: 4 }))).toBe(message);
  });
});

it("every option has its values here, and every value an option", async () => {
  const names = await Promise.all(commandNames.map(async (command) => Object.keys((await schemaOf(command)).shape)));
  const plain = Object.keys(values).filter((name) => !name.includes(" "));
  expect(plain.sort()).toEqual([...new Set(names.flat())].sort());
});

it("bands, scale, budgets, sizes of batches and seeds are read as numbers", async () => {
  expect(await parsed("run", { seeds: "3,0,12" })).toMatchObject({ seeds: [3, 0, 12] });
  expect(await parsed("headroom", { budgets: "2,4,16" })).toMatchObject({ budgets: [2, 4, 16] });
  expect(await parsed("headroom", { budgets: "8" })).toMatchObject({ budgets: [8] });
  expect(await parsed("profile", { batch_size: "64,1" })).toMatchObject({ batch_size: [64, 1] });
  expect(await parsed("acquire", { bands: "3,2,1", scale: "0,3000" })).toMatchObject({
    bands: [3, 2, 1],
    scale: [0, 3000],
  });
  expect(await parsed("acquire", { bands: "120,999,10", scale: "-10.25,-0.75" })).toMatchObject({
    bands: [120, 999, 10],
    scale: [-10.25, -0.75],
  });
  expect(
    await parsed("acquire", {
      bbox: "170,-20.5,-170,10",
      datetime: "../2024-06-30",
      query: "a>=1,b!=c",
      asset: "red,B08",
    }),
  ).toMatchObject({
    bbox: [170, -20.5, -170, 10],
    datetime: { from: Number.NEGATIVE_INFINITY, to: Date.parse("2024-06-30T23:59:59.999Z") },
    asset: ["red", "B08"],
    query: [
      { property: "a", comparison: ">=", value: 1 },
      { property: "b", comparison: "!=", value: "c" },
    ],
  });
  expect(await parsed("acquire", { scale: "255,0" })).toMatchObject({ scale: [255, 0] });
  expect(await parsed("predict", { bands: "8,3,2", scale: "0,0.5" })).toMatchObject({
    bands: [8, 3, 2],
    scale: [0, 0.5],
  });
  // As JSON has small numbers, and so a run that is resumed.
  expect(await parsed("eval", { scale: [0, 1e-7] })).toMatchObject({ scale: [0, 1e-7] });
});
