/**
 * The ratios that were measured before, kept in bench/baseline.json: `--check` fails when one has fallen, `--store` puts
 * new ones there. Ratios, since both sides of one were measured in the same minutes; by processor, since each has its own.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { fault } from "../src/errors.ts";
import { type CaseResult, ratios } from "./measure.ts";
import { benchModels, stages, units } from "./side.ts";

const file = fileURLToPath(new URL("baseline.json", import.meta.url));
/** A ratio varies by some percent from run to run. */
const tolerance = 0.1;

const placeShape = {
  processor: z.string(),
  processors: z.int(),
  threads: z.int(),
  device: z.enum(["cpu", "cuda"]),
  unit: z.enum(units),
};
const storedSchema = z.object({
  ...placeShape,
  model: z.enum(benchModels),
  stage: z.enum(stages),
  batch: z.int(),
  overReference: z.number().positive(),
  overBest: z.number().positive(),
  date: z.string(),
  torch: z.string(),
});
export type Stored = z.infer<typeof storedSchema>;

/** Where and how the cases were measured. */
export type Place = z.infer<z.ZodObject<typeof placeShape>>;

/**
 * A line for each case: its ratios beside the stored ones.
 * @throws kind "system" when one fell by more than a tenth
 */
export function check(cases: readonly CaseResult[], place: Place, entries: readonly Stored[] = read()): string {
  const stored = new Map(entries.map((entry) => [keyOf(entry), entry]));
  const fallen: string[] = [];
  const lines = cases.map((measured) => {
    const { model, stage, batch } = measured;
    const before = stored.get(keyOf({ ...place, model, stage, batch }));
    const name = `${model} ${stage} ${batch}`;
    if (before === undefined) return `${name}: nothing stored for this processor\n`;
    const now = ratios(measured);
    const parts = (["overReference", "overBest"] as const).map((which) => {
      const label = which === "overReference" ? "c/a" : "c/b";
      const text = `${label} ${now[which].toFixed(2)}, stored ${before[which].toFixed(2)}`;
      if (now[which] < (1 - tolerance) * before[which]) fallen.push(`${name}: ${text}`);
      return text;
    });
    return `${name}: ${parts.join("; ")}\n`;
  });
  if (fallen.length > 0) {
    const rule = `no ratio may fall by more than ${100 * tolerance} %`;
    const next = "find what became slower, or measure again on a quiet machine";
    throw fault("system", { where: "bench/baseline.json", rule, got: fallen.join(", "), next });
  }
  return lines.join("");
}

/** Puts the cases' ratios in place of those stored for the same case on the same processor. */
export function store(cases: readonly CaseResult[], place: Place, torch: string): void {
  const date = new Date().toISOString().slice(0, 10);
  const stored = new Map(read().map((entry) => [keyOf(entry), entry]));
  for (const measured of cases) {
    const { model, stage, batch } = measured;
    const { overReference, overBest } = ratios(measured);
    const rounded = { overReference: Number(overReference.toFixed(3)), overBest: Number(overBest.toFixed(3)) };
    const entry: Stored = { ...place, model, stage, batch, ...rounded, date, torch };
    stored.set(keyOf(entry), entry);
  }
  const lines = [...stored.values()].map((entry) => `  ${JSON.stringify(entry)}`);
  writeFileSync(file, `[\n${lines.join(",\n")}\n]\n`);
}

function keyOf(entry: Omit<Stored, "overReference" | "overBest" | "date" | "torch">): string {
  const { processor, processors, threads, device, unit, model, stage, batch } = entry;
  return JSON.stringify([processor, processors, threads, device, unit, model, stage, batch]);
}

function read(): Stored[] {
  if (!existsSync(file)) return [];
  return z.array(storedSchema).parse(JSON.parse(readFileSync(file, "utf8")));
}
