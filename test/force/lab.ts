/** Small commands of each kind and what they make when nothing cuts them, kept from one script and run to the next. */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { configName } from "../../src/checkpoints/saved-checkpoints.ts";
import { blockScene, writeScene } from "../acquire/scenes.ts";
import { makeImageFolder } from "../e2e/images.ts";
import { makeFolders } from "../make-folders.ts";
import { buildStamp, succeed } from "./program.ts";
import { trained } from "./trained.ts";

/** A command that makes `out`. */
export interface Target {
  readonly name: string;
  /** Whose uncut results it starts from. */
  readonly needs: readonly string[];
  readonly command: (out: string) => string[];
  /** How it goes on with an `out` that was begun; undefined where that is whole. */
  readonly again: (out: string) => string[] | undefined;
  /** What must be the same, cut or not. */
  readonly result: (out: string) => unknown;
}

/** The build and its results: another build has another folder. */
export const lab = join(tmpdir(), `patchdrop-force-${buildStamp()}`);
const data = join(lab, "data");
/** What the uncut command of a target made. */
export const uncut = (name: string) => join(lab, "uncut", name);

const threads = ["--threads", "2"];
const training = [
  ...["--model", "R8_Scenes", "--data_dir", data, "--batch_size", "8", "--max_epochs", "2", "--test_interval", "1"],
  ...threads,
];

function stage(name: string, needs: readonly string[], flags: readonly string[]): Target {
  const command = (out: string) => [...flags, ...training, "--cv_dir", out];
  const again = (out: string) => (existsSync(join(out, configName)) ? [...command(out), "--resume"] : command(out));
  return { name, needs, command, again, result: trained };
}

const experiment = join(lab, "experiment.yaml");
const runCommand = (out: string) => ["run", experiment, "--out", out, ...threads];
const predictCommand = (out: string) => [
  ...["predict", data, "--load", uncut("finetune"), "--out", out, "--batch_size", "4"],
  ...threads,
];
const scene = join(lab, "scene.tif");
export const acquireCommand = (from: string) => (out: string) => [
  ...["acquire", from, "--load", uncut("pretrain"), "--out", out, "--batch_size", "2"],
  ...threads,
];

export const targets: readonly Target[] = [
  stage("classifier_training", [], ["classifier_training", "--schedule", "onecycle"]),
  stage("low_classifier", [], ["classifier_training", "--stream_id", "LR", "--clip", "1"]),
  stage("pretrain", ["classifier_training"], ["pretrain", "--ckpt_hr_cl", uncut("classifier_training")]),
  stage(
    "finetune",
    ["pretrain"],
    ["finetune", "--load", uncut("pretrain"), "--ckpt_hr_cl", uncut("classifier_training")],
  ),
  stage(
    "finetune2stream",
    ["finetune", "low_classifier"],
    ["finetune2stream", "--load", uncut("finetune"), "--ckpt_lr_cl", uncut("low_classifier"), "--fill", "lr"],
  ),
  { name: "run", needs: [], command: runCommand, again: runCommand, result: experimentResult },
  {
    name: "predict",
    needs: ["finetune"],
    command: predictCommand,
    again: (out) => [...predictCommand(out), "--resume"],
    result: (out) => readFileSync(out, "utf8").replaceAll(/"ms":[\d.]+/g, ""),
  },
  {
    name: "acquire",
    needs: ["pretrain"],
    command: acquireCommand(scene),
    // Its folder is renamed into place when whole: a kill may come between that and the end of the process.
    again: (out) => (existsSync(out) ? undefined : acquireCommand(scene)(out)),
    result: acquired,
  },
];

/** Both stages, and the table without what tells the time. */
function experimentResult(out: string) {
  const timeless = (key: string, value: unknown) =>
    /seconds|time|checkpoint|per_second/i.test(key) ? undefined : value;
  const { rows } = JSON.parse(readFileSync(join(out, "results.json"), "utf8"), timeless) as { rows: unknown };
  return { rows, stages: ["hr", "pretrain"].map((name) => trained(join(out, name))) };
}

/** The files that name no time, by their hash, and the names of all. */
export function acquired(out: string) {
  const names = readdirSync(out).sort();
  const exact = names.filter((name) => name !== "savings.json" && name !== "item.json");
  const hash = (name: string) =>
    createHash("sha256")
      .update(portless(readFileSync(join(out, name))))
      .digest("hex");
  return { names, hashes: Object.fromEntries(exact.map((name) => [name, hash(name)])) };
}

/** A server of a test has another port each time. */
const portless = (bytes: Buffer) => bytes.toString("latin1").replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1");

interface Uncut {
  readonly result: unknown;
  readonly ms: number;
}

const known = new Map<string, Uncut>();

/** What a target makes when nothing cuts it, and how long that took; made once for each build. */
export async function uncutOf(target: Target): Promise<Uncut> {
  const found = known.get(target.name);
  if (found !== undefined) return found;
  await makeInputs();
  for (const name of target.needs) await uncutOf(named(name));
  const mark = join(lab, `${target.name}.done`);
  if (!existsSync(mark)) {
    rmSync(uncut(target.name), { recursive: true, force: true });
    const { ms } = await succeed(target.command(uncut(target.name)));
    writeFileSync(mark, String(ms));
  }
  const made = { result: target.result(uncut(target.name)), ms: Number(readFileSync(mark, "utf8")) };
  known.set(target.name, made);
  return made;
}

export function named(name: string): Target {
  const target = targets.find((one) => one.name === name);
  if (target === undefined) throw new Error(`no target ${name}: ${targets.map((one) => one.name).join(", ")}`);
  return target;
}

async function makeInputs(): Promise<void> {
  const mark = join(lab, "inputs.done");
  if (existsSync(mark)) return;
  rmSync(lab, { recursive: true, force: true });
  mkdirSync(join(lab, "uncut"), { recursive: true });
  // 33 images: four steps of 8 an epoch, and one image that is left out.
  await makeImageFolder(data, { classes: 3, train: 11, test: 3 });
  await writeScene(scene, blockScene(256, 192));
  const yaml = `title: two stages
common: { model: R8_Scenes, data_dir: ${data}, batch_size: 8, max_epochs: 2 }
stages:
  hr: { stage: classifier_training }
  pretrain: { stage: pretrain, ckpt_hr_cl: hr }
`;
  makeFolders(lab, { "experiment.yaml": yaml });
  writeFileSync(mark, "");
}
