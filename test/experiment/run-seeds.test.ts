/** An experiment with several seeds, in one process: what is trained and written, and what is refused before anything is. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { EvaluationRow } from "../../src/evaluation/evaluation.ts";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { runExperiment } from "../../src/experiment/run-experiment.ts";
import { readSeeds, runSeeds } from "../../src/experiment/run-seeds.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { experimentFolder } from "./experiment-folder.ts";

const { data, out, file, page, results, torch } = experimentFolder("patchdrop-seeds-", {
  classes: 4,
  train: 5,
  test: 5,
});

const first = {
  title: "First",
  stages: { hr: "stage: classifier_training, seed: 9", a: "stage: pretrain, ckpt_hr_cl: hr, curriculum: false" },
};

function write({ title, stages }: { title: string; stages: Record<string, string> }) {
  const common =
    "model: R8_Scenes, dataset: folder, batch_size: 16, max_epochs: 1, precision: fp32, threads: 1, seed: 5";
  const entries = Object.entries(stages).map(([name, options]) => `  ${name}: { ${options} }\n`);
  writeFileSync(file, `title: ${title}\ncommon: { ${common} }\nstages:\n${entries.join("")}`);
}

/** Runs the file, and tells what it trained, evaluated and made pages of. */
async function run(seeds: readonly number[], content = first, into = out) {
  write(content);
  const notes: string[] = [];
  const reporter = { ...silentReporter, note: (text: string) => notes.push(text) };
  const read = readSeeds(file, into, seeds, { data_dir: data, torch });
  const result = await runSeeds(read, into, `patchdrop run x.yaml --seeds ${seeds}`, { reporter });
  const work: string[] = [];
  let seed = "";
  for (const note of notes) {
    seed = /^seed \d+$/.exec(note)?.[0] ?? seed;
    if (/^\w+: (classifier_training|pretrain|evaluation|page)$/.test(note)) work.push(`${seed}: ${note}`);
  }
  return { result, notes, work };
}

const workOf = (seed: number) =>
  ["hr: classifier_training", "a: pretrain", "hr: evaluation", "a: evaluation", "a: page"].map(
    (note) => `seed ${seed}: ${note}`,
  );
const json = (...names: string[]) => JSON.parse(readFileSync(join(out, ...names), "utf8"));
/** Bytes and time of all that one seed, or all together, have written last. */
const written = (...names: string[]) =>
  ["index.html", "results.json"]
    .map((name) => join(out, ...names, name))
    .map((path) => [readFileSync(path, "utf8"), statSync(path).mtimeMs]);

// In order: each goes on with what the ones before have left.
describe("several seeds", () => {
  it("are refused together, before one of them trains", async () => {
    const taken = join(out, "seed2", "results.json");
    mkdirSync(join(out, "seed2"), { recursive: true });
    writeFileSync(taken, '{ "seeds": [1, 2] }');
    await expect(run([1, 2])).rejects.toMatchObject({ kind: "locked", faults: [{ where: taken }] });
    expect(readdirSync(out)).toEqual(["seed2"]);
    rmSync(out, { recursive: true });
  });

  it("are each an experiment of their own, but for the stages whose seed the file sets", async () => {
    const { result, work } = await run([1, 2]);
    expect(work).toEqual([...workOf(1), ...workOf(2)]);
    expect(readdirSync(out).sort()).toEqual(["index.html", "results.json", "seed1", "seed2"]);
    for (const seed of [1, 2]) {
      expect(readdirSync(join(out, `seed${seed}`)).sort()).toEqual(["a", "hr", "index.html", "results.json"]);
      expect(json(`seed${seed}`, "a", "config.json").options.seed).toBe(seed);
      expect(json(`seed${seed}`, "hr", "config.json").options.seed).toBe(9);
      const own = join(out, `seed${seed}`);
      expect(json(`seed${seed}`, "results.json").command).toBe(
        `patchdrop run ${file} --data_dir ${data} --torch ${torch} --seed ${seed} --out ${own}`,
      );
    }
    expect(result.seeds).toEqual([1, 2]);
    expect(result.sameForAll).toEqual(["hr"]);
    expect(json("results.json")).toMatchObject({ seeds: [1, 2], sameForAll: ["hr"], rows: result.rows });
  });

  it("have the mean of each row, and its interval", async () => {
    const rowsOf = (seed: number): EvaluationRow[] => json(`seed${seed}`, "results.json").rows;
    const { rows } = json("results.json");
    const other = rowsOf(2);
    expect(rows.map(({ name }: EvaluationRow) => name)).toEqual(rowsOf(1).map(({ name }) => name));
    for (const [i, one] of rowsOf(1).entries()) {
      // Two values a and b: s = |a − b| / √2, so t · s / √n = 12.706 · |a − b| / 2.
      for (const key of ["accuracy", "patches"] as const) {
        const half = (12.706 * Math.abs(one[key] - other[i][key])) / 2;
        expect(rows[i][key].mean).toBeCloseTo((one[key] + other[i][key]) / 2, 12);
        expect(rows[i][key].high - rows[i][key].mean).toBeCloseTo(half, 3);
      }
      if (one.gain === undefined) expect(rows[i]).not.toHaveProperty("gain");
      else expect(rows[i].gain.mean).toBeCloseTo((one.gain.mean + other[i].gain!.mean) / 2, 12);
    }
    // Classifiers of one seed are one classifier; the policies differ.
    expect(rows[0].accuracy.high - rows[0].accuracy.low).toBe(0);
    const policy = rows.find(({ kind }: EvaluationRow) => kind === "policy");
    expect(policy.patches.high - policy.patches.low).toBeGreaterThan(0);
  });

  it("that are done are left as they are, and so are table and page", async () => {
    const before = [written(), written("seed1"), written("seed2")];
    const { result, work } = await run([1, 2]);
    expect(work).toEqual([]);
    expect([written(), written("seed1"), written("seed2")]).toEqual(before);
    expect(result.page).toBe(page);
    expect(result.rows).toEqual(json("results.json").rows);
  });

  it("may become more: what is new is trained alone", async () => {
    const before = [written("seed1"), written("seed2")];
    const { result, work } = await run([1, 2, 6]);
    expect(work).toEqual(workOf(6));
    expect([written("seed1"), written("seed2")]).toEqual(before);
    expect(json("results.json")).toMatchObject({ seeds: [1, 2, 6], rows: result.rows });
    expect(readFileSync(page, "utf8")).toContain('href="seed6/index.html"');
  });

  it.each<[string, () => void, string]>([
    ["page", () => rmSync(page), `${page}: missing, or not the page of these results; it is written again`],
    [
      "results",
      () => writeFileSync(results, readFileSync(results, "utf8").replace(/"mean": [\d.]+/, '"mean": 0.99')),
      `${results}: damaged, changed, or of another version; they are written again`,
    ],
  ])("have their %s written again where it is not what it was", async (_, change, note) => {
    const before = json("results.json").rows;
    change();
    const { notes, work } = await run([1, 2, 6]);
    expect(work).toEqual([]);
    expect(notes).toContain(note);
    expect(json("results.json").rows).toEqual(before);
    expect(existsSync(page)).toBe(true);
  });

  it("have another page under another title", async () => {
    await run([1, 2, 6], { ...first, title: "Second" });
    expect(readFileSync(page, "utf8")).toContain("<title>Second</title>");
    expect(readFileSync(join(out, "seed2", "index.html"), "utf8")).toContain("<title>Second</title>");
  });

  it("need a folder that is not one seed's, and leave none to one seed", async () => {
    const one = join(out, "seed1");
    await expect(run([1, 2], first, one)).rejects.toThrow(
      `${join(one, "results.json")}: must be the results of several seeds, got those of one seed; give another --out`,
    );
    const experiment = readExperiment(file, out, { data_dir: data, torch });
    await expect(runExperiment(experiment, out, "patchdrop run x.yaml")).rejects.toThrow(
      `${results}: must be the results of one seed, got those of several seeds; give another --out`,
    );
    expect(readdirSync(out).sort()).toEqual(["index.html", "results.json", "seed1", "seed2", "seed6"]);
  });
});
