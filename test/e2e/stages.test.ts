/** The program as a user meets it: the four trainings from each other's run folders, `eval`, and an experiment file. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunEvaluation } from "../../src/evaluation/evaluation.ts";
import { decodeSafetensors } from "../../src/formats/safetensors.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { loadGolden } from "../golden/load.ts";
import { makeImageFolder } from "./images.ts";
import { runTimeoutMs, start, succeed, until } from "./program.ts";
import { linked, loggedTest, tensorFiles, timelessMetrics } from "./runs.ts";

const counts = { classes: 10, train: 4, test: 2 };
const patches = 16;
const machine = ["--threads", "1", "--precision", "fp32"];

let folder: string;
let data: string;
const runFolder = (name: string) => join(folder, name);

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-stages-"));
  data = await makeImageFolder(join(folder, "data"), counts);
}, runTimeoutMs);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const common = () => [
  "--data_dir",
  data,
  "--batch_size",
  "16",
  "--max_epochs",
  "2",
  "--test_interval",
  "1",
  ...machine,
];

async function evaluate(name: string, ...more: string[]): Promise<RunEvaluation> {
  const { stdout, stderr } = await succeed(["eval", "--load", runFolder(name), "--json", ...machine, ...more]);
  expect(stderr).toBe("");
  return JSON.parse(stdout) as RunEvaluation;
}

/** The row whose name begins so. */
function rowOf({ rows }: RunEvaluation, name: string) {
  const row = rows.find((one) => one.name.startsWith(name));
  if (row === undefined) throw new Error(`no row "${name}" among ${rows.map((one) => one.name).join("; ")}`);
  return row;
}

/** Names and shapes of a network's file, in PyTorch's order or any other. */
function shapesIn(checkpoint: string, file: string): Map<string, readonly number[]> {
  const bytes = tensorFiles(checkpoint).get(`${file}.safetensors`);
  if (bytes === undefined) throw new Error(`${checkpoint} has no ${file}`);
  return new Map([...decodeSafetensors(bytes, file).tensors].map(([name, { shape }]) => [name, shape]));
}

const { networks: golden } = loadGolden("states");

/** What PyTorch's modules hold; the reference's policy has a value head, `vnet`, that nothing uses and ours leaves out. */
function pytorchShapes(network: string): Map<string, readonly number[]> {
  const { shapes } = golden[network === "agent" ? "policy" : "classifier"];
  return new Map(Object.entries(shapes).filter(([name]) => !name.startsWith("vnet.")));
}

// In order: each training starts from the run folders before it.
describe("the four trainings, from each other's run folders", () => {
  describe.each<[stage: string, name: string, networks: string[], from: () => string[]]>([
    ["classifier_training", "hr", ["resnet_hr"], () => ["--lr", "0.05", "--schedule", "constant"]],
    ["classifier_training", "lr", ["resnet_lr"], () => ["--stream_id", "LR", "--lr", "0.05", "--schedule", "constant"]],
    ["pretrain", "pretrain", ["agent", "resnet_hr"], () => ["--no_curriculum", "--ckpt_hr_cl", runFolder("hr")]],
    [
      "finetune",
      "finetune",
      ["agent", "resnet_hr"],
      () => ["--load", runFolder("pretrain"), "--ckpt_hr_cl", runFolder("hr")],
    ],
    [
      "finetune2stream",
      "two",
      ["agent", "resnet_hr", "resnet_lr"],
      () => ["--load", runFolder("finetune"), "--ckpt_lr_cl", runFolder("lr")],
    ],
  ])("%s to %s", (stage, name, networks, from) => {
    it(
      "trains, prints its run folder on stdout, and on stderr which model and a line an epoch",
      async () => {
        const run = runFolder(name);
        const { stdout, stderr } = await succeed([stage, ...common(), "--cv_dir", run, ...from()]);
        expect(stdout).toBe(`${run}\n`);
        // No terminal: plain lines, no bar, no control characters.
        const isFlat = (line: string) => line.startsWith("warning: the policy is flat");
        const lines = stderr.trimEnd().split("\n");
        // No --model is given: the first checkpoint that is named says it, or else the data.
        const named = from().find((word) => word.startsWith(folder));
        const why = named === undefined ? ", of 32 pixels, is taken for images of 32 × 32" : `, as in ${named}`;
        expect(lines.filter((line) => !isFlat(line))).toEqual([
          `--model R32_C10${why}`,
          ...[1, 2].map((epoch) =>
            expect.stringMatching(new RegExp(`^epoch ${epoch}/2: train accuracy [ -~]+; test accuracy [ -~]+$`)),
          ),
        ]);
      },
      runTimeoutMs,
    );

    it("logs each epoch's training and test with the numbers of the stage", () => {
      const records = readMetrics(runFolder(name));
      expect(records.map(({ epoch, split }) => [epoch, split])).toEqual([
        [1, "train"],
        [1, "test"],
        [2, "train"],
        [2, "test"],
      ]);
      for (const record of records) {
        expect(record.accuracy).toBeGreaterThanOrEqual(0);
        expect(record.accuracy).toBeLessThanOrEqual(1);
        if (record.split === "train") expect(Number.isFinite(record.loss)).toBe(true);
        if (stage === "classifier_training") continue;
        expect(record.sparsity).toBeGreaterThanOrEqual(0);
        expect(record.sparsity).toBeLessThanOrEqual(patches);
        // With accuracy a and the penalty p, a reward lies within p·(1 − a) … p·(1 − a) + a.
        const penalty = stage === "pretrain" ? -0.5 : -5;
        const atLeast = penalty * (1 - Number(record.accuracy));
        expect(record.reward).toBeGreaterThanOrEqual(atLeast - 1e-6);
        expect(record.reward).toBeLessThanOrEqual(atLeast + Number(record.accuracy) + 1e-6);
      }
    });

    it("writes checkpoints whose files hold PyTorch's names and shapes", () => {
      for (const link of ["best", "last"] as const) {
        const checkpoint = join(runFolder(name), link);
        expect([...tensorFiles(checkpoint).keys()]).toEqual(
          [...networks, "optimizer"].map((file) => `${file}.safetensors`).sort(),
        );
        for (const network of networks) {
          expect(shapesIn(checkpoint, network)).toEqual(pytorchShapes(network));
        }
      }
      expect(linked(runFolder(name), "last")).toMatch(/^ckpt_E_2_A_[01]\.\d{3}_R_-?\d+\.\d\d$/);
    });
  });

  it("keeps the classifier of pretrain as it was, bit by bit, and learns everything else", () => {
    const file = (name: string, network: string) =>
      tensorFiles(join(runFolder(name), "last")).get(`${network}.safetensors`);
    const best = tensorFiles(join(runFolder("hr"), "best")).get("resnet_hr.safetensors");
    expect(file("pretrain", "resnet_hr")?.equals(best!)).toBe(true);
    expect(file("finetune", "resnet_hr")?.equals(best!)).toBe(false);
    expect(
      file("two", "resnet_lr")?.equals(tensorFiles(join(runFolder("lr"), "best")).get("resnet_lr.safetensors")!),
    ).toBe(true);
    expect(file("finetune", "agent")?.equals(file("pretrain", "agent")!)).toBe(false);
  });
});

describe("eval --json", () => {
  it.each([
    ["hr", "HR classifier, all patches", patches],
    ["lr", "LR classifier, no patches", 0],
  ])(
    "of %s gives the accuracy that the training logged",
    async (name, label, taken) => {
      const evaluation = await evaluate(name);
      const checkpoint = linked(runFolder(name), "best");
      const { accuracy } = loggedTest(runFolder(name), checkpoint);
      expect(evaluation).toEqual({
        checkpoint: join(runFolder(name), "checkpoints", checkpoint),
        stage: "classifier_training",
        model: "R32_C10",
        dataset: "data",
        split: "test",
        images: counts.classes * counts.test,
        rows: [{ name: label, kind: "baseline", accuracy, patches: taken }],
      });
    },
    runTimeoutMs,
  );

  it.each([
    ["pretrain", "pretrain", "quadratic, penalty -0.5"],
    ["finetune", "finetune", "quadratic, penalty -5"],
    ["two", "finetune2stream", "quadratic, penalty -5"],
  ])(
    "of %s gives accuracy, S, V, masks and reward that the training logged, and fair baselines",
    async (name, stage, rewardName) => {
      const evaluation = await evaluate(name, "--ckpt_lr_cl", runFolder("lr"));
      const logged = loggedTest(runFolder(name), linked(runFolder(name), "best"));
      const policy = rowOf(evaluation, "policy");
      expect(policy).toEqual({
        name: `policy (${stage})`,
        kind: "policy",
        accuracy: logged.accuracy,
        patches: logged.sparsity,
        patchesStd: logged.patches_std,
        distinctMasks: logged.distinct_masks,
        reward: expect.closeTo(Number(logged.reward), 6),
        rewardName,
      });
      for (const other of ["random patches", "centre patches", "central columns", "central rows"]) {
        expect(rowOf(evaluation, other).patches).toBe(policy.patches);
        expect(rowOf(evaluation, other).patchesStd).toBeCloseTo(policy.patchesStd!, 12);
      }
      expect(rowOf(evaluation, "all patches")).toMatchObject({ patches, patchesStd: 0, distinctMasks: 1 });
      const lowOnly = loggedTest(runFolder("lr"), linked(runFolder("lr"), "best"));
      expect(rowOf(evaluation, "LR classifier")).toMatchObject({ accuracy: lowOnly.accuracy, patches: 0 });
      // The share of images that took each patch adds up to the mean number of patches.
      expect(evaluation.patchUse).toHaveLength(patches);
      expect(evaluation.patchUse!.reduce((sum, share) => sum + share, 0)).toBeCloseTo(policy.patches, 9);
      if (name === "pretrain") {
        // Its classifier is that of `hr`: with all patches they are the same.
        expect(rowOf(evaluation, "all patches").accuracy).toBe(
          loggedTest(runFolder("hr"), linked(runFolder("hr"), "best")).accuracy,
        );
      }
    },
    runTimeoutMs,
  );

  it(
    "of the last checkpoint and of the training images, when asked for",
    async () => {
      const last = linked(runFolder("finetune"), "last");
      const evaluation = await evaluate(join("finetune", "checkpoints", last), "--split", "train");
      expect(evaluation).toMatchObject({ split: "train", images: counts.classes * counts.train });
      expect(evaluation.checkpoint).toBe(join(runFolder("finetune"), "checkpoints", last));
      const onTest = await evaluate(join("finetune", "last"));
      const logged = loggedTest(runFolder("finetune"), last);
      expect(rowOf(onTest, "policy")).toMatchObject({ accuracy: logged.accuracy, patches: logged.sparsity });
    },
    runTimeoutMs,
  );

  it(
    "prints a table without --json",
    async () => {
      const { stdout } = await succeed(["eval", "--load", runFolder("hr"), ...machine]);
      const accuracy = (100 * Number(loggedTest(runFolder("hr"), linked(runFolder("hr"), "best")).accuracy)).toFixed(1);
      expect(stdout).toContain(`data, test, ${counts.classes * counts.test} images\n`);
      expect(stdout).toMatch(new RegExp(`HR classifier, all patches +${accuracy.replace(".", "\\.")} +16\\.00`));
    },
    runTimeoutMs,
  );
});

describe("run", () => {
  const file = () => join(folder, "tiny.yaml");
  const out = () => join(folder, "experiment");
  const command = () => ["run", file(), "--out", out(), "--data_dir", data, "--threads", "1"];
  const stages = ["hr", "lr", "pretrain", "finetune", "two"];
  /** All that a training writes. */
  const trained = () =>
    stages.map((name) => ({
      checkpoints: readdirSync(join(out(), name, "checkpoints")).sort(),
      metrics: readFileSync(join(out(), name, "metrics.jsonl"), "utf8"),
    }));

  beforeAll(() => {
    writeFileSync(
      file(),
      `title: Tiny
common: { model: R8_Scenes, dataset: folder, batch_size: 16, max_epochs: 1, test_interval: 1, precision: fp32 }
stages:
  hr: { stage: classifier_training, lr: 0.05 }
  lr: { stage: classifier_training, lr: 0.05, stream_id: LR }
  pretrain: { stage: pretrain, ckpt_hr_cl: hr, curriculum: false }
  finetune: { stage: finetune, load: pretrain, ckpt_hr_cl: hr, max_epochs: 20, test_interval: 20 }
  two: { stage: finetune2stream, load: finetune, ckpt_lr_cl: lr }
`,
    );
  });

  it(
    "stops at SIGTERM, saved, and says how to go on",
    async () => {
      const { child, ended } = start(command());
      const metrics = join(out(), "finetune", "metrics.jsonl");
      await until(() => existsSync(metrics) && readFileSync(metrics, "utf8").includes("\n"));
      child.kill("SIGTERM");
      const { code, stdout, stderr } = await ended;
      expect(code).toBe(143);
      expect(stdout).toBe("");
      expect(stderr).toContain("SIGTERM: stopping after this step; press Ctrl-C again to stop at once\n");
      expect(stderr).toMatch(/stopped by SIGTERM; everything is saved; continue with the same command\n$/);
      expect(linked(join(out(), "finetune"), "last")).toMatch(/_S_\d+$/);
      expect(existsSync(join(out(), "two"))).toBe(false);
      expect(existsSync(join(out(), "results.json"))).toBe(false);
    },
    runTimeoutMs,
  );

  it(
    "goes on where it was, and writes table, results and page",
    async () => {
      const { stdout, stderr } = await succeed(command());
      for (const done of ["hr", "lr", "pretrain"])
        expect(stderr).toContain(`${done}: already done, in ${join(out(), done)}\n`);
      expect(stderr).toContain("finetune: finetune\n");
      expect(stderr).toContain("two: finetune2stream\n");
      const epochs = timelessMetrics(join(out(), "finetune")).filter(({ split }) => split === "train");
      expect(epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));

      expect(stdout.trimEnd().split("\n").at(-1)).toBe(join(out(), "index.html"));
      const { rows, evaluations, seconds } = JSON.parse(readFileSync(join(out(), "results.json"), "utf8"));
      expect(Object.keys(evaluations)).toEqual(stages);
      for (const stage of stages) expect(seconds[stage]).toBeGreaterThan(0);
      for (const row of rows) expect(stdout).toContain(`\n${row.name}`);
      const { accuracy } = loggedTest(join(out(), "two"), linked(join(out(), "two"), "best"));
      expect(rows.find(({ name }: { name: string }) => name === "two: policy").accuracy).toBe(accuracy);
      expect(readFileSync(join(out(), "index.html"), "utf8")).toContain("<title>Tiny</title>");
    },
    runTimeoutMs,
  );

  it(
    "trains nothing the third time, and prints the same table",
    async () => {
      const before = trained();
      const results = readFileSync(join(out(), "results.json"), "utf8");
      const { stdout, stderr } = await succeed(command());
      for (const stage of stages) expect(stderr).toContain(`${stage}: already done, in ${join(out(), stage)}\n`);
      expect(stderr).not.toMatch(/^epoch |: evaluation$/m);
      expect(trained()).toEqual(before);
      expect(readFileSync(join(out(), "results.json"), "utf8")).toBe(results);
      expect(stdout).toContain("two: policy");
    },
    runTimeoutMs,
  );

  it(
    "prints nothing but the table and the page with --quiet",
    async () => {
      const { stdout, stderr } = await succeed([...command(), "--quiet"]);
      expect(stderr).toBe("");
      expect(stdout).toContain("two: policy");
    },
    runTimeoutMs,
  );

  it(
    "leaves a folder that report takes for all its runs",
    async () => {
      const page = join(folder, "report.html");
      const flags = ["--no_sweep", "--json", "--quiet", "--out", page, ...machine];
      const { stdout } = await succeed(["report", out(), ...flags]);
      const { evaluations } = JSON.parse(stdout);
      expect(Object.keys(evaluations)).toEqual(stages);
      const results = JSON.parse(readFileSync(join(out(), "results.json"), "utf8"));
      for (const stage of stages) expect(evaluations[stage].rows[0]).toEqual(results.evaluations[stage].rows[0]);
      // The experiment's own page has a sweep of its last policy, whose end is that policy with all patches.
      const { rows, sweep } = results.evaluations.two;
      const all = rows.find(({ name }: { name: string }) => name === "all patches");
      expect(sweep.series[0].points.at(-1)).toMatchObject({ accuracy: all.accuracy, patches });
      expect(results.evaluations.finetune.sweep).toBeUndefined();
    },
    runTimeoutMs,
  );

  it(
    "leaves a run that eval can take to another data set of as many classes",
    async () => {
      const { stdout } = await succeed([
        "eval",
        "--load",
        join(out(), "hr"),
        "--dataset",
        "synthetic",
        "--json",
        ...machine,
      ]);
      const { dataset, images, rows } = JSON.parse(stdout) as RunEvaluation;
      expect({ dataset, images }).toEqual({ dataset: "synthetic", images: 2000 });
      // It has never seen such scenes, and each of the ten classes is a tenth of them.
      expect(rows[0].accuracy).toBeLessThan(0.2);
    },
    runTimeoutMs,
  );
});
