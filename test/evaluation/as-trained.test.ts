/** What an evaluation takes from the run where no flag says otherwise: which images it may leave out, fill, reward, seed. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { showImages } from "../../src/evaluation/show-images.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { linked, loggedTest } from "../e2e/runs.ts";
import { asLogged, evaluate, exact, refusal, SmallRuns } from "../training/small-runs.ts";

const runs = new SmallRuns();
/** A data set with a picture that cannot be read, among those to test on. */
let data_dir: string;
const counts = { classes: 3, train: 8, test: 16 };
const images = counts.classes * counts.test;

beforeAll(async () => {
  data_dir = await runs.makeFolder("data", counts);
  writeFileSync(join(data_dir, "test", "class1", "broken.png"), "no picture");
  const ckpt_hr_cl = runs.at("hr");
  await runs.train("classifier_training", "hr", { data_dir, skip_bad: 1, lr: 0.05 });
  const unusual = { fill: "lr", penalty: -3, curriculum: false, lr: 1e-2 };
  await runs.train("pretrain", "policy", { data_dir, skip_bad: 1, ckpt_hr_cl, ...unusual });
  await runs.train("pretrain", "linear", { data_dir, skip_bad: 1, ckpt_hr_cl, ...unusual, reward: "linear" });
});

describe("--skip_bad", () => {
  it.each(["hr", "policy"])("is the run's: %s is evaluated on the pictures that it was tested on", async (name) => {
    const evaluation = await evaluate(runs.at(name));
    expect(evaluation.images).toBe(images);
    const { accuracy } = loggedTest(runs.at(name), linked(runs.at(name), "best"));
    expect(evaluation.rows[0].accuracy).toBe(accuracy);
  });

  it("is the run's where single pictures are shown", async () => {
    const shown = await showImages(
      evalSchema.parse({ ...exact, load: runs.at("policy") }),
      Uint32Array.of(0, images - 1),
    );
    expect(shown.map(({ label }) => label)).toEqual(["class0", "class2"]);
  });

  it("may be set for the evaluation alone", async () => {
    const error = await refusal(() => evaluate(runs.at("hr"), { skip_bad: 0 }));
    expect(error.kind).toBe("input");
    expect(error.message).toContain("broken.png: ");
    expect(error.message).toContain("--skip_bad allows 0");
  });
});

describe("fill and reward", () => {
  it.each(["policy", "linear"])("are the run's: %s earns what its training's test logged", async (name) => {
    const logged = loggedTest(runs.at(name), linked(runs.at(name), "best"));
    expect(logged).toMatchObject(asLogged(await evaluate(runs.at(name))));
    // Wrong answers are there to be punished.
    expect(logged.accuracy).toBeLessThan(1);
  });

  it("the training's test saw dropped patches filled as the run says, and not with zeros", async () => {
    const logged = loggedTest(runs.at("policy"), linked(runs.at("policy"), "best"));
    const zeros = asLogged(await evaluate(runs.at("policy"), { fill: "zero" }));
    expect(zeros.sparsity).toBe(logged.sparsity);
    expect(zeros.accuracy).not.toBe(logged.accuracy);
  });
});
