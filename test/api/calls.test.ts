/** The library's calls: options as a program writes them, checked, with the commands' defaults, and the same as parsed ones. */
import { existsSync } from "node:fs";
import { beforeAll, expect, it } from "vitest";
import { acquireRun, evaluateRun, exportRun, train } from "../../src/api/calls.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { readImage } from "../../src/data/read-image.ts";
import { parseAcquireOptions } from "../../src/options/acquire-options.ts";
import { parseEvalOptions } from "../../src/options/eval-options.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { Stopped, stopOn } from "../../src/utils/reporter.ts";
import { blockScene, writeScene } from "../acquire/scenes.ts";
import { exact, memoryData, refusal, SmallRuns } from "../training/small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();
const small = { ...exact, model: "R8_Scenes", batch_size: 8, max_epochs: 1 };

beforeAll(async () => {
  await train("classifier_training", { ...small, cv_dir: runs.at("hr") }, { data });
  const policy = { ...small, cv_dir: runs.at("policy"), ckpt_hr_cl: runs.at("hr") };
  await train("pretrain", parseOptions("pretrain", policy), { data });
});

it("evaluates alike by options as they are written and by parsed ones", async () => {
  const options = { ...exact, load: runs.at("policy") };
  const written = await evaluateRun(options, undefined, { data });
  expect(written.rows[0].name).toContain("policy");
  expect(written).toEqual(await evaluateRun(parseEvalOptions(options), undefined, { data }));
});

it("goes on with a run that a signal stopped, to the same numbers", async () => {
  const options = { ...small, max_epochs: 2, test_interval: 1, cv_dir: runs.at("cut") };
  const whole = await train("classifier_training", { ...options, cv_dir: runs.at("whole") }, { data });
  const reporter = stopOn(AbortSignal.abort());
  expect((await train("classifier_training", options, { data, reporter })).stopped).toBe("SIGTERM");
  const { test, stopped } = await train("classifier_training", { cv_dir: runs.at("cut"), resume: true }, { data });
  expect({ test, stopped }).toEqual({ test: whole.test, stopped: undefined });
  await expect(evaluateRun({ load: runs.at("hr") }, reporter, { data })).rejects.toEqual(new Stopped("SIGTERM"));
});

it("refuses options that cannot be, all at once, before anything is opened", async () => {
  const wrong = { load: "nowhere", target_patches: -1, seed: 0.5 };
  const { kind, faults } = await refusal(() => evaluateRun(wrong));
  expect(kind).toBe("usage");
  expect(faults.map(({ where }) => where)).toEqual(["--target_patches", "--seed"]);
  expect((await refusal(() => exportRun({ load: "nowhere", out: runs.at("none"), batch_size: 0 }))).kind).toBe("usage");
  expect((await refusal(() => train("pretrain", { ckpt_hr_cl: "nowhere", alpha: 2 }))).kind).toBe("usage");
});

it("refuses what only a program in JavaScript can get wrong, and names what there is", async () => {
  const wrong = (call: () => unknown) => refusal(async () => call()).then(({ kind, message }) => `${kind}: ${message}`);
  // @ts-expect-error a stage that there is not
  const misspelt = () => train("finetun", {});
  const stages = "classifier_training, pretrain, finetune, finetune2stream";
  expect(await wrong(misspelt)).toBe(`usage: stage: must be one of ${stages}, got finetun; did you mean finetune?`);
  // @ts-expect-error no options
  expect(await wrong(() => evaluateRun())).toBe("usage: options: must be given; see `patchdrop eval --help`");
  // @ts-expect-error no checkpoint
  const unnamed = () => openCheckpoint();
  expect(await wrong(unnamed)).toBe("usage: checkpoint: must be a path, or patchdrop:NAME, got nothing");
  // @ts-expect-error no images
  expect(await wrong(() => new MemoryDataset())).toMatch(
    /^usage: MemoryDataset: must be given name, classes, .*, got undefined$/,
  );
  // @ts-expect-error no target
  expect(await wrong(() => readImage("image.png"))).toMatch(
    /^usage: readImage: imageSize: must be .*\nreadImage: transform: must be /,
  );
});

it("takes bands and scale as numbers, as texts, and as they were parsed", async () => {
  await writeScene(runs.at("scene.tif"), blockScene(64, 32), { resampling: "nearest" });
  const run = { ...exact, load: runs.at("policy") };
  const acquired = (out: string, more: Pick<Parameters<typeof acquireRun>[1], "bands" | "scale">) =>
    acquireRun(runs.at("scene.tif"), { ...run, out: runs.at(out), ...more });
  const { cells } = await acquired("numbers", { bands: [3, 2, 1], scale: [0, 255] });
  expect((await acquired("texts", { bands: "3,2,1", scale: "0,255" })).cells).toEqual(cells);
  const parsed = parseAcquireOptions({ ...run, out: runs.at("parsed"), bands: "3,2,1", scale: "0,255" });
  expect((await acquireRun(runs.at("scene.tif"), parsed)).cells).toEqual(cells);
  expect(existsSync(runs.at("parsed", "patches.geojson"))).toBe(true);
  const { faults } = await refusal(() => acquired("refused", { bands: [3, 2, 0] }));
  expect(faults[0]).toMatchObject({ where: "--bands", got: [3, 2, 0] });
});
