/** What goes wrong at the command line: exit code, one line a fault that says what to do, and nothing damaged. */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { asFloat32 } from "../../src/formats/safetensors.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { schemas, stageNames } from "../../src/options/stage-options.ts";
import { makeImageFolder } from "./images.ts";
import {
  type Ended,
  patchdrop,
  quickTraining,
  runTimeoutMs,
  shellCommand,
  shellEnvironment,
  start,
  succeed,
  until,
} from "./program.ts";
import { linked, tensorFiles } from "./runs.ts";

let folder: string;
let data: string;
const at = (...names: string[]) => join(folder, ...names);
const quick = quickTraining(1);

/** A classifier run of one epoch on three classes, for the tests that need one. */
const hr = () => at("hr");

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-errors-"));
  data = await makeImageFolder(at("data"), { classes: 3, train: 4, test: 2 });
  await makeImageFolder(at("two-classes"), { classes: 2, train: 4, test: 2 });
  await succeed(["classifier_training", ...quick, "--data_dir", data, "--cv_dir", hr()]);
}, runTimeoutMs);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Expects the exit code, nothing on stdout, and exactly these lines on stderr, each behind "error: ". */
function expectError({ code, stdout, stderr }: Ended, expectedCode: number, ...lines: (string | RegExp)[]): void {
  const said = stderr
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^error: /, ""));
  expect({ code, stdout, lines: said }).toEqual({
    code: expectedCode,
    stdout: "",
    lines: lines.map((line) => (typeof line === "string" ? line : expect.stringMatching(line))),
  });
  expect(stderr.startsWith("error: ")).toBe(true);
}

describe("usage", () => {
  const help = (stage: string) => `see \`patchdrop ${stage} --help\``;

  it.each<[string, string[], (string | RegExp)[]]>([
    ["an unknown flag", ["pretrain", "--frobnicate", "1"], [`unknown option '--frobnicate'; ${help("pretrain")}`]],
    [
      "a misspelt flag",
      ["pretrain", "--batch_sise", "8"],
      [`unknown option '--batch_sise' (did you mean --batch_size?); ${help("pretrain")}`],
    ],
    [
      "a misspelt flag with hyphens",
      ["pretrain", "--bach-size", "8"],
      [`unknown option '--bach-size' (did you mean --batch_size?); ${help("pretrain")}`],
    ],
    [
      "a misspelt flag of a stage in `run`",
      ["run", "x.yaml", "--alpa", "1"],
      [`unknown option '--alpa' (did you mean --alpha?); ${help("run")}`],
    ],
    ["a flag without its value", ["pretrain", "--lr"], [`option '--lr <n>' argument missing; ${help("pretrain")}`]],
    [
      "acquire of nothing",
      ["acquire", "--load", "hr", "--out", "out"],
      [`image: must be given, or --manifest, or --low COARSE --plan; ${help("acquire")}`],
    ],
    [
      "a plan that names an image, or has nothing to look at",
      ["acquire", "scene.tif", "--load", "hr", "--out", "out", "--plan", "--low_bands", "1"],
      [
        `--low_bands: needs --low, the image that it is for, got 1; ${help("acquire")}`,
        `--plan: needs --low, the image that is looked at; ${help("acquire")}`,
      ],
    ],
    ["an argument too many", ["eval", "runs/hr"], [`too many arguments, got runs/hr; ${help("eval")}`]],
    [
      "a batch of 1",
      ["classifier_training", "--batch-size", "1"],
      ["--batch_size: must be at least 2, got 1; see `patchdrop classifier_training --help`"],
    ],
    ["eval without --load", ["eval"], ["--load: must be given; see `patchdrop eval --help`"]],
    ["run without a file", ["run"], [`missing required argument 'config'; ${help("run")}`]],
    ...[["pretrian"], ["pretrian", "--help"], ["help", "pretrian"], ["pretrian", "--data-dir", "x", "-h"]].map(
      (args): [string, string[], string[]] => [
        `a misspelt command in \`${args.join(" ")}\``,
        args,
        ["unknown command 'pretrian' (did you mean pretrain?); see `patchdrop --help`"],
      ],
    ),
    [
      "a misspelt subcommand's help",
      ["data", "fmwo", "--help"],
      [`unknown command 'fmwo' (did you mean fmow?); ${help("data")}`],
    ],
    [
      "a seed and threads of quickstart as it does those of a stage",
      ["quickstart", "--seed", "-1", "--threads", "abc"],
      [
        `--seed: must be at least 0, got -1; ${help("quickstart")}`,
        `--threads: must be a number, got abc; ${help("quickstart")}`,
      ],
    ],
    ...[
      [["--seeds", "1"], "must be two seeds or more, each once, such as 1,2,3, got 1"],
      [["--seeds", "1,1"], "must be two seeds or more, each once, such as 1,2,3, got 1,1"],
      [["--seeds", "1,2", "--seed", "3"], "can't be combined with --seed, got 1,2"],
    ].map(([args, rule]): [string, string[], string[]] => [
      `run's seeds \`${[args].flat().join(" ")}\``,
      ["run", "x.yaml", ...[args].flat()],
      [`--seeds: ${rule}; ${help("run")}`],
    ]),
    ["those of run", ["run", "x.yaml", "--seed", "1.5"], [`--seed: must be a whole number, got 1.5; ${help("run")}`]],
    [
      "data fmow's flags in the same way",
      ["data", "fmow", "--out", "x", "--num_workers", "0", "--skip-bad", "-1"],
      [
        `--input: must be given; ${help("data fmow")}`,
        `--num_workers: must be at least 1, got 0; ${help("data fmow")}`,
        `--skip_bad: must be at least 0, got -1; ${help("data fmow")}`,
      ],
    ],
    ["data check without its folder", ["data", "check"], [`--data_dir: must be given; ${help("data check")}`]],
    [
      "several values out of range, all together",
      [
        "pretrain",
        "--batch_size",
        "1",
        "--max_epochs",
        "1.5",
        "--lr",
        "-1",
        "--seed",
        "abc",
        "--precision",
        "fp64",
        "--alpha",
        "0.2",
        "--penalty",
        "3",
      ],
      [
        `--batch_size: must be at least 2, got 1; ${help("pretrain")}`,
        `--max_epochs: must be a whole number, got 1.5; ${help("pretrain")}`,
        `--lr: must be above 0, got -1; ${help("pretrain")}`,
        `--seed: must be a number, got abc; ${help("pretrain")}`,
        `--precision: must be one of auto, fp32, bf16, got fp64; ${help("pretrain")}`,
        `--alpha: must be above 0.5, at which every probability is ½ and nothing is learned, got 0.2; ${help("pretrain")}`,
        `--ckpt_hr_cl: must be given; ${help("pretrain")}`,
        `--penalty: must be at most 0, got 3; ${help("pretrain")}`,
      ],
    ],
    [
      "an unknown device",
      ["classifier_training", "--device", "tpu"],
      [`--device: must be cpu, cuda or cuda:N, got tpu; ${help("classifier_training")}`],
    ],
    [
      "an unknown model",
      ["classifier_training", "--model", "R50"],
      [/^--model: must be one of R32_C10, R32_C100, .*, got R50/],
    ],
  ])(
    "refuses %s",
    async (_, args, lines) => {
      expectError(await patchdrop(args), 2, ...lines);
    },
    runTimeoutMs,
  );

  it.each<[stage: string, flag: string, given: () => string[]]>([
    ["classifier_training", "--data_dir", () => ["--model", "R32_C10"]],
    ["pretrain", "--ckpt_hr_cl", () => ["--data_dir", data]],
    ["finetune", "--load", () => ["--data_dir", data, "--ckpt_hr_cl", hr()]],
    ["finetune", "--ckpt_hr_cl", () => ["--data_dir", data, "--load", hr()]],
    ["finetune2stream", "--load", () => ["--data_dir", data, "--ckpt_lr_cl", hr()]],
    ["finetune2stream", "--ckpt_lr_cl", () => ["--data_dir", data, "--load", hr()]],
  ])(
    "of %s without %s says that it must be given",
    async (stage, flag, given) => {
      const ended = await patchdrop([stage, ...quick, ...given(), "--cv_dir", at("never-started")]);
      expectError(
        ended,
        2,
        flag === "--data_dir" ? /^--data_dir: must name / : `${flag}: must be given; ${help(stage)}`,
      );
      expect(existsSync(at("never-started"))).toBe(false);
    },
    runTimeoutMs,
  );

  it(
    "prints help on stderr and exits with 2 without a command",
    async () => {
      const { code, stdout, stderr } = await patchdrop([]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
      expect(stderr).toContain("Usage: patchdrop [options] [command]");
    },
    runTimeoutMs,
  );

  it(
    "prints the stack with --debug, before or behind the command",
    async () => {
      for (const args of [
        ["--debug", "eval", "--load", at("no")],
        ["eval", "--load", at("no"), "--debug"],
      ]) {
        const { code, stderr } = await patchdrop(args);
        expect(code).toBe(3);
        expect(stderr).toMatch(/^error: .*\/no: does not exist; .*\nPatchDropError: [^\n]*\n {4}at /);
      }
    },
    runTimeoutMs,
  );
});

describe("--help", () => {
  const commands = [...stageNames, "eval", "report", "run", "quickstart", "models", "setup", "doctor"];

  it.each(commands)(
    "of %s fits 80 columns, and shows each flag and at least two examples",
    async (command) => {
      const { code, stdout, stderr } = await patchdrop([command, "--help"]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain(`Usage: patchdrop ${command} [options]`);
      const examples = stdout.slice(stdout.indexOf("\nExamples:\n")).match(/^ {2}patchdrop /gm) ?? [];
      expect(examples.length).toBeGreaterThanOrEqual(2);
      const prose = stdout.slice(0, stdout.indexOf("\nExamples:\n")).split("\n");
      expect(prose.filter((line) => line.length > 80)).toEqual([]);
      if (!(command in schemas)) return;
      const { shape } = schemas[command as keyof typeof schemas];
      for (const [name, entry] of Object.entries(shape)) {
        const flag = new RegExp(`^(${name}|no_${name})\\b`);
        const entries = stdout.split(/^ {2}(?:--|-h)/m).map((text) => text.trim().replace(/\s+/g, " "));
        const shown = entries.find((one) => flag.test(one)) ?? "";
        expect(shown, name).not.toBe("");
        expect(/\((.*; )?required\)$/.test(shown), name).toBe(!entry.safeParse(undefined).success);
        const value = entry.safeParse(undefined);
        // Switches that are off do not say so, and `--no_…` says that it turns something off.
        if (value.success && typeof value.data !== "boolean" && value.data !== undefined) {
          expect(shown, name).toMatch(/default: \S+\)$/);
          expect(shown, name).toContain(`default: ${value.data})`);
        }
      }
    },
    runTimeoutMs,
  );

  it.each<[command: string, flag: string, shown: string]>([
    ["classifier_training", "lr", "0.1; 0.0001 with R34_fMoW; 0.01 with EffLite0"],
    ["pretrain", "batch_size", "512; 1024 with R34_fMoW"],
    ["finetune", "penalty", "-5; -7 with R34_fMoW"],
    ["finetune2stream", "penalty", "-5; -20 with R34_fMoW"],
  ])(
    "of %s shows the defaults of --%s by model",
    async (command, flag, shown) => {
      const { stdout } = await patchdrop([command, "--help"]);
      const words = stdout.slice(stdout.indexOf(`  --${flag} <n> `)).replace(/\s+/g, " ");
      const [first] = /\(default: [^)]*\)/.exec(words) ?? [];
      expect(first).toBe(`(default: ${shown})`);
    },
    runTimeoutMs,
  );

  it(
    "is what `help` and `help COMMAND` print",
    async () => {
      for (const words of [[], ["pretrain"], ["data"], ["data", "fmow"]]) {
        expect(await patchdrop(["help", ...words])).toEqual(await patchdrop([...words, "--help"]));
      }
    },
    runTimeoutMs,
  );

  it(
    "lists every command",
    async () => {
      const { code, stdout } = await patchdrop(["--help"]);
      expect(code).toBe(0);
      for (const command of [...commands, "help"]) expect(stdout).toMatch(new RegExp(`^ {2}${command} `, "m"));
    },
    runTimeoutMs,
  );

  it(
    "--version prints the version alone",
    async () => {
      const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
      expect(await patchdrop(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
    },
    runTimeoutMs,
  );
});

describe("libtorch", () => {
  it(
    "that --torch names must be there",
    async () => {
      const ended = await patchdrop(["classifier_training", ...quick, "--data_dir", data, "--torch", "/nonexistent"]);
      expectError(
        ended,
        3,
        /^--torch: must be a folder with PyTorch's or LibTorch's libraries, but \/nonexistent .*; correct the path, or leave --torch out and run `patchdrop setup`$/,
      );
    },
    runTimeoutMs,
  );

  const { cuda } = findLibtorch();
  it.skipIf(cuda)(
    "without CUDA cannot serve --device cuda (skipped where it has CUDA)",
    async () => {
      const ended = await patchdrop(["classifier_training", ...quick, "--data_dir", data, "--device", "cuda"]);
      expectError(
        ended,
        3,
        /^--device: needs a libtorch with CUDA, got cuda, but .* has none; run `patchdrop setup --cuda`, or use --device cpu$/,
      );
    },
    runTimeoutMs,
  );
});

describe("data", () => {
  const train = (place: string, ...more: string[]) =>
    patchdrop(["classifier_training", ...quick, "--data_dir", place, "--cv_dir", at("never"), ...more]);
  const copy = (name: string): string => {
    cpSync(data, at(name), { recursive: true });
    return at(name);
  };
  afterAll(() => expect(existsSync(at("never"))).toBe(false));

  it(
    "folder that is missing",
    async () => {
      expectError(
        await train(at("nothing")),
        3,
        `${at("nothing")}: must be a folder that can be read, got no such folder; check --data_dir`,
      );
    },
    runTimeoutMs,
  );

  it(
    "folder that is empty",
    async () => {
      mkdirSync(at("empty"));
      expectError(
        await train(at("empty")),
        3,
        /empty: must hold CIFAR-10 \(cifar-10-.*\) or class folders \(train\/<class>\/\); check --data_dir, or use --dataset synthetic$/,
      );
    },
    runTimeoutMs,
  );

  it(
    "with classes that are empty, or in one split only",
    async () => {
      const place = copy("empty-class");
      rmSync(join(place, "test", "class1"), { recursive: true });
      expectError(
        await train(place),
        3,
        `${join(place, "test")}: train and test must have the same classes, got no folder for class1; add images of it, or name all in train.csv and test.csv with a classes.txt, where a split may lack a class`,
      );
      mkdirSync(join(place, "test", "class1"));
      expectError(
        await train(place),
        3,
        new RegExp(
          `^${join(place, "test", "class1")}: must hold at least one image \\(\\.jpg, .*\\), got 0 other files or folders; add images of it, .*$`,
        ),
      );
    },
    runTimeoutMs,
  );

  it(
    "with text named .jpg and an empty file, all of them named",
    async () => {
      const place = copy("text");
      writeFileSync(join(place, "train", "class0", "a.jpg"), "not an image");
      writeFileSync(join(place, "train", "class1", "b.png"), "");
      expectError(
        await train(place),
        3,
        new RegExp(
          `^${join(place, "train", "class0", "a.jpg")}: must be a whole image, got not JPEG, PNG, WebP or TIFF, since it begins with not an image; .*$`,
        ),
        new RegExp(
          `^${join(place, "train", "class1", "b.png")}: must be a whole image, got an empty file; 2 in all, --skip[-_]bad allows 0: .*`,
        ),
      );
      const { code, stderr } = await patchdrop([
        "classifier_training",
        ...quick,
        "--data_dir",
        place,
        "--cv_dir",
        at("skipped"),
        "--skip-bad",
        "2",
      ]);
      expect(code).toBe(0);
      expect(stderr).toMatch(/^skipped .*a\.jpg: .*\nskipped .*b\.png: an empty file\nepoch 1\/1: /);
    },
    2 * runTimeoutMs,
  );
});

describe("checkpoints", () => {
  const pretrain = (checkpoint: string, ...more: string[]) =>
    patchdrop([
      "pretrain",
      ...quick,
      "--data_dir",
      data,
      "--ckpt_hr_cl",
      checkpoint,
      "--cv_dir",
      at("never-pretrained"),
      ...more,
    ]);
  afterAll(() => expect(existsSync(at("never-pretrained"))).toBe(false));

  it(
    "that do not exist, or are something else",
    async () => {
      const next = "give the --cv_dir of a run or one of its checkpoints";
      expectError(await patchdrop(["eval", "--load", at("nothing")]), 3, `${at("nothing")}: does not exist; ${next}`);
      expectError(
        await patchdrop(["eval", "--load", data]),
        3,
        new RegExp(`^${data}: is neither a run folder .* nor a checkpoint .*; ${next}$`),
      );
    },
    runTimeoutMs,
  );

  it(
    "of another model",
    async () => {
      const ended = await pretrain(hr(), "--model", "R32_C10");
      const rule = "must be for the model R32_C10 2019 at 32 pixels, got R8_Scenes 2019 at 32 pixels";
      expectError(ended, 3, `--ckpt_hr_cl ${hr()}: ${rule}; give the same --model, --variant, --arch and sizes`);
    },
    runTimeoutMs,
  );

  it(
    "of another number of classes, in words",
    async () => {
      const ended = await patchdrop(["eval", "--load", hr(), "--data_dir", at("two-classes")]);
      const rule = "must know the 2 classes of two-classes and no others, got 3, with class2";
      const next = "give the data that the run was trained on, or train a classifier on these";
      expectError(ended, 3, `${hr()}: ${rule}; ${next}`);
    },
    runTimeoutMs,
  );

  it(
    "that lack the network",
    async () => {
      const ended = await patchdrop([
        "finetune",
        ...quick,
        "--data_dir",
        data,
        "--load",
        hr(),
        "--ckpt_hr_cl",
        hr(),
        "--cv_dir",
        at("never-pretrained"),
      ]);
      expectError(
        ended,
        3,
        /--load \S+: must hold the network agent, got resnet_hr; give a checkpoint of a stage that trains it$/,
      );
    },
    runTimeoutMs,
  );
});

describe("run folders", () => {
  const train = (...more: string[]) =>
    patchdrop(["classifier_training", ...quick, "--data_dir", data, "--cv_dir", hr(), ...more]);

  it(
    "that hold a run are not overwritten",
    async () => {
      const before = tensorFiles(join(hr(), "last"));
      expectError(
        await train(),
        8,
        `${hr()}: the folder must be new or empty; it holds a run, which is never overwritten; continue it with --resume, or give another folder (--cv_dir; of patchdrop run: --out)`,
      );
      expect(tensorFiles(join(hr(), "last"))).toEqual(before);
    },
    runTimeoutMs,
  );

  it(
    "are resumed with their own options only: each that differs is named, old → new",
    async () => {
      const ended = await train("--resume", "--lr", "0.5", "--batch_size", "4", "--num_workers", "1");
      expectError(
        ended,
        8,
        `${hr()}: must be resumed with its own options and data; give the old values, or start another run in another folder (--cv_dir; of patchdrop run: --out)`,
        "  batch_size: 8 → 4",
        "  lr: 0.1 → 0.5",
      );
    },
    runTimeoutMs,
  );

  it(
    "that hold no run cannot be resumed",
    async () => {
      const ended = await patchdrop([
        "classifier_training",
        ...quick,
        "--data_dir",
        data,
        "--cv_dir",
        at("none"),
        "--resume",
      ]);
      expectError(
        ended,
        3,
        /none: there is no run to resume \(no config\.json\); leave out --resume to start one, or give the --cv_dir of a run$/,
      );
      expect(existsSync(at("none"))).toBe(false);
    },
    runTimeoutMs,
  );

  it(
    "belong to one process at a time",
    async () => {
      const run = at("busy");
      const args = ["classifier_training", ...quick, "--max_epochs", "100000", "--data_dir", data, "--cv_dir", run];
      const { child, ended } = start(args);
      await until(() => existsSync(join(run, "run.lock")));
      const lines = [
        new RegExp(
          `^${join(run, "run.lock")}: is in use by process ${child.pid}; wait for it to end, or write elsewhere$`,
        ),
      ];
      expectError(await patchdrop(args), 8, ...lines);
      expectError(await patchdrop([...args, "--resume"]), 8, ...lines);
      child.kill("SIGINT");
      expect((await ended).code).toBe(130);
      expect(existsSync(join(run, "run.lock"))).toBe(false);
    },
    3 * runTimeoutMs,
  );
});

describe("a headroom", () => {
  it(
    "that could not be stored beside the weights is refused before it is measured",
    async () => {
      const run = at("unstored");
      cpSync(hr(), run, { recursive: true, verbatimSymlinks: true });
      const file = join(run, "checkpoints", linked(run, "best"), "headroom.json");
      mkdirSync(file);
      expectError(
        await patchdrop(["headroom", "--load", run, "--threads", "1"]),
        5,
        `${file}: must not be a folder; give the name of a file`,
      );
    },
    runTimeoutMs,
  );
});

describe("numbers that are not finite", () => {
  const lowerRate = "lower --lr or set --clip; the last checkpoint is intact";
  const diverge = (run: string, ...more: string[]) =>
    patchdrop(["classifier_training", ...quick, "--data_dir", data, "--cv_dir", run, "--momentum", "0", ...more]);

  it(
    "end the run with 7, naming epoch and step, before anything is saved: nothing is left of it",
    async () => {
      const run = at("diverged");
      const found =
        "loss: must be finite, got (NaN|-?Infinity) on images [\\d, ]+, …|resnet_hr: weights and running statistics must be finite";
      expectError(await diverge(run, "--lr", "1e30"), 7, new RegExp(`^epoch 1, step \\d+: (${found}); ${lowerRate}$`));
      expect(existsSync(run)).toBe(false);
    },
    runTimeoutMs,
  );

  it(
    "leave the last good checkpoint as it was",
    async () => {
      const run = at("diverged-later");
      // Each step multiplies the weights by 1 − lr·wd = −19: so they leave float32's range, but not in the first epoch.
      const ended = await diverge(run, "--lr", "1", "--wd", "20", "--max_epochs", "40", "--test_interval", "40");
      expectError(ended, 7, new RegExp(`^epoch ([2-9]|\\d\\d), step \\d+: .*; ${lowerRate}$`));
      const { networks, progress } = readCheckpoint(join(run, "last"));
      expect(progress.epoch).toBeGreaterThanOrEqual(1);
      const values = [...networks.get("resnet_hr")!.values()]
        .filter(({ dtype }) => dtype === "F32")
        .flatMap((tensor) => [...asFloat32(tensor)]);
      expect(values.every(Number.isFinite)).toBe(true);
    },
    runTimeoutMs,
  );
});

describe("experiment files", () => {
  const run = (text: string) => {
    writeFileSync(at("bad.yaml"), text);
    return patchdrop(["run", at("bad.yaml"), "--out", at("never-run"), "--data_dir", data]);
  };
  afterAll(() => expect(existsSync(at("never-run"))).toBe(false));

  it(
    "that are missing",
    async () => {
      expectError(
        await patchdrop(["run", at("no.yaml")]),
        3,
        `${at("no.yaml")}: must be a file that can be read, got no such file; see configs/ for examples`,
      );
    },
    runTimeoutMs,
  );

  it(
    "that are no YAML",
    async () => {
      expectError(await run("stages: { hr: [ }\n"), 2, /bad\.yaml: must be YAML, got .* at line 1, column \d+$/m);
    },
    runTimeoutMs,
  );

  it(
    "with wrong options: all of them, with their stages' names",
    async () => {
      const ended = await run(`common: { max_epochs: 1 }
stages:
  hr: { stage: classifier_training, batch_size: 1, speed: 3 }
  policy: { stage: pretrain, alpha: 2, ckpt_hr_cl: hr }
`);
      expectError(
        ended,
        2,
        /bad\.yaml: stages\.hr\.speed: must be an option of classifier_training, got 3; did you mean seed\?$/,
        /bad\.yaml: stages\.hr\.batch_size: must be at least 2, got 1; see `patchdrop classifier_training --help`$/,
        /bad\.yaml: stages\.policy\.alpha: must be at most 1, got 2; see /,
      );
    },
    runTimeoutMs,
  );

  it(
    "with keys of common that no stage takes, and a gallery that is no stage",
    async () => {
      expectError(
        await run("common: { sead: 1 }\nstages: { hr: { stage: classifier_training } }\ngallery: nowhere\n"),
        2,
        /bad\.yaml: common\.sead: must be an option of a stage of the file, got 1; did you mean seed\?$/,
        /bad\.yaml: gallery: must be left out, since no stage of the file has a policy, got nowhere$/,
      );
    },
    runTimeoutMs,
  );

  it(
    "whose data is not there: nothing is left behind",
    async () => {
      writeFileSync(at("good.yaml"), "common: { dataset: folder }\nstages: { hr: { stage: classifier_training } }\n");
      const ended = await patchdrop(["run", at("good.yaml"), "--out", at("never-run"), "--data_dir", at("nowhere")]);
      expect(ended.code).toBe(3);
      expect(ended.stderr).toContain(`error: ${at("nowhere")}: must be a folder that can be read, got no such folder`);
    },
    runTimeoutMs,
  );

  it(
    "with wrong keys and stages",
    async () => {
      expectError(
        await run("stags: {}\nstages: { hr: { stage: training }, ../up: { stage: pretrain } }\n"),
        2,
        /bad\.yaml: stages\.hr\.stage: must be one of classifier_training, .*, got training$/,
        /bad\.yaml: stages\.\.\.\/up: must be letters, digits, '.', '_' or '-', since it names a folder, got /,
        /bad\.yaml: stags: must be a key of an experiment file, got nothing; did you mean stages\?$/,
        /bad\.yaml: stages\.\.\.\/up\.ckpt_hr_cl: must be given; see `patchdrop pretrain --help`$/,
      );
    },
    runTimeoutMs,
  );
});

describe("streams", () => {
  it.each([
    ["models --json", "true"],
    ["--help", "true"],
    ["classifier_training --help", "head -1"],
  ])(
    "a reader of `%s` that goes away ends it quietly",
    (command, reader) => {
      const script = `set -o pipefail; ${shellCommand} ${command} | ${reader} >/dev/null`;
      const { status, stderr } = spawnSync("bash", ["-c", script], { env: shellEnvironment, encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    },
    runTimeoutMs,
  );

  // Loading the commands opens about a hundred files at once.
  it(
    "too few open files to load anything are said in one line",
    () => {
      const script = `ulimit -n 30; ${shellCommand} models`;
      const { status, stderr } = spawnSync("bash", ["-c", script], { env: shellEnvironment, encoding: "utf8" });
      expect(stderr).toMatch(
        /^error: \S+\.js: could not be used \(EMFILE: too many open files, open '\S+'\); raise the limit on open files .*\n$/,
      );
      expect(status).toBe(5);
    },
    runTimeoutMs,
  );

  // A mount of one's own needs a kernel that lets a user have one.
  const canMount = spawnSync("unshare", ["-rm", "true"]).status === 0;
  it.skipIf(!canMount)(
    "a read-only file system is said to be one, not a folder that is missing",
    () => {
      mkdirSync(at("read-only"));
      const place = at("read-only", "a", "b");
      const script = `mount -t tmpfs -o ro none '${at("read-only")}' && ${shellCommand} classifier_training ${quick.join(" ")} --data_dir '${data}' --cv_dir '${place}'`;
      const given = ["-rm", "bash", "-c", script];
      const { status, stderr } = spawnSync("unshare", given, { env: shellEnvironment, encoding: "utf8" });
      expect(stderr.split("\n").at(-2)).toBe(
        `error: ${place}: could not be made (EROFS: read-only file system, mkdir); give a writable folder`,
      );
      expect(status).toBe(5);
    },
    runTimeoutMs,
  );

  it(
    "a training whose stderr is closed goes on",
    () => {
      const words = [
        "classifier_training",
        ...quick,
        "--max_epochs",
        "2",
        "--test_interval",
        "1",
        "--data_dir",
        data,
        "--cv_dir",
        at("unheard"),
      ];
      const script = `set -o pipefail; ${shellCommand} ${words.join(" ")} 2>&1 >/dev/null | true`;
      const { status } = spawnSync("bash", ["-c", script], { env: shellEnvironment, encoding: "utf8" });
      expect(status).toBe(0);
      expect(linked(at("unheard"), "last")).toMatch(/^ckpt_E_2_/);
    },
    runTimeoutMs,
  );

  it(
    "--quiet prints nothing",
    async () => {
      const ended = await patchdrop([
        "classifier_training",
        ...quick,
        "--data_dir",
        data,
        "--cv_dir",
        at("quiet"),
        "--quiet",
      ]);
      expect(ended).toEqual({ code: 0, signal: null, stdout: "", stderr: "" });
    },
    runTimeoutMs,
  );

  it(
    "flags may be written with hyphens",
    async () => {
      const args = quick.map((word) => (word.startsWith("--") ? word.replaceAll("_", "-") : word));
      const { code, stdout } = await patchdrop([
        "classifier_training",
        ...args,
        "--data-dir",
        data,
        `--cv-dir=${at("hyphens")}`,
      ]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: `${at("hyphens")}\n` });
      const { options } = JSON.parse(readFileSync(at("hyphens", "config.json"), "utf8"));
      expect(options).toMatchObject({ batch_size: 8, max_epochs: 1, cv_dir: at("hyphens"), data_dir: data });
    },
    runTimeoutMs,
  );
});
