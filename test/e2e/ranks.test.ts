/** Many ranks as one training, started by mpirun: the same result on any number of them, one error, one stop. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { noMpirun } from "../launchers.ts";
import { makeImageFolder } from "./images.ts";
import { programCommand, quickTraining, type Running, runTimeoutMs, succeed, until } from "./program.ts";
import { errorsOf, mpirun, mpirunWith } from "./ranked.ts";
import { linked, outcome } from "./runs.ts";

const why = noMpirun === undefined ? "" : ` (skipped: ${noMpirun})`;

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const quick = quickTraining(2);
const learn = (stage: string, run: string, more: readonly string[] = []) => [
  ...[stage, ...quick, "--test_interval", "1", "--data_dir", at("data"), "--cv_dir", at(run), ...more],
];

function startRanks(count: number, args: readonly string[]): Running {
  return mpirun(count, [...programCommand, ...args]);
}

/** On so many ranks; on one, as anybody starts it. */
async function run(ranks: number, args: readonly string[]): Promise<void> {
  if (ranks === 1) return void (await succeed(args));
  const { code, stderr } = await startRanks(ranks, args).ended;
  if (code !== 0) throw new Error(`${ranks} ranks ended with ${code}: ${stderr}`);
}

describe.skipIf(noMpirun !== undefined)(`many ranks${why}`, { timeout: runTimeoutMs }, () => {
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "patchdrop-ranks-"));
    // Three batches of an epoch, the last of two images: fewer shards than ranks.
    await makeImageFolder(at("data"), { classes: 3, train: 6, test: 3 });
    // Two batches of a test, of 512 images and of 88.
    await makeImageFolder(at("many"), { classes: 3, train: 2, test: 200 });
    await succeed(learn("classifier_training", "hr"));
    await succeed(learn("classifier_training", "lr", ["--stream_id", "LR"]));
    await succeed(learn("pretrain", "policy", ["--ckpt_hr_cl", at("hr")]));
  }, runTimeoutMs);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  describe("with --shards 4", () => {
    it.each<[stage: string, flags: readonly string[]]>([
      ["classifier_training", ["--schedule", "onecycle"]],
      ["classifier_training", ["--stream_id", "LR", "--clip", "1"]],
      ["pretrain", ["--ckpt_hr_cl", "hr", "--beta", "0.1", "--target_patches", "4", "--reward", "priced"]],
      ["pretrain", ["--ckpt_hr_cl", "hr", "--estimator", "values"]],
      ["finetune", ["--load", "policy", "--ckpt_hr_cl", "hr", "--random_masks", "0.5", "--fill", "lr"]],
      ["finetune2stream", ["--load", "policy", "--ckpt_hr_cl", "hr", "--ckpt_lr_cl", "lr"]],
    ])("%s %o ends with the same bits on 1, 2 and 4 ranks", async (stage, flags) => {
      // Of a flag that names a checkpoint, the value is a run of this folder.
      const more = flags.map((word, n) => (/^--(load|ckpt)/.test(flags[n - 1] ?? "") ? at(word) : word));
      const results = [];
      for (const ranks of [1, 2, 4]) {
        const name = `${stage}-${flags.length}-${ranks}`;
        await run(ranks, learn(stage, name, ["--shards", "4", ...more]));
        results.push(outcome(at(name)));
        rmSync(at(name), { recursive: true });
      }
      const [one, two, four] = results;
      expect(two).toEqual(one);
      expect(four).toEqual(one);
    });

    it("goes on with another number of ranks", async () => {
      const stage = (name: string, more: readonly string[]) =>
        learn("classifier_training", name, ["--shards", "4", ...more]);
      await run(2, stage("longer", ["--max_epochs", "1"]));
      await run(4, stage("longer", ["--resume"]));
      await run(1, stage("whole", []));
      expect(outcome(at("longer"))).toEqual(outcome(at("whole")));
    });
  });

  it("without --shards, two ranks are two shards", async () => {
    await run(2, learn("finetune", "two-ranks", ["--load", at("policy"), "--ckpt_hr_cl", at("hr")]));
    await run(1, learn("finetune", "two-shards", ["--load", at("policy"), "--ckpt_hr_cl", at("hr"), "--shards", "2"]));
    // The option itself stands in the event file.
    const { eventBytes: _, ...ranks } = outcome(at("two-ranks"));
    expect(outcome(at("two-shards"))).toMatchObject(ranks);
  });

  it("evaluate a policy as one process does", async () => {
    const load = ["--load", at("policy"), "--ckpt_lr_cl", at("lr"), "--data_dir", at("many")];
    const asked = ["--target_patches", "6", "--threads", "1", "--precision", "fp32", "--json"];
    const args = ["eval", ...load, ...asked];
    const alone = await succeed(args);
    const { code, stdout, stderr } = await startRanks(2, args).ended;
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: alone.stdout });
  });

  it("run an experiment as one process does, page and all", async () => {
    const head = `title: Ranks\ncommon: {data_dir: ${at("data")}, seed: 1, threads: 1, batch_size: 8, shards: 2, test_interval: 1}\nstages:\n`;
    const first = "  hr: {stage: classifier_training, max_epochs: 2}\n";
    writeFileSync(at("begun.yaml"), head + first);
    writeFileSync(at("whole.yaml"), `${head}${first}  policy: {stage: pretrain, ckpt_hr_cl: hr, max_epochs: 1}\n`);
    const experiment = (out: string, file = "whole.yaml") => ["run", at(file), "--out", at(out)];
    // What one process has done is there for two.
    await run(1, experiment("run-two", "begun.yaml"));
    const { stdout, stderr } = await startRanks(2, experiment("run-two")).ended;
    expect(stderr).toMatch(/^2 ranks, started by mpirun/m);
    expect(stderr).toContain(`hr: already done, in ${at("run-two", "hr")}`);
    expect(stdout).toContain(at("run-two", "index.html"));
    await run(1, experiment("run-one"));
    for (const stage of ["hr", "policy"]) {
      expect(outcome(at("run-two", stage)), stage).toEqual(outcome(at("run-one", stage)));
    }
    const table = (out: string) => {
      const { rows } = JSON.parse(readFileSync(at(out, "results.json"), "utf8"));
      return JSON.parse(JSON.stringify(rows).replaceAll(at(out), ""));
    };
    expect(table("run-two")).toEqual(table("run-one"));
    expect(readdirSync(at("run-two"))).toEqual(["hr", "index.html", "policy", "results.json"]);
  });

  it("leave their folder to no other job, stop behind the same step where a signal reaches one of them, and go on", async () => {
    const long = learn("classifier_training", "stopped", ["--shards", "2", "--max_epochs", "400"]);
    const { child, ended } = startRanks(2, long);
    await until(() => isBegun(at("stopped")));
    const other = await startRanks(2, [...long, "--resume"]).ended;
    expect(errorsOf(other.stderr)).toEqual([
      expect.stringMatching(/^error: rank 0 of 2: \S+stopped\/run\.lock: is in use by process \d+; wait for it to end/),
    ]);
    expect(other.code).toBe(8);
    child.kill("SIGUSR1"); // which mpirun passes on
    const { code, stderr } = await ended;
    expect(stderr).toContain("stopped by SIGUSR1; everything is saved; continue with --resume");
    expect(code).toBe(128 + 10);
    const [, epoch] = /^ckpt_E_(\d+)_/.exec(linked(at("stopped"), "last"))!;
    const last = String(Number(epoch) + 1);
    cpSync(at("stopped"), at("copied"), { recursive: true, verbatimSymlinks: true });
    await run(2, learn("classifier_training", "stopped", ["--shards", "2", "--max_epochs", last, "--resume"]));
    await run(1, learn("classifier_training", "copied", ["--shards", "2", "--max_epochs", last, "--resume"]));
    expect(outcome(at("stopped"))).toEqual(outcome(at("copied")));
  });

  describe("are refused", () => {
    /** Of two ranks, each with flags of its own. */
    const differing = (...flags: readonly (readonly string[])[]) => {
      const parts = flags.flatMap((own, n) => [
        ...(n === 0 ? [] : [":"]),
        ...["-n", "1", ...programCommand, ...learn("classifier_training", "refused", own)],
      ]);
      return mpirunWith(parts).ended;
    };

    it("with options that differ, by the rank and the option", async () => {
      const { code, stderr } = await differing(["--lr", "0.1"], ["--lr", "0.2"]);
      expect(errorsOf(stderr)).toEqual([
        "error: rank 0 of 2: rank 1: options.lr: must be as on rank 0, got 0.2 instead of 0.1; start all ranks alike",
      ]);
      expect(code).toBe(2);
    });

    it("with an option that one of them has alone, by the option", async () => {
      const { stderr } = await differing([], ["--shards", "2"]);
      expect(errorsOf(stderr)).toEqual([
        "error: rank 0 of 2: rank 1: options.shards: must be as on rank 0, got 2 instead of nothing; start all ranks alike",
      ]);
    });

    /** Of two ranks, each with words of its own. */
    const commands = (one: readonly string[], other: readonly string[]) =>
      mpirunWith(["-n", "1", ...programCommand, ...one, ":", "-n", "1", ...programCommand, ...other]).ended;
    const evaluating = (...more: string[]) => ["eval", "--load", at("policy"), "--threads", "1", ...more];

    it.each([
      ["data", () => [evaluating("--data_dir", at("data")), evaluating("--data_dir", at("many"))], "options.data_dir"],
      ["options", () => [evaluating(), evaluating("--ckpt_lr_cl", at("lr"))], "options.ckpt_lr_cl"],
      [
        "a checkpoint",
        () => [evaluating(), evaluating().map((word) => word.replace(at("policy"), at("hr")))],
        "options.load",
      ],
      ["commands", () => [evaluating(), learn("classifier_training", "beside")], "command"],
    ] as const)("that evaluate with other %s", async (_, words, name) => {
      const [one, other] = words();
      const { code, stderr } = await commands(one, other);
      const errors = errorsOf(stderr);
      expect(errors).toHaveLength(1);
      expect(errors[0]).toContain(`error: rank 0 of 2: rank 1: ${name}: must be as on rank 0, got `);
      expect(code).toBe(2);
    });

    it("with other experiments, before anything is trained", async () => {
      const file = (name: string, epochs: number) => {
        const stages = { hr: { stage: "classifier_training", max_epochs: epochs } };
        writeFileSync(at(name), JSON.stringify({ title: "t", common: { data_dir: at("data") }, stages }));
        return ["run", at(name), "--out", at("unequal")];
      };
      const { code, stderr } = await commands(file("one.yaml", 1), file("other.yaml", 2));
      expect(errorsOf(stderr)).toEqual([
        "error: rank 0 of 2: rank 1: stages.0.max_epochs: must be as on rank 0, got 2 instead of 1; start all ranks alike",
      ]);
      expect(code).toBe(2);
    });

    it("where one fails by itself, whose message is the only one", async () => {
      const { code, stderr } = await differing([], ["--data_dir", at("none")]);
      expect(errorsOf(stderr)).toEqual([expect.stringMatching(/^error: rank 1 of 2: .*none.*/)]);
      expect(code).toBe(3);
    });

    it("at a command that is one process's work", async () => {
      const { code, stderr } = await startRanks(2, ["models"]).ended;
      expect(errorsOf(stderr)).toEqual([
        "error: models: is one process's work, got 2 ranks; start it without mpirun; classifier_training, pretrain, finetune, finetune2stream, run, eval go on many ranks",
      ]);
      expect(code).toBe(2);
    });

    it("with an option that there is not, in one line", async () => {
      const { code, stderr } = await startRanks(2, ["eval", "--lode", "x"]).ended;
      expect(errorsOf(stderr)).toEqual([
        "error: unknown option '--lode' (did you mean one of --load, --model?); see `patchdrop eval --help`",
      ]);
      expect(code).toBe(2);
    });

    it("with what another launcher left behind, in one line", async () => {
      const left = ["env", "RANK=0", "WORLD_SIZE=4", "LOCAL_RANK=0"];
      const command = [...left, ...programCommand, ...learn("classifier_training", "refused")];
      const { code, stderr } = await mpirun(2, command).ended;
      expect(errorsOf(stderr)).toEqual([
        "error: environment: must come from one launcher, got rank 0 of 2 (mpirun) and rank 0 of 4 (torchrun); start with one of them, and unset what the other left",
      ]);
      expect(code).toBe(2);
    });

    it("where they do not divide --shards", async () => {
      const { code, stderr } = await startRanks(3, learn("classifier_training", "refused", ["--shards", "4"])).ended;
      expect(errorsOf(stderr)).toEqual([
        "error: rank 0 of 3: --shards: must be divided by the 3 ranks, which must be a power of two, got 4; start another number of ranks, or leave it out",
      ]);
      expect(code).toBe(2);
    });
  });
});

/** Whether a run has a checkpoint to go on from. */
function isBegun(path: string): boolean {
  try {
    return linked(path, "last") !== "";
  } catch {
    return false;
  }
}
