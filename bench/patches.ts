/**
 * Time by the number of patches: a classifier `--arch patches` beside the model's own dense one, on the same images and masks, in
 * libtorch, in ONNX Runtime and in the browser page's worker.
 *
 *     npx tsx bench/patches.ts [--model R34_fMoW] [--load RUN] [--precision fp32] [--threads 2] [--rounds 9] [--json FILE]
 *
 * First all must give the same probabilities in fp32. Then, in each round, both sides take a turn with each number of patches. How and
 * why is in docs/performance.md.
 */
import { writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { z } from "zod";
import { finish } from "../src/cli/exit.ts";
import { fault } from "../src/errors.ts";
import { softmax } from "../src/method/planes.ts";
import { choosePrecision } from "../src/nn/precision.ts";
import { startLibtorch } from "../src/tensor/start.ts";
import { executablePath, noChromium } from "../test/e2e/chromium.ts";
import { chromiumEngine } from "./patch-chromium.ts";
import { libtorchEngine, onnxEngine, type PatchEngine } from "./patch-engines.ts";
import { type Classifiers, openClassifiers, seenOf } from "./patch-networks.ts";
import { rowsOf, sides, type TimedCase, tableOf, timedCounts } from "./patch-times.ts";
import { benchModels } from "./side.ts";

/** Of a probability, between the engines. */
const tolerance = 1e-4;
/** Threads of the side before may still spin. */
const pauseMs = 20;
/** A turn begins with passes that are not timed, for at least so long. */
const wakeMs = 20;
/** Then as many as fill this are timed: a browser's clock has steps of a tenth of a millisecond. */
const turnMs = 60;

const text = { type: "string" } as const;
const argumentsSchema = z.object({
  model: z.enum(benchModels).optional(),
  load: z.string().optional(),
  precision: z.enum(["auto", "fp32"]).default("auto"),
  threads: z.coerce.number().int().min(1).default(availableParallelism()),
  rounds: z.coerce.number().int().min(1).default(9),
  json: z.string().optional(),
});
type Arguments = z.infer<typeof argumentsSchema>;

try {
  const options = { model: text, load: text, precision: text, threads: text, rounds: text, json: text };
  await compare(argumentsSchema.parse(parseArgs({ options }).values));
  process.exit();
} catch (error) {
  finish(error);
}

async function compare({ precision, threads, rounds, json, ...which }: Arguments): Promise<void> {
  const { version } = startLibtorch({ threads, device: "cpu" });
  const classifiers = openClassifiers(which);
  const opened: PatchEngine[] = [];
  const open = <T extends PatchEngine>(engine: T): T => {
    opened.push(engine);
    return engine;
  };
  try {
    const exact = open(libtorchEngine(classifiers, "fp32", threads));
    const chosen = choosePrecision(precision, "cpu");
    const own = chosen === "fp32" ? exact : open(libtorchEngine(classifiers, chosen, threads));
    const others = [open(await onnxEngine(classifiers, threads))];
    if (executablePath !== undefined) others.push(open(await chromiumEngine(classifiers, executablePath)));
    else say(`no browser is timed: ${noChromium}`);
    for (const engine of others) await mustAgree(exact, engine, classifiers);
    const engines = [own, ...others];
    const cases: TimedCase[] = [];
    for (const engine of engines) {
      for (const batch of engine.batches) {
        say(`${engine.name}, batch ${batch}: timing`);
        cases.push(await time(engine, classifiers, batch, rounds));
      }
    }
    process.stdout.write(`${cpus()[0].model}, PyTorch ${version}\n${tableOf(cases)}`);
    const numbers = cases.map((one) => ({ ...one, rows: rowsOf(one) }));
    const { name: model } = classifiers.patches.model;
    const provenance = { date: new Date().toISOString(), processor: cpus()[0].model, torch: version, threads };
    if (json !== undefined) {
      writeFileSync(json, `${JSON.stringify({ ...provenance, ...which, model, rounds, cases: numbers }, null, 2)}\n`);
    }
  } finally {
    for (const engine of opened) await engine.free();
  }
}

/** @throws kind "system" where an engine says something else than libtorch in fp32 */
async function mustAgree(exact: PatchEngine, engine: PatchEngine, classifiers: Classifiers): Promise<void> {
  for (const side of sides) {
    const { model, classes } = classifiers[side];
    for (const batch of engine.batches) {
      for (const count of timedCounts(model.grid.patches)) {
        const seen = seenOf(model, batch, count);
        const probabilities = async (one: PatchEngine) => softmax(await one.prepare(side, seen).logits(), classes);
        const [expected, got] = [await probabilities(exact), await probabilities(engine)];
        const largest = Math.max(...expected.map((p, at) => Math.abs(p - got[at])));
        if (expected.length === got.length && largest <= tolerance) continue;
        const where = `${engine.name}: ${side}, batch ${batch}, ${count} patches`;
        const rule = `probabilities must be within ${tolerance} of libtorch's before anything is timed`;
        throw fault("system", { where, rule, got: `a difference of ${largest}` });
      }
    }
  }
  say(`${engine.name}: the same probabilities as libtorch in fp32`);
}

/** Both sides with each number of patches, turn by turn. */
async function time(engine: PatchEngine, classifiers: Classifiers, batch: number, rounds: number): Promise<TimedCase> {
  const { model } = classifiers.patches;
  const { patches } = model.grid;
  const turns = timedCounts(patches).flatMap((count) => {
    const seen = seenOf(model, batch, count);
    return sides.map((side) => ({ side, count, pass: engine.prepare(side, seen), milliseconds: [] as number[] }));
  });
  for (let round = 0; round < rounds; round++) {
    for (const { pass, milliseconds } of turns) {
      await sleep(pauseMs);
      await pass.milliseconds(wakeMs);
      milliseconds.push((await pass.milliseconds(turnMs)) / batch);
    }
  }
  return { engine: engine.name, batch, patches, timed: turns.map(({ pass: _, ...timed }) => timed) };
}

function say(words: string): void {
  process.stderr.write(`patches: ${words}\n`);
}
