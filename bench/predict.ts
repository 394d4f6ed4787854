/**
 * From image files to lines of predictions: `patchdrop predict` beside PyTorch with the same networks (predict-peer.py), whole
 * commands, from their start to their end.
 *
 *     npx tsx bench/predict.ts --python path/to/python --load runs/finetune/last --images cifar10/test
 *
 * First both do it in float32, PyTorch with Pillow, whose resizing this program does too; 99.9 % of the
 * images must get the same class. Then PyTorch's reader (torchvision's or Pillow's) and its number of workers are tried, and the
 * best of them and this program take turns.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { finish } from "../src/cli/exit.ts";
import { fault } from "../src/errors.ts";
import { hasBf16 } from "../src/utils/cpu.ts";
import { here, median } from "./measure.ts";
import { sameClasses } from "./same-classes.ts";
import { lastLine } from "./side.ts";

const readers = ["torchvision", "pil"] as const;
const workerCounts = [0, 2, 4];
const leastSame = 0.999;

const text = { type: "string" } as const;
const argumentsSchema = z.object({
  python: z.string().default(process.env.PATCHDROP_BENCH_PYTHON ?? "python3"),
  load: z.string(),
  images: z.string(),
  rounds: z.coerce.number().int().min(1).default(3),
  threads: z.coerce.number().int().min(1).default(availableParallelism()),
});

const folder = mkdtempSync(path.join(tmpdir(), "patchdrop-predict-"));
try {
  const options = { python: text, load: text, images: text, rounds: text, threads: text };
  compare(argumentsSchema.parse(parseArgs({ options }).values));
} catch (error) {
  finish(error);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function compare({ python, load, images, rounds, threads }: z.infer<typeof argumentsSchema>): void {
  const main = fileURLToPath(new URL("../dist/cli/patchdrop.js", import.meta.url));
  const common = ["--load", load, "--threads", String(threads)];
  const [ourLines, peerLines] = ["ours.jsonl", "peer.jsonl"].map((name) => path.join(folder, name));
  const ours = (precision: string) =>
    secondsOf([
      process.execPath,
      main,
      "predict",
      ...common,
      "--precision",
      precision,
      "--quiet",
      "--out",
      ourLines,
      images,
    ]);
  const peer = (precision: string, reader: string, workers: number) =>
    secondsOf([
      ...[python, here("predict-peer.py"), ...common, "--precision", precision, "--images", images, "--out", peerLines],
      ...["--reader", reader, "--workers", String(workers)],
    ]);
  const same = () => sameClasses(readFileSync(ourLines, "utf8"), readFileSync(peerLines, "utf8"));

  // These runs also bring the files into memory, for both alike.
  ours("fp32");
  peer("fp32", "pil", 0);
  const exact = same();
  report({ precision: "fp32", ...exact });
  if (exact.share < leastSame) {
    const rule = `must give the same class to ${100 * leastSame} % of the images before anything is timed`;
    throw fault("system", { where: images, rule, got: `${(100 * exact.share).toFixed(2)} %` });
  }
  const precision = hasBf16() ? "bf16" : "fp32";
  const tried = readers.flatMap((reader) =>
    workerCounts.map((workers) => ({ reader, workers, seconds: peer(precision, reader, workers) })),
  );
  for (const one of tried) report(one);
  const best = tried.reduce((a, b) => (b.seconds < a.seconds ? b : a));
  const taken = Array.from({ length: rounds }, () => ({
    ours: ours("auto"),
    peer: peer(precision, best.reader, best.workers),
  }));
  const speed = (side: "ours" | "peer") => exact.images / median(taken.map((round) => round[side]));
  const speeds = { patchdrop: speed("ours"), pytorch: speed("peer") };
  report({ ...same(), rounds: taken, reader: best.reader, workers: best.workers, threads, precision });
  report({ imagesPerSecond: speeds, ratio: speeds.patchdrop / speeds.pytorch });
}

/** Of a whole command. @throws kind "system" unless it ends with 0 */
function secondsOf([program, ...words]: string[]): number {
  // Lines are not gone on with.
  for (const name of words.filter((word) => word.startsWith(folder))) rmSync(name, { force: true });
  const began = performance.now();
  const { status, stderr, error } = spawnSync(program, words, { encoding: "utf8" });
  const seconds = (performance.now() - began) / 1000;
  if (status === 0) return seconds;
  const got = error?.message ?? `exit ${status}: ${lastLine(stderr)}`;
  throw fault("system", { where: [program, words[0]].join(" "), rule: "must end with 0", got });
}

function report(values: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(values)}\n`);
}
