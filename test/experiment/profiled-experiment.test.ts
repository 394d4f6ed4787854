/** `patchdrop run --profile`: the experiment's own time and that of its stages, in its folder and on its page. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, it } from "vitest";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { reportRuns } from "../../src/experiment/report-runs.ts";
import { runExperiment } from "../../src/experiment/run-experiment.ts";
import { parseWith } from "../../src/options/parse.ts";
import { reportSchema } from "../../src/options/report-options.ts";
import { readProfile } from "../../src/run/stored-profile.ts";
import { type Reporter, silentReporter } from "../../src/utils/reporter.ts";
import { stopAfter } from "../training/small-runs.ts";
import { experimentFolder } from "./experiment-folder.ts";

const { folder, data, out, file, page, torch } = experimentFolder("patchdrop-profile-", {
  classes: 3,
  train: 8,
  test: 4,
});
const stored = join(out, "profile.json");

beforeAll(() => {
  const common = "model: R8_Scenes, dataset: folder, batch_size: 8, max_epochs: 1, precision: fp32, threads: 1";
  const stages = "hr: { stage: classifier_training }, a: { stage: pretrain, ckpt_hr_cl: hr, curriculum: false }";
  writeFileSync(file, `common: { ${common} }\nstages: { ${stages} }\n`);
});

async function run(overrides: Record<string, unknown> = {}, reporter: Reporter = silentReporter) {
  const notes: string[] = [];
  const experiment = readExperiment(file, out, { data_dir: data, torch, ...overrides });
  const context = { reporter: { ...reporter, note: (text: string) => void notes.push(text) } };
  return { notes, result: await runExperiment(experiment, out, "patchdrop run x.yaml", context) };
}

const callsOf = (where: string) => {
  return Object.fromEntries(readProfile(where)!.kinds.map(({ kind, calls }) => [kind, calls]));
};
const headings = () =>
  Array.from(readFileSync(page, "utf8").matchAll(/<h3>([^<]*)<\/h3><p>[\d.]+ s\b/g), ([, name]) => name);

// In order: each goes on with what the ones before have left.
it("that is stopped stores what it came to", async () => {
  const { result } = await run({ profile: true }, stopAfter(2));
  expect(result.stopped).toBe("SIGTERM");
  expect(callsOf(out)).toMatchObject({ "training of hr": 1 });
  expect(callsOf(join(out, "hr"))).toMatchObject({ backward: 2 });
});

it("adds the session to it that goes on, and shows all on the page", async () => {
  const { notes } = await run({ profile: true });
  expect(callsOf(out)).toEqual({
    ...{ other: 0, page: 1 },
    ...{ "training of hr": 2, "training of a": 1, "evaluation of hr": 1, "evaluation of a": 1 },
  });
  expect(readProfile(out)?.sessions).toBe(2);
  expect(readProfile(out)?.training).toBeUndefined();
  expect(headings()).toEqual(["the experiment", "hr", "a"]);
  const first = (name: string) =>
    notes.findIndex((note) => note.startsWith(`${name}: `) && / s( in \d sessions)?(;|$)/.test(note));
  expect([first("hr"), first("a"), first(out)].every((at) => at !== -1)).toBe(true);
});

it("where all is done measures nothing and leaves the page as it is", async () => {
  const before = [page, stored].map((path) => [readFileSync(path, "utf8"), statSync(path).mtimeMs]);
  const { notes } = await run({ profile: true });
  expect([page, stored].map((path) => [readFileSync(path, "utf8"), statSync(path).mtimeMs])).toEqual(before);
  expect(notes).toEqual([`hr: already done, in ${join(out, "hr")}`, `a: already done, in ${join(out, "a")}`]);
});

it("shows what was measured before, also where nothing is now", async () => {
  rmSync(page);
  const before = readFileSync(stored, "utf8");
  await run();
  expect(headings()).toEqual(["the experiment", "hr", "a"]);
  expect(readFileSync(stored, "utf8")).toBe(before);
});

it("writes the page again where the time of a stage is another, or is gone", async () => {
  rmSync(join(out, "a", "profile.json"));
  await run();
  expect(headings()).toEqual(["the experiment", "hr"]);
});

it("is a part of a report of the runs, and of its JSON", async () => {
  const html = join(folder, "report.html");
  const given = { out: html, sweep: false, threads: 1, precision: "fp32", torch };
  const options = parseWith(reportSchema, given, "report");
  const report = await reportRuns([out], options, "patchdrop report", silentReporter);
  expect(Object.keys(report.profiles)).toEqual(["hr"]);
  expect(report.profiles.hr).toEqual(readProfile(join(out, "hr")));
  expect(readFileSync(html, "utf8")).toContain('id="where-the-time-went"');
});

it("that is damaged is refused before anything is done, the stages' before they are evaluated", async () => {
  const ofStage = join(out, "hr", "profile.json");
  for (const place of [stored, ofStage]) {
    const whole = readFileSync(place, "utf8");
    writeFileSync(place, whole.replace('"format": 1', '"format": 3'));
    rmSync(join(out, "results.json"), { force: true });
    await expect(run()).rejects.toThrow(`${place}: does not match its own checksum; remove it: nothing else needs it`);
    expect(existsSync(join(out, "results.json"))).toBe(false);
    writeFileSync(place, whole);
  }
});

it("may be asked for in the file", () => {
  const asking = join(folder, "asking.yaml");
  writeFileSync(asking, "common: { profile: true }\nstages: { hr: { stage: classifier_training } }\n");
  const asked = (overrides = {}) => readExperiment(asking, out, overrides).stages.map(({ options }) => options.profile);
  expect(asked()).toEqual([true]);
  // A flag that was not given says nothing.
  expect(asked({ profile: undefined })).toEqual([true]);
});
