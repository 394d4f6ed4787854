/** `patchdrop eval` with budgets, targets and sweeps, and `patchdrop report`, of one stream and of two. */
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseHTML } from "linkedom";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { packagedFolder } from "../../src/checkpoints/packaged.ts";
import { choiceFile, type StoredChoice } from "../../src/checkpoints/stored-choice.ts";
import { confidenceFile } from "../../src/checkpoints/stored-confidence.ts";
import type { RunEvaluation } from "../../src/evaluation/evaluation.ts";
import type { Report } from "../../src/experiment/report-runs.ts";
import { makeImageFolder } from "./images.ts";
import { patchdrop, runTimeoutMs, succeed } from "./program.ts";
import { linked } from "./runs.ts";

const patches = 16;
const classes = 3;
const [trained, each] = [5, 4];
const machine = ["--threads", "1", "--precision", "fp32"];

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const policies = ["pretrain", "two"] as const;
/** Of each policy, what `eval --sweep` says. */
const swept = new Map<string, RunEvaluation>();

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-budget-"));
  await makeImageFolder(at("data"), { classes, train: trained, test: each });
  const short = [
    "--model",
    "R8_Scenes",
    "--data_dir",
    at("data"),
    "--batch_size",
    "10",
    "--max_epochs",
    "2",
    ...machine,
  ];
  const train = (stage: string, name: string, ...more: string[]) =>
    succeed([stage, ...short, "--cv_dir", at(name), ...more]);
  await train("classifier_training", "hr", "--lr", "0.05");
  await train("classifier_training", "lr", "--lr", "0.05", "--stream_id", "LR");
  await train("pretrain", "pretrain", "--ckpt_hr_cl", at("hr"), "--no_curriculum", "--lr", "0.01");
  await train("finetune2stream", "two", "--load", at("pretrain"), "--ckpt_lr_cl", at("lr"), "--lr", "0.01");
  for (const name of policies) swept.set(name, await evaluate(name, "--sweep", "--ckpt_lr_cl", at("lr")));
}, 4 * runTimeoutMs);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function evaluate(name: string, ...more: string[]): Promise<RunEvaluation> {
  return JSON.parse(
    (await succeed(["eval", "--load", at(name), "--json", ...machine, ...more])).stdout,
  ) as RunEvaluation;
}

/** The policy's probabilities of the test images, in the data set's order, as another command says them. */
async function probabilitiesOf(name: string): Promise<number[][]> {
  const { stdout } = await succeed(["predict", "--load", at(name), ...machine, at("data", "test")]);
  const lines = stdout.trimEnd().split("\n");
  return lines.map((line) => (JSON.parse(line) as { patch_probabilities: number[] }).patch_probabilities);
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe.each(policies)("eval of %s", (name) => {
  let probabilities: number[][];
  beforeAll(async () => {
    probabilities = await probabilitiesOf(name);
  }, runTimeoutMs);

  it("takes the K likeliest of each image, and gives its baselines as many", { timeout: runTimeoutMs }, async () => {
    const { rows, patchUse, choice } = await evaluate(name, "--policy", "topk", "--budget", "3");
    const likeliest = probabilities.map((all) => all.toSorted((a, b) => b - a)[2]);
    const expected = Array.from({ length: patches }, (_, k) =>
      mean(probabilities.map((all, i) => (all[k] >= likeliest[i] ? 1 : 0))),
    );
    for (const [k, share] of expected.entries()) expect(patchUse![k]).toBeCloseTo(share, 12);
    for (const row of rows.slice(0, 5)) expect(row).toMatchObject({ patches: 3, patchesStd: 0 });
    expect(choice).toEqual({ rule: { policy: "topk", budget: 3 } });
  });

  it("takes at most K above a threshold", { timeout: runTimeoutMs }, async () => {
    const { rows } = await evaluate(name, "--threshold", "0.3", "--budget", "5");
    const counts = probabilities.map((all) => Math.min(5, all.filter((p) => p >= 0.3).length));
    expect(rows[0].patches).toBeCloseTo(mean(counts), 12);
  });

  it("lets images leave of which the classifier is sure, and says how many", { timeout: runTimeoutMs }, async () => {
    const how = ["--exit", "0.36", "--threshold", "0", "--fill", "lr"];
    const { exits, rows, images } = await evaluate(name, ...how);
    const [left] = exits!.imagesByPatches;
    // At this threshold all patches are taken of those that stay.
    expect(rows[0].patches).toBeCloseTo((patches * (images - left)) / images, 12);
    expect(exits!.file).toBe(confidenceFile(openCheckpoint(at(name)).path));
    const { stdout } = await succeed(["eval", "--load", at(name), ...machine, ...how]);
    expect(stdout).toContain(`exit at 0.36: ${((100 * left) / images).toFixed(1)} % of the images without a patch`);
    const { stdout: lines } = await succeed([
      ...["predict", "--load", at(name), ...machine, ...how],
      at("data", "test"),
    ]);
    const masks = lines
      .trimEnd()
      .split("\n")
      .map((line) => (JSON.parse(line) as { mask: string }).mask);
    expect(masks.filter((mask) => mask === "0".repeat(patches)).length).toBe(left);
    expect(masks.filter((mask) => mask === "1".repeat(patches)).length).toBe(images - left);
    expect(lines).toContain("--exit 0.36");
    const missed = await succeed([
      "eval",
      "--load",
      at(name),
      ...machine,
      "--exit",
      "0.36",
      "--fill",
      "lr",
      "--target_patches",
      "15.9",
    ]);
    expect(missed.stderr).toMatch(
      /^--target_patches 15\.9: the nearest mean that a threshold gives is \d+\.\d\d, with images that leave at --exit 0\.36$/m,
    );
    rmSync(exits!.file!);
    rmSync(choiceFile(openCheckpoint(at(name)).path));
  });

  it("draws by the seed", { timeout: runTimeoutMs }, async () => {
    const [one, same, other] = [
      await evaluate(name, "--policy", "sample"),
      await evaluate(name, "--policy", "sample"),
      await evaluate(name, "--policy", "sample", "--seed", "7"),
    ];
    expect(one).toEqual(same);
    expect(one.patchUse).not.toEqual(other.patchUse);
    // Within five standard deviations of the mean of its probabilities.
    const expected = mean(probabilities.map((all) => all.reduce((sum, p) => sum + p, 0)));
    const variance = mean(probabilities.map((all) => all.reduce((sum, p) => sum + p * (1 - p), 0)));
    expect(Math.abs(one.rows[0].patches - expected)).toBeLessThan(5 * Math.sqrt(variance / probabilities.length));
  });

  it("sweeps: each point is what eval gives there, with its baselines", { timeout: runTimeoutMs }, async () => {
    const { sweep, details, rows, images } = swept.get(name)!;
    const { series } = sweep!;
    expect(series.map((one) => one.name)).toEqual([
      "policy",
      "best fixed mask",
      "random patches",
      "centre patches",
      "central columns",
      "central rows",
      "one fixed mask, same mean",
      "how many, by confidence, same mean",
    ]);
    expect(rows.at(-1)?.name).toBe("LR classifier, no patches");
    const [policy] = series;
    expect([policy.points[0].patches, policy.points.at(-1)!.patches]).toEqual([0, patches]);
    // With all patches there is nothing to choose, and with none neither; a cascade does not take what adds nothing.
    const exact = series.slice(0, -1);
    for (const end of [0, -1]) expect(new Set(exact.map(({ points }) => points.at(end)!.accuracy)).size).toBe(1);
    expect(series.at(-1)!.points[0].accuracy).toBe(policy.points[0].accuracy);
    expect(policy.points.at(-1)!.accuracy).toBe(rows.find((row) => row.name === "all patches")!.accuracy);

    const middle = Math.floor(policy.points.length / 2);
    const there = await evaluate(name, "--threshold", String(policy.points[middle].threshold));
    // Those behind have the mean of the images that points are chosen on.
    series.slice(0, 6).forEach(({ points }, n) => {
      expect(points[middle]).toMatchObject({ accuracy: there.rows[n].accuracy, patches: there.rows[n].patches });
      expect(mean(points[middle].classes.map(({ accuracy }) => accuracy))).toBeCloseTo(there.rows[n].accuracy, 12);
    });
    const { health, examples, classes: byClass } = details!;
    expect(health.imagesByPatches.reduce((sum, count) => sum + count, 0)).toBe(images);
    expect(mean(byClass.map((one) => one.patches))).toBeCloseTo(rows[0].patches, 12);
    const bits = (p: number) => -p * Math.log2(p) - (1 - p) * Math.log2(1 - p);
    expect(health.entropyBits).toBeCloseTo(
      mean(probabilities.map((all) => all.reduce((sum, p) => sum + bits(p), 0))),
      3,
    );
    const shown = Object.values(examples).flat();
    expect(new Set(shown).size).toBe(shown.length);
  });
});

it("a choice for weights that come with the program is said, and stored nowhere", {
  timeout: runTimeoutMs,
}, async () => {
  const { classes: names } = openCheckpoint("patchdrop:cifar10").config.description!;
  const before = readFileSync(choiceFile(packagedFolder("cifar10")));
  await makeImageFolder(at("ten"), { classes: names.length, train: 1, test: 1 });
  for (const split of ["train", "test"])
    for (const [label, name] of names.entries()) renameSync(at("ten", split, `class${label}`), at("ten", split, name));
  const given = ["--load", "patchdrop:cifar10", "--data_dir", at("ten"), ...machine];
  const { stdout } = await succeed(["eval", ...given, "--target_patches", "4"]);
  const [, threshold] = /not stored, since what comes .* as it came: --threshold (\S+) is the same choice/.exec(
    stdout,
  )!;
  const policy = (text: string) => /^ *policy.*$/m.exec(text)?.[0];
  expect(policy((await succeed(["eval", ...given, "--threshold", threshold])).stdout)).toBe(policy(stdout));
  expect(readFileSync(choiceFile(packagedFolder("cifar10")))).toEqual(before);
});

describe("eval with a target", () => {
  const stored = () => JSON.parse(readFileSync(at("pretrain", "best", "choice.json"), "utf8")) as StoredChoice;

  it("calibrates on training images, says what it gives on the test set, and stores it", {
    timeout: runTimeoutMs,
  }, async () => {
    const onTraining = await evaluate("pretrain", "--target_patches", "5");
    const { choice, rows } = onTraining;
    expect(choice).toMatchObject({ target: { patches: 5 }, calibrated: { split: "train", images: classes * trained } });
    expect(Math.abs(choice!.calibrated!.patches - 5)).toBeLessThan(0.5);
    expect(stored()).toMatchObject({ ...choice!.rule, evaluated: { split: "test", accuracy: rows[0].accuracy } });
    // What it gave on the training images is what an evaluation of them gives: they are all in the sample here.
    const there = await evaluate("pretrain", "--policy", "calibrated", "--split", "train");
    expect(there.rows[0]).toMatchObject({
      accuracy: choice!.calibrated!.accuracy,
      patches: choice!.calibrated!.patches,
    });
    expect((await evaluate("pretrain", "--policy", "calibrated")).rows).toEqual(rows);
  });

  it("does not look at the test set for it", { timeout: runTimeoutMs }, async () => {
    await evaluate("pretrain", "--target_patches", "5");
    const { threshold } = stored();
    cpSync(at("data"), at("turned"), { recursive: true });
    renameSync(at("turned", "test", "class0"), at("turned", "test", "x"));
    renameSync(at("turned", "test", "class1"), at("turned", "test", "class0"));
    renameSync(at("turned", "test", "x"), at("turned", "test", "class1"));
    rmSync(at("turned", "test", "class2", "0.png"));
    const turned = await evaluate("pretrain", "--target_patches", "5", "--data_dir", at("turned"));
    expect(turned.images).toBe(classes * each - 1);
    expect(stored().threshold).toBe(threshold);
  });

  it("reaches an accuracy with as few patches as do, or says what the best was", {
    timeout: runTimeoutMs,
  }, async () => {
    const best = await evaluate("pretrain", "--split", "train");
    const aim = best.rows.find((row) => row.name === "all patches")!.accuracy;
    const { choice } = await evaluate("pretrain", "--target_accuracy", String(aim));
    expect(choice!.calibrated!.accuracy).toBeGreaterThanOrEqual(aim);
    const { code, stderr } = await patchdrop(["eval", "--load", at("pretrain"), ...machine, "--target_accuracy", "1"]);
    if (choice!.calibrated!.accuracy < 1) {
      expect(code).toBe(2);
      expect(stderr).toMatch(
        /^error: --target_accuracy: is not reached .*, got 1; give at most [01]\.\d{4}, the best, /,
      );
    }
  });

  it("prints it above the table, and draws the sweep", { timeout: runTimeoutMs }, async () => {
    const chart = at("sweep.svg");
    const flags = ["--target_patches", "5", "--sweep", "--chart", chart];
    const { stdout } = await succeed(["eval", "--load", at("pretrain"), ...machine, ...flags]);
    expect(stdout).toMatch(
      /\ncalibrated for 5 patches on 15 training images: \d+\.\d % with \d\.\d\d patches there; stored in /,
    );
    expect(stdout).toMatch(
      /\nS +threshold +policy +best fixed mask +random patches +centre patches +central columns +central rows +one fixed mask, same mean +how many, by confidence, same mean\n/,
    );
    expect(stdout).toMatch(/\nclass2 +\d/);
    const svg = readFileSync(chart, "utf8");
    expect(svg).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" /);
    const lines = all(`<body>${svg}</body>`, 'g[aria-label="line"] path');
    expect(lines.length).toBeGreaterThanOrEqual(5);
  });
});

describe("eval refuses", () => {
  const next = "see `patchdrop eval --help`";

  it.each<[string, string[], number, string | RegExp]>([
    ["top-k without a budget", ["--policy", "topk"], 2, "--budget: must be given with --policy topk, got nothing"],
    ["more patches than there are", ["--budget", "17"], 2, "--budget: must be at most the model's 16 patches, got 17"],
    [
      "a target of patches beyond the budget",
      ["--target_patches", "5", "--budget", "4"],
      2,
      "--target_patches: must be within 0 … 4, got 5",
    ],
    [
      "a target for top-k",
      ["--target_patches", "5", "--policy", "topk", "--budget", "4"],
      2,
      `--policy: can't be combined with --target_patches or --target_accuracy, which calibrate a threshold, got topk; ${next}`,
    ],
    ["an accuracy in percent", ["--target_accuracy", "85"], 2, `--target_accuracy: must be at most 1, got 85; ${next}`],
    [
      "a chart without a sweep",
      ["--chart", "x.svg"],
      2,
      `--chart: needs --sweep, whose chart it is, got x.svg; ${next}`,
    ],
    [
      "what was never calibrated",
      ["--policy", "calibrated"],
      3,
      /: must have a choice that was calibrated; calibrate: /,
    ],
  ])("%s", { timeout: runTimeoutMs }, async (_, flags, code, message) => {
    const ended = await patchdrop(["eval", "--load", at("two"), ...machine, ...flags]);
    const said = ended.stderr.split("\n").filter((line) => line.startsWith("error: "));
    expect({ code: ended.code, stdout: ended.stdout, said }).toEqual({
      code,
      stdout: "",
      said: [typeof message === "string" ? `error: ${message}` : expect.stringMatching(message)],
    });
  });

  it("a sweep of a run without a policy", { timeout: runTimeoutMs }, async () => {
    const { code, stderr } = await patchdrop(["eval", "--load", at("hr"), ...machine, "--sweep"]);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: expect.stringMatching(/^error: --sweep: needs a run with a policy, got /),
    });
  });

  it("a choice of other weights", { timeout: runTimeoutMs }, async () => {
    cpSync(at("two", "checkpoints", linked(at("two"), "best")), at("copied"), { recursive: true });
    cpSync(at("pretrain", "best", "choice.json"), at("copied", "choice.json"));
    const { code, stderr } = await patchdrop(["eval", "--load", at("copied"), ...machine, "--policy", "calibrated"]);
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: expect.stringMatching(/^error: .*choice\.json: must have been calibrated for the weights beside it; /),
    });
  });
});

interface Node {
  readonly textContent: string;
  querySelectorAll(selector: string): Iterable<Node>;
}

function all(html: string, selector: string): Node[] {
  return Array.from((parseHTML(html).document as unknown as Node).querySelectorAll(selector));
}

const texts = (html: string, selector: string) => all(html, selector).map((node) => node.textContent);

describe("report", () => {
  const headings = (html: string) => texts(html, "h2");

  it("writes one page of several runs, side by side", { timeout: 2 * runTimeoutMs }, async () => {
    const out = at("report.html");
    const runs = ["hr", "lr", ...policies].map((name) => at(name));
    const { stdout } = await succeed(["report", ...runs, ...machine, "--out", out, "--title", "A & B <c>", "--json"]);
    const { page, evaluations } = JSON.parse(stdout) as Report;
    expect(page).toBe(out);
    expect(Object.keys(evaluations)).toEqual(["hr", "lr", "pretrain", "two"]);
    for (const name of policies) {
      // The same as eval's; the low-resolution classifier is the one among the runs.
      expect(evaluations[name]).toEqual(swept.get(name));
    }
    const html = readFileSync(out, "utf8");
    expect(html).toContain("<title>A &#38; B &#60;c&#62;</title>");
    expect(html).not.toMatch(/<script|src="(?!data:)|https?:/);
    expect(headings(html)).toEqual([
      "Results",
      "Accuracy against patches",
      "Which patches",
      "Does the policy look?",
      "By class",
      "Which classes are confused",
      "Examples",
      "Learning curves",
      "How this was made",
    ]);
    expect(texts(html, ".stage h3")).toEqual(["hr", "lr", "pretrain", "two"]);
    // The pictures are the images that the evaluation names.
    const shown = policies.flatMap((name) => Object.values(evaluations[name].details!.examples).flat());
    expect(all(html, ".item")).toHaveLength(shown.length);
    const inTable = texts(html, ".results tbody th");
    expect(inTable.filter((name) => name.endsWith("policy"))).toEqual(["pretrain: policy", "two: policy"]);
  });

  it("leaves the sweep out when asked to, and calls a run by its path where names are the same", {
    timeout: runTimeoutMs,
  }, async () => {
    cpSync(at("pretrain"), at("other", "pretrain"), { recursive: true });
    const out = at("quick.html");
    const runs = [at("pretrain"), at("other", "pretrain")];
    const { stdout, stderr } = await succeed(["report", ...runs, ...machine, "--no_sweep", "--quiet", "--out", out]);
    expect({ stdout, stderr }).toEqual({ stdout: `${out}\n`, stderr: "" });
    const html = readFileSync(out, "utf8");
    expect(headings(html)).not.toContain("Accuracy against patches");
    const names = texts(html, ".stage h3");
    expect(names).toEqual([`${folder.split("/").at(-1)}/pretrain`, "other/pretrain"]);
  });

  it.each<[string, () => string[], number, RegExp]>([
    ["no run", () => [], 2, /^error: missing required argument 'run'/],
    ["a run that is not there", () => [at("nothing")], 3, /^error: .*\/nothing: does not exist; give the --cv_dir /],
    [
      "a sweep by chance",
      () => [at("two"), "--policy", "sample"],
      2,
      /^error: --policy: must be threshold or topk with --sweep/,
    ],
    [
      "a page that cannot be written",
      () => [at("hr"), "--out", at("no", "page.html")],
      5,
      /error: .*page\.html: could not be written /,
    ],
  ])("refuses %s", { timeout: runTimeoutMs }, async (_, args, code, message) => {
    const ended = await patchdrop(["report", ...args(), ...machine]);
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code, stdout: "" });
    expect(ended.stderr).toMatch(message);
  });

  it("leaves a page that was there as it was when it fails", { timeout: runTimeoutMs }, async () => {
    writeFileSync(at("kept.html"), "kept");
    await patchdrop(["report", at("hr"), at("nothing"), ...machine, "--out", at("kept.html")]);
    expect(readFileSync(at("kept.html"), "utf8")).toBe("kept");
    expect(existsSync(at("report.html"))).toBe(true);
  });
});
