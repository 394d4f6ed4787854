/**
 * Measures training and evaluation in images/s beside PyTorch, on this machine, in one run:
 *
 *     npm run bench -- --python path/to/python
 *
 * The table goes to stdout, all numbers as JSON to bench/results/. How and why is in docs/performance.md.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError, Option } from "commander";
import { finish } from "../src/cli/exit.ts";
import { fault } from "../src/errors.ts";
import { listGpus } from "../src/native/gpus.ts";
import { cpuFeatures, hasBf16 } from "../src/utils/cpu.ts";
import { version } from "../src/utils/version.ts";
import { check, type Place, store } from "./baseline.ts";
import { markdownTable } from "./markdown-table.ts";
import {
  Bench,
  bestOf,
  type CaseResult,
  type Comparison,
  eagerBestOf,
  lossTolerance,
  type Measured,
  median,
  ratios,
} from "./measure.ts";
import { operationsOf, peakGflops } from "./operations.ts";
import { compareRanks, imagesARank, type RanksCase, ranksTable } from "./ranks.ts";
import { recipes, resultStages } from "./recipes.ts";
import { resultTable, trainSides } from "./result.ts";
import { type BenchModel, benchModels, lastLine, type Stage, stages, type Unit, units } from "./side.ts";

/** What a stage is measured at: its own default batches, and for the classifier a larger one too. */
const smallBatches: Record<Stage, readonly number[]> = {
  classifier: [64, 256],
  pretrain: [512, 1024],
  finetune: [256],
  finetune2stream: [256],
  eval: [512],
};
const largeBatch = [64];
/** Timed steps a side, by default: on a GPU they take a few milliseconds each. */
const stepsOf = { cpu: 20, cuda: 100 } as const;
const root = fileURLToPath(new URL("..", import.meta.url));
const startsTimed = 5;
/** What must answer at once, and in how many seconds. */
const starts = { "--help": 0.3, doctor: 2 } as const;

const program = new Command("bench")
  .description("Measures images/s and memory of each stage beside PyTorch.")
  .addOption(
    new Option("--python <path>", "Python that imports torch and numpy")
      .env("PATCHDROP_BENCH_PYTHON")
      .default("python3"),
  )
  .option("--stages <list>", `stages, with commas between (${stages.join(",")})`, stageList, [...stages])
  .option("--models <list>", `models, with commas between (${benchModels.join(",")})`, modelList, [...benchModels])
  .option(
    "--batch <n>",
    "images a step of every stage (with --ranks: of each rank), in place of the stage's own",
    whole(2),
  )
  .addOption(
    new Option(
      "--unit <name>",
      "what is timed: steps, whole epochs with each side's own loader, or trainings to a result",
    )
      .choices([...units, "result"])
      .default("step"),
  )
  .option("--steps <n>", "timed steps (or epochs) a side (default: 20 steps, on a GPU 100, or 3 epochs)", whole(1))
  .option(
    "--ranks <n>",
    "so many ranks of one thread each, by mpirun, beside PyTorch's DistributedDataParallel",
    whole(2),
  )
  .option("--threads <n>", "threads of every side; all processors when absent", whole(1))
  .addOption(new Option("--device <name>", "where every side computes").choices(["cpu", "cuda"]).default("cpu"))
  .option("--no-cuda-graph", "with --device cuda, no side captures its step")
  .option("--no-compile", "without (d), PyTorch's torch.compile")
  .option("--data_dir <path>", "with --unit result: class folders of images, train/ and test/")
  .option("--accuracy <x>", "with --unit result: what is to be reached on the test images, 0 … 1", share)
  .option("--patches <x>", "with --unit result, of a policy: by at most so many patches, on average", positive)
  .option("--classifier <path>", "with --unit result, of a policy: checkpoint of the classifier that judges")
  .option("--epochs <n>", "with --unit result: in place of each recipe's own", whole(1))
  .option("--seed <n>", "with --unit result", whole(0), 1)
  .option("--check", "fail when a ratio is a tenth below the one stored for this processor in bench/baseline.json")
  .option("--store", "store the ratios there")
  .option("--json <path>", "file for the numbers (default: bench/results/<date>.json)")
  .exitOverride();

try {
  program.parse();
  const options = program.opts<Options>();
  const { unit, ranks } = options;
  if (unit === "result") await runResult(options);
  else await (ranks === undefined ? run(options, unit) : runRanks(options, ranks));
} catch (error) {
  finish(error);
}

interface Options {
  readonly python: string;
  readonly stages: Stage[];
  readonly models: BenchModel[];
  readonly batch?: number;
  readonly unit: Unit | "result";
  readonly steps?: number;
  readonly ranks?: number;
  readonly threads?: number;
  readonly device: "cpu" | "cuda";
  readonly cudaGraph: boolean;
  readonly compile: boolean;
  readonly data_dir?: string;
  readonly accuracy?: number;
  readonly patches?: number;
  readonly classifier?: string;
  readonly epochs?: number;
  readonly seed: number;
  readonly check?: boolean;
  readonly store?: boolean;
  readonly json?: string;
}

interface Result {
  cases: CaseResult[];
  firstLosses: Record<string, Comparison>;
  /** Of this program's build, by command; undefined without one. */
  startSeconds: Record<string, number> | undefined;
  /** What the processor does at most in each precision that this program used, in 10⁹ operations a second. */
  peakGflops: Record<string, number | undefined>;
}

async function run(options: Options, unit: Unit): Promise<void> {
  const { python, stages: chosen, models, batch, threads = availableParallelism() } = options;
  const { device, cudaGraph: graph, steps = unit === "step" ? stepsOf[device] : 3 } = options;
  const torch = torchOf(python);
  say(`PyTorch ${torch}, ${device}, ${threads} threads, ${steps} ${unit}s a side`);
  const bf16 = device === "cuda" || hasBf16();
  if (!bf16) say("PyTorch in bf16 is left out: this processor would emulate it, which is never the faster");
  const compiled = options.compile && compiles(python, device);
  const bench = new Bench({ python, threads, device, graph, unit, bf16, compiled });
  const result: Result = { cases: [], firstLosses: {}, startSeconds: startSeconds(), peakGflops: {} };
  for (const model of models) {
    for (const stage of chosen) {
      result.firstLosses[`${model} ${stage}`] = await bench.compare(stage, model);
      const usual = model === "R32_C10" ? smallBatches[stage] : largeBatch;
      const own = unit === "step" ? usual : usual.slice(0, 1);
      for (const images of batch === undefined ? own : [batch]) {
        say(`${model} ${stage}, ${images} images: first losses agree, timing`);
        result.cases.push(await bench.time(stage, model, images, steps));
      }
    }
  }
  if (device === "cpu") {
    const used = new Set(result.cases.map(({ sides }) => sides.patchdrop.precision));
    for (const precision of used) result.peakGflops[precision] = peakGflops(precision, threads);
  }
  process.stdout.write(`${machineLine()}\n${table(result.cases)}${peakLines(result)}${startLines(result)}`);
  write({ ...provenance({ torch, threads, unit, steps, device, graph }), ...result }, options.json);
  const place: Place = { processor: processor(), processors: availableParallelism(), threads, device, unit };
  if (options.check === true) process.stdout.write(`\n${check(result.cases, place)}`);
  if (options.store === true) store(result.cases, place, torch);
}

/** The stages on many ranks: the table, and the same numbers as JSON. */
async function runRanks({ python, stages: chosen, models, batch, steps = 20, json }: Options, ranks: number) {
  const torch = torchOf(python);
  say(`PyTorch ${torch}, ${ranks} ranks of one thread, ${steps} steps a side`);
  const cases: RanksCase[] = [];
  for (const model of models) {
    for (const stage of chosen.filter((name) => name !== "eval")) {
      const each = batch ?? imagesARank[model];
      say(`${model} ${stage}, ${each} images a rank`);
      cases.push(await compareRanks({ python, stage, model, ranks, each, steps, bf16: hasBf16() }));
    }
  }
  process.stdout.write(`${machineLine()}\n${ranksTable(cases, ranks)}`);
  write({ ...provenance({ torch, device: "cpu", ranks, steps }), cases }, json);
}

/** Trainings of the one stage to the goal: the table, and the same numbers as JSON. */
async function runResult(options: Options): Promise<void> {
  const { python, stages: chosen, threads = availableParallelism(), seed, epochs, json } = options;
  const [stage] = resultStages.filter((name) => chosen.length === 1 && name === chosen[0]);
  const { data_dir: dataDir, accuracy, patches, classifier } = options;
  const missing = [
    stage === undefined && `--stages ${resultStages.join(" or ")}`,
    dataDir === undefined && "--data_dir",
    accuracy === undefined && "--accuracy",
    stage === "pretrain" && patches === undefined && "--patches",
    stage === "pretrain" && classifier === undefined && "--classifier",
  ].filter((name) => name !== false);
  if (stage === undefined || dataDir === undefined || accuracy === undefined || missing.length > 0) {
    throw fault("usage", { where: "--unit result", rule: `needs ${missing.join(" and ")}` });
  }
  if (!existsSync(path.join(root, "dist", "cli", "patchdrop.js"))) {
    throw fault("input", {
      where: "dist",
      rule: "must hold the build that is measured",
      got: "none",
      next: "npm run build",
    });
  }
  const torch = torchOf(python, stage === "classifier" ? "torchvision, airbench" : "torchvision");
  const goal = { accuracy, patches: stage === "pretrain" ? patches : undefined };
  const bf16 = hasBf16();
  const results = await trainSides({ python, stage, dataDir, goal, seed, threads, bf16, classifier, epochs }, say);
  process.stdout.write(`${machineLine()}\n${resultTable(results)}`);
  write({ ...provenance({ torch, device: "cpu", threads, seed, stage }), goal, recipe: recipes[stage], results }, json);
}

function write(numbers: unknown, json: string | undefined): void {
  const name = `${new Date().toISOString().replaceAll(":", "-")}.json`;
  const file = json ?? path.join(root, "bench", "results", name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(numbers, null, 2)}\n`);
  say(`written to ${path.relative(process.cwd(), file)}`);
}

function say(text: string): void {
  process.stderr.write(`bench: ${text}\n`);
}

/** The version of PyTorch. @throws kind "input" when `python` cannot import it */
function torchOf(python: string, also?: string): string {
  const modules = ["numpy, torch", ...(also === undefined ? [] : [also])].join(", ");
  const { error, status, stdout, stderr } = spawnSync(python, ["-c", `import ${modules}; print(torch.__version__)`], {
    encoding: "utf8",
  });
  if (status === 0) return lastLine(stdout);
  throw fault("input", {
    where: "--python",
    rule: `must name a Python that imports ${modules}`,
    got: `${python}: ${error?.message ?? lastLine(stderr)}`,
    next: "give its path, or set PATCHDROP_BENCH_PYTHON",
  });
}

/** Whether torch.compile works: it needs a C++ compiler and Python's headers, on a GPU Triton too. Says so where it does not. */
function compiles(python: string, device: Options["device"]): boolean {
  const tiny = `import torch; print(torch.compile(lambda x: x.sin() + 1)(torch.ones(2, device="${device}")).numel())`;
  const { status, stderr } = spawnSync(python, ["-c", tiny], { encoding: "utf8" });
  if (status === 0) return true;
  const why = stderr.split("\n").find((line) => /compiler|Python\.h|triton/i.test(line)) ?? lastLine(stderr);
  say(`(d), torch.compile, is left out: it does not work here: ${why.trim()}`);
  return false;
}

/** Seconds that the last build takes to answer; undefined when there is none. */
function startSeconds(): Record<string, number> | undefined {
  const main = path.join(root, "dist", "cli", "patchdrop.js");
  if (!existsSync(main)) return undefined;
  const timed = (command: string): number => {
    const began = performance.now();
    const { status } = spawnSync(process.execPath, [main, command]);
    if (status !== 0) throw fault("system", { where: `patchdrop ${command}`, rule: "must end with 0", got: status });
    return (performance.now() - began) / 1000;
  };
  return Object.fromEntries(
    Object.keys(starts).map((command) => [command, median(Array.from({ length: startsTimed }, () => timed(command)))]),
  );
}

function peakLines({ peakGflops: peaks }: Result): string {
  return Object.entries(peaks)
    .map(([precision, gflops]) => `\nproduct of two matrices in ${precision}: ${gflops?.toFixed(0) ?? "?"} GFLOP/s\n`)
    .join("");
}

function startLines({ startSeconds: seconds }: Result): string {
  if (seconds === undefined) return "\nStarts: not measured, since nothing is built (npm run build)\n";
  const line = ([command, aim]: [string, number]) =>
    `patchdrop ${command}: ${seconds[command].toFixed(2)} s (median of ${startsTimed}; the aim is ${aim} s)\n`;
  return `\n${Object.entries(starts).map(line).join("")}`;
}

function machineLine(): string {
  return `${processor()}, ${availableParallelism()} processors; ${cpuFeatures().join(" ")}\n`;
}

function table(cases: readonly CaseResult[]): string {
  const compiled = cases.some(({ sides }) => sides.compiled !== undefined);
  const ofEpochs = cases.some(({ sides }) => sides.patchdrop.epochOverSteps !== undefined);
  const header = [
    "model",
    "stage",
    "batch",
    "(a) reference",
    "(b) best",
    "(c) patchdrop",
    ...(compiled ? ["(d) compiled", "d compiles"] : []),
    "c/a",
    compiled ? "c/best" : "c/b",
    "c GFLOP/s",
    "peak MiB: a",
    "b",
    "c",
    ...(ofEpochs ? ["c: epoch/steps"] : []),
  ];
  const rows = cases.map((measured) => {
    const { stage, model, batch, sides } = measured;
    const [a, b, c, d] = [sides.reference, eagerBestOf(sides), sides.patchdrop, sides.compiled];
    const { overReference, overBest } = ratios(measured);
    const peaks = [a, b, c].map(({ peakRssBytes }) => (peakRssBytes / 2 ** 20).toFixed(0));
    const gflops = (c.imagesPerSecond * operationsOf(stage, model)) / 1e9;
    const best = d === undefined ? "" : bestOf(sides) === d ? " (d)" : " (b)";
    const over = [overReference.toFixed(2), overBest.toFixed(2) + best, gflops.toFixed(0)];
    const ofCompiled = d === undefined ? [] : [speed(d), `${d.compileSeconds?.toFixed(0) ?? "?"} s`];
    const ofSteps = c.epochOverSteps === undefined ? [] : [c.epochOverSteps.toFixed(3)];
    return [model, stage, String(batch), speed(a), speed(b), speed(c), ...ofCompiled, ...over, ...peaks, ...ofSteps];
  });
  return markdownTable(header, rows, 2);
}

function speed({ imagesPerSecond, precision }: Measured): string {
  return `${imagesPerSecond.toFixed(0)} ${precision}`;
}

function processor(): string {
  return cpus()[0]?.model ?? "unknown processor";
}

/** What the numbers hold for. */
function provenance({ torch, ...settings }: Record<"torch" | "device", string> & Record<string, unknown>) {
  return {
    date: new Date().toISOString(),
    speeds: "images/s by the median of the seconds",
    machine: {
      processor: processor(),
      flags: cpuFeatures(),
      processors: availableParallelism(),
      memoryBytes: totalmem(),
      system: `${process.platform} ${release()} ${process.arch}`,
    },
    versions: { patchdrop: version(), node: process.version, torch },
    ...settings,
    gpus: listGpus().gpus,
    lossTolerance,
  };
}

function stageList(text: string): Stage[] {
  return text.split(",").map((name) => {
    const stage = stages.find((known) => known === name);
    if (stage === undefined) throw new InvalidArgumentError(`"${name}" must be one of ${stages.join(", ")}.`);
    return stage;
  });
}

function modelList(text: string): BenchModel[] {
  return text.split(",").map((name) => {
    const model = benchModels.find((known) => known === name);
    if (model === undefined) throw new InvalidArgumentError(`"${name}" must be one of ${benchModels.join(", ")}.`);
    return model;
  });
}

function share(text: string): number {
  const value = positive(text);
  if (value > 1) throw new InvalidArgumentError("Must be at most 1.");
  return value;
}

function positive(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value) || value <= 0) throw new InvalidArgumentError("Must be a number above 0.");
  return value;
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text === "" || !Number.isSafeInteger(value) || value < least) {
      throw new InvalidArgumentError(`Must be a whole number from ${least} on.`);
    }
    return value;
  };
}
