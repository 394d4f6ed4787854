/**
 * Time to a result: each side is trained from files, by its own command and recipe (recipes.ts), one after the other, until
 * a test is as good as asked. What it says of its tests is counted again here, from its prediction for each test image.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { fault } from "../src/errors.ts";
import { markdownTable } from "./markdown-table.ts";
import { here } from "./measure.ts";
import { commandOf, type ResultStage, recipes } from "./recipes.ts";

/** What is to be reached on the test images. */
export interface Goal {
  /** 0 … 1. */
  readonly accuracy: number;
  /** Of a policy: at most so many patches, on average. */
  readonly patches?: number | undefined;
}

/** A test during a training, as its side says it. */
export interface Tested {
  readonly epoch: number;
  readonly accuracy: number;
  /** S. */
  readonly sparsity?: number | undefined;
  /** When it was done, in seconds since 1970. */
  readonly time: number;
}

/** A test, counted from predictions. */
export interface Counted {
  readonly images: number;
  readonly accuracy: number;
  readonly patches?: number | undefined;
}

export interface Reached extends Counted {
  readonly side: string;
  readonly epoch: number;
  /** From the start of its command to the end of this test. */
  readonly seconds: number;
  /** Whether the goal was reached. Otherwise these are the numbers of the last test. */
  readonly isReached: boolean;
}

export interface ResultOptions {
  readonly python: string;
  readonly stage: ResultStage;
  readonly dataDir: string;
  readonly goal: Goal;
  readonly seed: number;
  readonly threads: number;
  /** Whether PyTorch computes in bf16. */
  readonly bf16: boolean;
  /** Of a policy: the checkpoint of the classifier that judges. */
  readonly classifier?: string | undefined;
  /** In place of each recipe's own. */
  readonly epochs?: number | undefined;
}

interface Training {
  readonly side: string;
  readonly command: readonly string[];
  /** The command that writes the predictions of a test to a file; none where the training has written them. */
  readonly predict?: (tested: Tested, file: string) => readonly string[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const patchdrop = [process.execPath, path.join(root, "dist", "cli", "patchdrop.js")];
/** Half the width of a 95 % interval, in standard errors. */
const intervalErrors = 1.96;
/** Between a test and its predictions: the last digits of a probability may turn a class. */
const countTolerance = 0.002;

const testedSchema = z.object({
  epoch: z.int(),
  accuracy: z.number(),
  sparsity: z.number().optional(),
  time: z.number(),
});
const lineSchema = z.object({ path: z.string(), class: z.string(), mask: z.string().optional() });

/**
 * Trains all sides of a stage, one after the other.
 * @throws kind "system" when a command fails, or a side says another accuracy than its predictions have
 */
export async function trainSides(options: ResultOptions, say: (text: string) => void): Promise<Reached[]> {
  const folder = mkdtempSync(path.join(tmpdir(), "patchdrop-result-"));
  try {
    const results: Reached[] = [];
    for (const side of sideNamesOf(options)) {
      const own = path.join(folder, side);
      say(`${options.stage}: training ${side}`);
      const result = await trained(trainingOf(side, options, own), own, options);
      say(`${side}: ${result.isReached ? "reached" : "not reached"} in ${result.seconds.toFixed(0)} s`);
      results.push(result);
    }
    return results;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sideNamesOf({ stage, bf16 }: ResultOptions): string[] {
  return stage === "classifier"
    ? ["airbench", "patchdrop"]
    : ["reference", bf16 ? "best-bf16" : "best-fp32", "patchdrop"];
}

function trainingOf(side: string, options: ResultOptions, out: string): Training {
  if (side === "patchdrop") return ours(options, out);
  const { stage, python, dataDir, seed, threads, bf16, classifier, epochs } = options;
  const own =
    stage === "classifier" ? ["--precision", bf16 ? "bf16" : "fp32"] : ["--config", side, "--classifier", classifier!];
  const program = here(stage === "classifier" ? "airbench-peer.py" : "policy-peer.py");
  const given = { data_dir: dataDir, out, seed, threads, ...(epochs !== undefined && { epochs }) };
  const flags = Object.entries(given).flatMap(([name, value]) => [`--${name}`, String(value)]);
  return { side, command: [python, program, ...own, ...recipes[stage].peer, ...flags] };
}

function ours({ stage, dataDir, seed, threads, classifier, epochs }: ResultOptions, out: string): Training {
  const given = {
    // PyTorch's sides drop patches as the paper does, whatever the classifier was trained for.
    ...(stage === "pretrain" && { ckpt_hr_cl: classifier!, fill: "zero" }),
    ...(epochs !== undefined && { max_epochs: epochs }),
  };
  const over = { ...given, data_dir: dataDir, cv_dir: out, seed, threads };
  return {
    side: "patchdrop",
    command: [...patchdrop, ...commandOf(recipes[stage], over)],
    predict: ({ epoch }, file) => {
      const checkpoints = path.join(out, "checkpoints");
      const checkpoint = readdirSync(checkpoints).find((name) => name.startsWith(`ckpt_E_${epoch}_`));
      if (checkpoint === undefined) {
        throw fault("system", {
          where: checkpoints,
          rule: "must have the checkpoint of the test",
          got: `epoch ${epoch}`,
        });
      }
      const load = path.join(checkpoints, checkpoint);
      return [...patchdrop, "predict", "--load", load, "--out", file, "--quiet", path.join(dataDir, "test")];
    },
  };
}

async function trained({ side, command, predict }: Training, out: string, options: ResultOptions): Promise<Reached> {
  mkdirSync(out, { recursive: true });
  const began = Date.now() / 1000;
  await succeed(side, command);
  const tests = testsOf(readFileSync(path.join(out, "metrics.jsonl"), "utf8"));
  if (tests.length === 0) throw fault("system", { where: side, rule: "must test what it has learned", got: "no test" });
  const images = readdirSync(path.join(options.dataDir, "test"), { recursive: true, withFileTypes: true });
  const found = tests.find((test) => isAt(test, options.goal, images.filter((one) => one.isFile()).length));
  const tested = found ?? tests[tests.length - 1];
  const file = path.join(out, `epoch-${tested.epoch}.jsonl`);
  if (predict !== undefined) await succeed(side, predict(tested, file));
  const counted = countLines(readFileSync(file, "utf8"));
  mustAgree(side, tested, counted);
  // A classifier has no patches to choose, though a line of it says that it saw all.
  const patches = options.goal.patches === undefined ? undefined : counted.patches;
  return {
    side,
    ...counted,
    patches,
    epoch: tested.epoch,
    seconds: tested.time - began,
    isReached: found !== undefined,
  };
}

/** The tests of a run's `metrics.jsonl`, in order. */
export function testsOf(text: string): Tested[] {
  const lines = text.split("\n").filter((line) => line !== "");
  const read = lines.map((line) => JSON.parse(line) as { split?: string });
  return read.filter(({ split }) => split === "test").map((line) => testedSchema.parse(line));
}

/**
 * Whether a test reaches the goal. A classifier must have the accuracy. A policy has two numbers, which no two trainings
 * have alike: it must not have more patches, and an accuracy that the goal's is not above by more than the 95 % interval
 * of a share of so many images.
 */
export function isAt(
  { accuracy, sparsity }: Pick<Tested, "accuracy" | "sparsity">,
  goal: Goal,
  images: number,
): boolean {
  if (goal.patches === undefined) return accuracy >= goal.accuracy;
  const interval = intervalErrors * Math.sqrt((goal.accuracy * (1 - goal.accuracy)) / images);
  return (sparsity ?? Number.POSITIVE_INFINITY) <= goal.patches && accuracy >= goal.accuracy - interval;
}

/** An image is of the class that its folder is called. */
export function countLines(text: string): Counted {
  const lines = text.split("\n").filter((line) => line !== "");
  const read = lines.map((line) => lineSchema.parse(JSON.parse(line)));
  const right = read.filter((line) => line.class === path.basename(path.dirname(line.path))).length;
  const masks = read.flatMap(({ mask }) => mask ?? []);
  const taken = masks.reduce((sum, mask) => sum + mask.replaceAll("0", "").length, 0);
  return {
    images: read.length,
    accuracy: right / read.length,
    patches: masks.length > 0 ? taken / masks.length : undefined,
  };
}

function mustAgree(side: string, { accuracy }: Tested, counted: Counted): void {
  const tolerance = Math.max(countTolerance, 1 / counted.images) + Number.EPSILON;
  if (Math.abs(accuracy - counted.accuracy) <= tolerance) return;
  const rule = `must have said the accuracy of its predictions, ${counted.accuracy}`;
  throw fault("system", { where: side, rule, got: accuracy });
}

/** Runs a command, whose words go to stderr. @throws kind "system" unless it ends with 0 */
async function succeed(where: string, [program, ...words]: readonly string[]): Promise<void> {
  const child = spawn(program, words, { stdio: ["ignore", process.stderr, process.stderr] });
  const got = await new Promise<string>((resolve) => {
    child.once("error", ({ message }) => resolve(message));
    child.once("close", (code, signal) => resolve(code === 0 ? "" : `exit ${code ?? signal}`));
  });
  if (got !== "") throw fault("system", { where, rule: "must end with 0", got });
}

/** The ratio is a side's seconds over this program's, where both reached the goal. */
export function resultTable(results: readonly Reached[]): string {
  const own = results.find(({ side }) => side === "patchdrop");
  const rows = results.map((result) => {
    const { side, accuracy, patches, epoch, seconds, isReached } = result;
    const ratio = isReached && own?.isReached === true ? (seconds / own.seconds).toFixed(2) : "–";
    const percent = `${(100 * accuracy).toFixed(2)} %`;
    return [
      side,
      isReached ? "yes" : "no",
      percent,
      patches?.toFixed(2) ?? "–",
      String(epoch),
      seconds.toFixed(0),
      ratio,
    ];
  });
  const header = ["side", "reached", "accuracy", "patches", "epoch", "seconds", "over patchdrop's"];
  return markdownTable(header, rows, 2);
}
