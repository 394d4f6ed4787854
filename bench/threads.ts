/**
 * Measures each stage in images/s by the number of libtorch's threads and by how these wait for each other, on an idle machine and beside
 * busy processes:
 *
 *     npx tsx bench/threads.ts [--stages classifier,eval] [--loads 0,1] [--spins 0,1000] [--seconds 4] [--json FILE]
 *
 * A thread that has ended its part of an operator spins for a while before it sleeps (libgomp's GOMP_SPINCOUNT, in turns of its loop).
 * While it spins, a process that could compute does not. What was chosen by these numbers: libgomp's own count of turns, and src/utils/threads.ts.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { markdownTable } from "./markdown-table.ts";
import { manySteps, median } from "./measure.ts";
import { Side, type Stage, stages, type Work } from "./side.ts";

const batches: Record<Stage, number> = {
  classifier: 64,
  pretrain: 512,
  finetune: 256,
  finetune2stream: 256,
  eval: 512,
};
const { values } = parseArgs({
  options: {
    stages: { type: "string", default: stages.join(",") },
    seconds: { type: "string", default: "4" },
    spins: { type: "string", default: "0,1000,10000,100000,300000" },
    loads: { type: "string", default: "0,1,3" },
    json: { type: "string" },
  },
});
const seconds = Number(values.seconds);
/** Busy processes beside. */
const loads = values.loads.split(",").map(Number);
/** A loop that ends with whoever started it, however that ends. */
const busyUntilAlone =
  'new worker_threads.Worker("for (;;);", { eval: true }); process.stdin.resume().on("end", () => process.exit());';
/** Of each setting, at each load. */
const turns = 6;
const common = { model: "R32_C10", steps: manySteps, warmup: 2, device: "cpu", unit: "step" } as const;
const all = availableParallelism();
const settings = [
  { threads: 1, spins: 0 },
  ...[...new Set([2, all])]
    .filter((threads) => threads > 1 && threads <= all)
    .flatMap((threads) => values.spins.split(",").map((spins) => ({ threads, spins: Number(spins) }))),
];

const results: { stage: string; load: number; threads: number; spins: number; imagesPerSecond: number }[] = [];
for (const stage of values.stages.split(",") as Stage[]) {
  const sides = await startAll(stage);
  try {
    for (const load of loads) {
      const busy = Array.from({ length: load }, () => spawn(process.execPath, ["-e", busyUntilAlone]));
      try {
        const rates = await takeTurns(sides, batches[stage]);
        for (const [index, { threads, spins }] of settings.entries()) {
          const imagesPerSecond = rates[index];
          results.push({ stage, load, threads, spins, imagesPerSecond });
          process.stderr.write(`${stage}, ${load} busy, ${threads} threads, ${spins}: ${imagesPerSecond.toFixed(0)}\n`);
        }
      } finally {
        for (const one of busy) one.kill("SIGKILL");
        await sleep(200);
      }
    }
  } finally {
    for (const side of sides) side.stop();
  }
}
const header = ["stage", "busy processes", ...settings.map(({ threads, spins }) => `${threads} · ${spins}`)];
const rows = [...new Set(results.map(({ stage }) => stage))].flatMap((stage) =>
  loads.map((load) => {
    const own = results.filter((one) => one.stage === stage && one.load === load);
    return [stage, String(load), ...own.map((one) => one.imagesPerSecond.toFixed(0))];
  }),
);
process.stdout.write(markdownTable(header, rows, 1));
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`);

/** A process for each setting. */
async function startAll(stage: Stage): Promise<Side[]> {
  const command = [process.execPath, "--import", "tsx", fileURLToPath(new URL("ours.ts", import.meta.url))];
  const sides: Side[] = [];
  try {
    for (const { threads, spins } of settings) {
      const work: Work = { ...common, stage, batch: batches[stage], threads };
      const env = { GOMP_SPINCOUNT: String(spins) };
      sides.push((await Side.start("patchdrop", [...command, "--precision", "auto"], work, env)).side);
    }
  } catch (error) {
    for (const side of sides) side.stop();
    throw error;
  }
  return sides;
}

/** Images/s of each side by its median step: they take turns, for a shared machine is faster in one minute than in the next. */
async function takeTurns(sides: readonly Side[], batch: number): Promise<number[]> {
  const taken = sides.map((): number[] => []);
  for (let turn = 0; turn < turns; turn++) {
    for (const [index, side] of sides.entries()) {
      await side.step(); // awake again
      const began = performance.now();
      do taken[index].push((await side.step()).seconds);
      while (performance.now() - began < (1000 * seconds) / turns);
    }
  }
  return taken.map((steps) => batch / median(steps));
}
