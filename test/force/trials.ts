/**
 * What the scripts of this folder share: their command line, the loop over trials, and what it says at its end. A trial is a
 * function of the seed and its number alone, so that one can be tried again by itself (`--from 17 --count 1`) and a long
 * series goes on where it was cut (`--record FILE`).
 */
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import { z } from "zod";
import { Random } from "../../src/utils/random.ts";

export interface Trial {
  /** What was tried, such as a command or a reader: the figures are counted by it. */
  readonly what: string;
  /** What came of it, in few words: counted too. */
  readonly outcome: string;
  /** What must not be, where something was. */
  readonly wrong?: string | undefined;
  /** How many inputs the trial stands for; 1 when absent. */
  readonly inputs?: number | undefined;
  /** A figure of which the largest is kept, by its name with its unit, such as "slowest ms". */
  readonly most?: Readonly<Record<string, number>> | undefined;
  /** A figure that is added up. */
  readonly sum?: Readonly<Record<string, number>> | undefined;
}

export interface Given {
  readonly seed: number;
  /** Number of the first trial. */
  readonly from: number;
  readonly count: number;
  readonly seconds: number;
  readonly record: string | undefined;
  /** Only what is named so. */
  readonly only: string | undefined;
}

/** Undefined where there is no trial of that number, nor of a higher one. */
export type Attempt = (index: number, random: Random) => Trial | undefined | Promise<Trial | undefined>;

const recordedSchema = z.object({
  seed: z.int(),
  index: z.int(),
  what: z.string(),
  outcome: z.string(),
  wrong: z.string().optional(),
  inputs: z.int().optional(),
  most: z.record(z.string(), z.number()).optional(),
  sum: z.record(z.string(), z.number()).optional(),
});
type Recorded = z.infer<typeof recordedSchema>;

/** Reads `--seed`, `--from`, `--count`, `--seconds`, `--record` and `--only`. */
export function given(defaults: { count: number; seconds: number }): Given {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { seed: text, from: text, count: text, seconds: text, record: text, only: text },
  });
  const number = (value: string | undefined, otherwise: number) =>
    z.coerce
      .number()
      .min(0)
      .parse(value ?? otherwise);
  return {
    seed: number(values.seed, 1),
    from: number(values.from, 0),
    count: number(values.count, defaults.count),
    seconds: number(values.seconds, defaults.seconds),
    record: values.record,
    only: values.only,
  };
}

/** Tries until the count or the time is over, says what came of it, and makes the exit code 1 where anything was wrong. */
export async function tryAll(name: string, run: Given, attempt: Attempt): Promise<void> {
  const began = performance.now();
  const tried = readRecord(run);
  const before = tried.length;
  const end = run.from + run.count;
  for (let index = 1 + (tried.at(-1)?.index ?? run.from - 1); index < end; index++) {
    if (performance.now() - began > 1000 * run.seconds) break;
    const trial = await attempt(index, new Random(run.seed, name, index));
    if (trial === undefined) break;
    const recorded: Recorded = { seed: run.seed, index, ...trial };
    tried.push(recorded);
    if (run.record !== undefined) appendFileSync(run.record, `${JSON.stringify(recorded)}\n`);
    if (trial.wrong !== undefined) console.log(`WRONG in trial ${index} (${trial.what}): ${trial.wrong}`);
  }
  const seconds = Math.round((performance.now() - began) / 1000);
  summarize(tried);
  const wrong = tried.filter((one) => one.wrong !== undefined).length;
  const earlier = before === 0 ? "" : `, ${before} of them in an earlier run`;
  console.log(`${name}: ${inputsOf(tried)} tried, ${wrong} wrong; seed ${run.seed}, ${seconds} s${earlier}`);
  console.log(
    `${new Date().toISOString().slice(0, 10)}, ${cpus()[0].model}, ${availableParallelism()} CPUs, Node ${process.version}`,
  );
  if (wrong > 0) process.exitCode = 1;
}

/** The trials of this seed that a record has; a last line that was cut off is tried again. */
function readRecord({ record, seed }: Given): Recorded[] {
  if (record === undefined || !existsSync(record)) return [];
  const lines = readFileSync(record, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => recordedSchema.parse(JSON.parse(line))).filter((one) => one.seed === seed);
}

const inputsOf = (trials: readonly Recorded[]) => trials.reduce((sum, { inputs = 1 }) => sum + inputs, 0);

function summarize(trials: readonly Recorded[]): void {
  for (const what of new Set(trials.map((one) => one.what))) {
    const own = trials.filter((one) => one.what === what);
    const outcomes = [...new Set(own.map(({ outcome }) => outcome))].sort();
    const counts = outcomes.map((outcome) => `${inputsOf(own.filter((one) => one.outcome === outcome))} ${outcome}`);
    const most = figures(own, "most", (values) => Math.max(...values));
    const sums = figures(own, "sum", (values) => values.reduce((all, value) => all + value, 0));
    console.log(`${what}: ${[...counts, ...sums, ...most].join(", ")}`);
  }
}

function figures(trials: readonly Recorded[], kind: "most" | "sum", of: (values: number[]) => number): string[] {
  const names = new Set(trials.flatMap((one) => Object.keys(one[kind] ?? {})));
  return [...names].map((name) => {
    const value = of(trials.flatMap((one) => one[kind]?.[name] ?? []));
    return `${name} ${Number.isInteger(value) ? value : value.toFixed(1)}`;
  });
}
