/** `patchdrop run` again and again on one folder: what is trained, evaluated and written anew after which change. */
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { runExperiment } from "../../src/experiment/run-experiment.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { experimentFolder } from "./experiment-folder.ts";

const { folder, out, file, page, results, torch } = experimentFolder("patchdrop-run-", {
  classes: 5,
  train: 4,
  test: 2,
});

/** The parts of the file, to be changed one at a time. */
const first = {
  title: "First",
  gallery: "gallery: b",
  common: "model: R8_Scenes, dataset: folder, batch_size: 20, max_epochs: 1, precision: fp32, threads: 1",
  stages: {
    hr: "stage: classifier_training",
    lr: "stage: classifier_training, stream_id: LR",
    a: "stage: pretrain, ckpt_hr_cl: hr, curriculum: false",
    b: "stage: finetune, load: a, ckpt_hr_cl: hr",
  } as Record<string, string>,
};

/** Runs the file, and tells which stages it trained and evaluated. */
async function run({ title, gallery, common, stages }: typeof first, data = join(folder, "data")) {
  const entries = Object.entries(stages).map(([name, options]) => `  ${name}: { ${options} }\n`);
  writeFileSync(file, `title: ${title}\ncommon: { ${common} }\nstages:\n${entries.join("")}${gallery}\n`);
  const notes: string[] = [];
  const reporter = { ...silentReporter, note: (text: string) => notes.push(text) };
  const experiment = readExperiment(file, out, { data_dir: data, torch });
  const result = await runExperiment(experiment, out, "patchdrop run x.yaml", { reporter });
  const named = (pattern: RegExp) => notes.flatMap((note) => pattern.exec(note)?.[1] ?? []);
  const work = {
    trained: named(/^(\w+): (?:classifier_training|pretrain|finetune)$/),
    evaluated: named(/^(\w+): evaluation$/),
  };
  return { result, notes, work };
}

/** The table of results.json and of the page, which must be what the run returned. */
function expectWritten({ result }: Awaited<ReturnType<typeof run>>, title: string) {
  const { rows, evaluations } = JSON.parse(readFileSync(results, "utf8"));
  expect(rows).toEqual(result.rows);
  expect(Object.keys(evaluations)).toEqual(Object.keys(result.evaluations));
  const html = readFileSync(page, "utf8");
  expect(html).toContain(`<title>${title}</title>`);
  for (const { name } of result.rows) expect(html).toContain(name);
}

/** Bytes and time of what a run must leave alone. */
const written = () => [page, results].map((path) => [readFileSync(path, "utf8"), statSync(path).mtimeMs]);

/** A page without the time at which it was made. */
const timeless = (path: string) => readFileSync(path, "utf8").replace(/<footer>.*<\/footer>/, "");

it("leaves nothing behind where it cannot start", async () => {
  const where = join(folder, "nowhere");
  const fault = { where, rule: "must be a folder that can be read", got: "no such folder", next: "check data_dir" };
  // Once, though all stages have it.
  await expect(run(first, where)).rejects.toMatchObject({ kind: "input", faults: [fault] });
  const later = { ...first, stages: { hr: first.stages.hr, lr: `${first.stages.lr}, data_dir: ${where}` } };
  await expect(run({ ...later, gallery: "" })).rejects.toMatchObject({ kind: "input", faults: [fault] });
  expect(existsSync(out)).toBe(false);
});

// In order: each goes on with what the ones before have left.
describe("a run of the same folder", () => {
  it("that is the first trains and evaluates all", async () => {
    const done = await run(first);
    expect(done.work).toEqual({ trained: ["hr", "lr", "a", "b"], evaluated: ["hr", "lr", "a", "b"] });
    expect(Object.entries(done.result.evaluations).filter(([, { sweep }]) => sweep !== undefined)).toHaveLength(1);
    expect(done.result.evaluations.b.sweep).toBeDefined();
    expectWritten(done, "First");
    expect(readdirSync(out).sort()).toEqual(["a", "b", "hr", "index.html", "lr", "results.json"]);
  });

  it("where nothing changed trains, evaluates and writes nothing, and has the same table", async () => {
    const { rows } = JSON.parse(readFileSync(results, "utf8"));
    const before = written();
    const { result, work } = await run(first);
    expect(work).toEqual({ trained: [], evaluated: [] });
    expect(result.rows).toEqual(rows);
    expect(result.page).toBe(page);
    expect(written()).toEqual(before);
  });

  it("under another title writes the page with it, and evaluates nothing", async () => {
    const before = await run(first);
    const done = await run({ ...first, title: "Second" });
    expect(done.work).toEqual({ trained: [], evaluated: [] });
    expect(done.result).toEqual(before.result);
    expectWritten(done, "Second");
    expect(readFileSync(page, "utf8")).not.toContain("First");
  });

  it("with another gallery evaluates the two stages that it concerns", async () => {
    const done = await run({ ...first, gallery: "gallery: a" });
    expect(done.work).toEqual({ trained: [], evaluated: ["a", "b"] });
    expect(done.result.evaluations.a.sweep).toBeDefined();
    expect(done.result.evaluations.b.sweep).toBeUndefined();
    expectWritten(done, "First");
  });

  it("with a stage less has none of its rows, and evaluates nothing", async () => {
    const { b: _, ...stages } = first.stages;
    const done = await run({ ...first, gallery: "gallery: a", stages });
    expect(done.work).toEqual({ trained: [], evaluated: [] });
    expect(Object.keys(done.result.evaluations)).toEqual(["hr", "lr", "a"]);
    expect(done.result.rows.filter(({ kind }) => kind === "policy").map(({ name }) => name)).toEqual([
      "policy (pretrain)",
    ]);
    expectWritten(done, "First");
    expect(readFileSync(page, "utf8")).not.toContain("finetune");
  });

  it("with the stage back evaluates it alone", async () => {
    const done = await run({ ...first, gallery: "gallery: a" });
    expect(done.work).toEqual({ trained: [], evaluated: ["b"] });
    expectWritten(done, "First");
  });

  it("whose low-resolution classifier was trained anew evaluates it and the policies beside it", async () => {
    rmSync(join(out, "lr"), { recursive: true });
    const stages = { ...first.stages, lr: `${first.stages.lr}, seed: 2` };
    const done = await run({ ...first, gallery: "gallery: a", stages });
    expect(done.work).toEqual({ trained: ["lr"], evaluated: ["lr", "a", "b"] });
    expectWritten(done, "First");
    // The same training gives the same weights, of which all is known.
    rmSync(join(out, "lr"), { recursive: true });
    const again = await run({ ...first, gallery: "gallery: a", stages });
    expect(again.work).toEqual({ trained: ["lr"], evaluated: [] });
  });
});

describe("what lies in the folder", () => {
  const whole = { ...first, stages: { hr: first.stages.hr, a: first.stages.a }, gallery: "gallery: a" };
  beforeAll(() => rmSync(join(out), { recursive: true, force: true }));
  beforeEach(() => run(whole).then(() => undefined));

  it.each<[string, () => void]>([
    ["is missing", () => rmSync(page)],
    ["was written by another command", () => writeFileSync(page, "<title>Another</title>")],
  ])("is not believed where the page %s: it is written again of known numbers", async (_, change) => {
    const before = readFileSync(results, "utf8");
    const html = timeless(page);
    change();
    const done = await run(whole);
    expect(done.work.evaluated).toEqual([]);
    expect(done.notes).toContain(`${page}: missing, or not the page of these results; it is written again`);
    expectWritten(done, "First");
    expect(timeless(page)).toBe(html);
    expect(JSON.parse(readFileSync(results, "utf8")).evaluations).toEqual(JSON.parse(before).evaluations);
  });

  it("is not believed where a number of results.json was changed", async () => {
    const before = await run(whole);
    const text = readFileSync(results, "utf8");
    writeFileSync(results, text.replace(/"accuracy": [\d.]+/, '"accuracy": 0.999'));
    const done = await run(whole);
    expect(done.work.evaluated).toEqual(["hr", "a"]);
    expect(done.notes).toContain(`${results}: damaged, changed, or of another version; all stages are evaluated again`);
    expect(done.result.rows).toEqual(before.result.rows);
    expectWritten(done, "First");
  });

  it("goes without a stage's log once that is removed, as the refusal of a log that was cut says", async () => {
    const log = join(out, "hr", "metrics.jsonl");
    writeFileSync(log, "");
    await expect(run(whole)).rejects.toThrow("or remove it to go on without it");
    rmSync(log);
    rmSync(page);
    const done = await run(whole);
    expect(done.work).toEqual({ trained: [], evaluated: [] });
    expect(done.notes).toContain(`${log}: is gone; the page has no learning curves of hr`);
  });

  it("is refused where a stage has trained longer than the file says", async () => {
    const longer = { ...whole, common: whole.common.replace("max_epochs: 1", "max_epochs: 2") };
    const { hr } = whole.stages;
    rmSync(out, { recursive: true });
    await run({ ...longer, stages: { hr }, gallery: "" });
    await expect(run({ ...whole, stages: { hr }, gallery: "" })).rejects.toThrow(
      `${join(out, "hr")}: must have trained 1 epochs at most, got 2; give the old max_epochs, or another --out`,
    );
    rmSync(out, { recursive: true });
  });

  it("is the data of --data_dir, wherever it was in training", async () => {
    const moved = join(folder, "moved");
    renameSync(join(folder, "data"), moved);
    const done = await run(whole, moved);
    renameSync(moved, join(folder, "data"));
    expect(done.work).toEqual({ trained: [], evaluated: ["hr", "a"] });
  });

  it("is refused where a stage was trained from another one than is there now", async () => {
    rmSync(join(out, "hr"), { recursive: true });
    const refusal = `${join(out, "a")}: must have begun after hr, which it starts from, was trained to epoch 1; remove this folder to train the stage again, or give another --out`;
    await expect(run(whole)).rejects.toThrow(refusal);
    // Trained by its own command it is there, and still not the one.
    expect(existsSync(join(out, "hr"))).toBe(false);
    const moved = join(out, "moved");
    renameSync(join(out, "a"), moved);
    await run({ ...whole, stages: { hr: first.stages.hr }, gallery: "" });
    renameSync(moved, join(out, "a"));
    expect(existsSync(join(out, "hr", "best"))).toBe(true);
    await expect(run(whole)).rejects.toThrow(refusal);
    rmSync(join(out, "a"), { recursive: true });
    expect((await run(whole)).work.trained).toEqual(["a"]);
  });
});
