/** Policies that learn by values, and decide in rounds: what a run says of them, how it goes on, and what starts from it. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { alone } from "../../src/distributed/process-group.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { judgedName } from "../../src/run/judged-file.ts";
import { type MetricRecord, readMetrics } from "../../src/run/metric-log.ts";
import { train } from "../../src/training/train.ts";
import { asLogged, evaluate, exact, type Given, listener, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const byValues = { estimator: "values", reward: "priced", schedule: "constant" };
let data_dir: string;
const pretrained = (name: string, more: Given = {}) =>
  runs.train("pretrain", name, { data_dir, ckpt_hr_cl: runs.at("hr"), ...byValues, ...more });

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  await runs.train("classifier_training", "hr", { data_dir, random_masks: 0.5, max_epochs: 1 });
  await pretrained("rounds", { rounds: 4, policy_head: "map" });
  await pretrained("once", { policy_head: "map", max_epochs: 1 });
});

const policyOf = (name: string) => {
  const { description } = readRunConfig(runs.at(name));
  return [description?.rounds, description?.policyHead];
};
const weightsOf = (name: string) => openCheckpoint(runs.at(name)).networks.get("agent")!;

describe("a run by values", () => {
  it("says in how many rounds its policy decides, and what its head is", () => {
    expect(policyOf("rounds")).toEqual([4, "map"]);
    expect(policyOf("once")).toEqual([1, "map"]);
    expect(policyOf("hr")).toEqual([1, "mean"]);
  });

  it("has a policy of five planes, or one that sees the picture, with the head that keeps the map", () => {
    const shapesOf = (name: string) =>
      ["features.conv1.weight", "logit.weight", "logit_map.weight"].map((weight) => weightsOf(name).get(weight)!.shape);
    expect(shapesOf("rounds")).toEqual([
      [16, 5, 3, 3],
      [16, 64],
      [1, 64],
    ]);
    expect(shapesOf("once")[0]).toEqual([16, 3, 3, 3]);
  });

  it("is evaluated as its training's test saw it", async () => {
    const tests = readMetrics(runs.at("rounds")).filter(({ split }) => split === "test");
    const { accuracy, sparsity, patches_std, distinct_masks, reward } = tests.at(-1)!;
    expect(asLogged(await evaluate(runs.at("rounds", "last")))).toEqual({
      ...{ accuracy, sparsity, patches_std, distinct_masks, reward },
    });
  });

  it("that is stopped and goes on ends with the same bits", async () => {
    await pretrained("begun", { rounds: 4, policy_head: "map", max_epochs: 1 });
    await runs.resume("pretrain", "begun", { max_epochs: 2 });
    expect(weightsOf("begun")).toEqual(weightsOf("rounds"));
  });

  it("goes on from another's policy with its rounds and its head, and says so", async () => {
    const { reporter, notes } = listener();
    const load = runs.at("rounds");
    await runs.train(
      "pretrain",
      "further",
      { data_dir, ckpt_hr_cl: runs.at("hr"), ...byValues, load, max_epochs: 1 },
      { reporter },
    );
    expect(policyOf("further")).toEqual([4, "map"]);
    expect(notes).toEqual(expect.arrayContaining([`--policy_head map, as in ${load}`, `--rounds 4, as in ${load}`]));
  });
});

describe("with --judge_epochs", () => {
  const rounds = { rounds: 4, policy_head: "map" };
  const trained = (name: string) => readMetrics(runs.at(name)).filter(({ split }) => split === "train");
  /** What the masks earned, and what the policy made of it. */
  const earned = ({ accuracy, reward, sparsity }: MetricRecord) => ({ accuracy, reward, sparsity });

  it("judges as without it in these epochs", async () => {
    await pretrained("all judged", { ...rounds, judge_epochs: 2 });
    expect(weightsOf("all judged")).toEqual(weightsOf("rounds"));
  });

  it("goes through them again with what was judged, and learns from it as if it were judged anew", async () => {
    await pretrained("again", { ...rounds, judge_epochs: 1, max_epochs: 3 });
    const epochs = trained("again");
    expect(epochs.map(earned)).toEqual(Array.from(epochs, () => earned(trained("rounds")[0])));
    expect(new Set(epochs.map(({ loss }) => loss)).size).toBe(3);
    await pretrained("forgotten", { ...rounds, judge_epochs: 1, max_epochs: 1 });
    for (const max_epochs of [2, 3]) {
      rmSync(runs.at("forgotten", judgedName));
      await runs.resume("pretrain", "forgotten", { max_epochs });
    }
    expect(weightsOf("forgotten")).toEqual(weightsOf("again"));
  });

  it("asks the classifier in these epochs alone", async () => {
    const judged = async (max_epochs: number) => {
      const name = `profiled-${max_epochs}`;
      const { profile } = await pretrained(name, { ...rounds, judge_epochs: 1, max_epochs, profile: true });
      return profile!.kinds.find(({ kind }) => kind === "frozen classifier")!.calls;
    };
    expect(await judged(3)).toBe(await judged(1));
  });

  it.each([
    ["damaged", (bytes: Buffer) => bytes.fill(7, 100, 104)],
    ["cut", (bytes: Buffer) => bytes.subarray(0, 100)],
  ])("judges anew what is %s in its file", async (name, change) => {
    await pretrained(name, { ...rounds, judge_epochs: 1, max_epochs: 1 });
    const file = runs.at(name, judgedName);
    const whole = readFileSync(file);
    writeFileSync(file, change(Buffer.from(whole)));
    await runs.resume("pretrain", name, { max_epochs: 3 });
    expect(weightsOf(name)).toEqual(weightsOf("again"));
    expect(readFileSync(file)).toEqual(whole);
  });

  it("needs one rank", async () => {
    const group = { ...alone, size: 2 };
    const options = parseOptions("pretrain", {
      ...exact,
      data_dir,
      ckpt_hr_cl: runs.at("hr"),
      ...byValues,
      judge_epochs: 1,
    });
    await expect(train("pretrain", { ...options, cv_dir: runs.at("ranks") }, { group })).rejects.toThrow(
      "--judge_epochs: needs one rank, on a CPU, got 2 ranks; leave it out: the classifier then judges in every epoch",
    );
  });
});

describe("what starts from it", () => {
  it("is finetuned with its head where it decides once", async () => {
    const from = { load: runs.at("once"), ckpt_hr_cl: runs.at("hr") };
    await runs.train("finetune", "tuned", { data_dir, ...from, max_epochs: 1 });
    expect(policyOf("tuned")).toEqual([1, "map"]);
  });

  it("can't be finetuned where it decides in rounds", async () => {
    const from = { load: runs.at("rounds"), ckpt_hr_cl: runs.at("hr") };
    await expect(runs.train("finetune", "refused", { data_dir, ...from })).rejects.toThrow(
      `--load ${from.load}: must be a policy that decides once: those that decide in rounds learn in pretrain alone, by ` +
        "--estimator values, got 4 rounds; use it as it is",
    );
  });
});

it.each([
  [
    { rounds: 2, estimator: "self_critical" },
    "--rounds: must be 1 with --estimator self_critical, got 2; give --estimator values",
  ],
  [{ rounds: 17 }, "--rounds: must be at most the 16 patches, got 17"],
])("%o is refused", async (more, message) => {
  await expect(async () => pretrained("refused", more)).rejects.toThrow(message);
});
