/** An experiment with each of several seeds, one after the other, and what they say together. */
import path from "node:path";
import { alone, ofFirst } from "../distributed/process-group.ts";
import type { PolicySweep } from "../evaluation/evaluation.ts";
import { renderSeedsPage } from "../report/seeds-page.ts";
import type { SeedsTable } from "../report/table.ts";
import { defined } from "../utils/defined.ts";
import { loose, type Reporter, type StopSignal, silentReporter } from "../utils/reporter.ts";
import { sha256 } from "../utils/sha256.ts";
import { version } from "../utils/version.ts";
import { type Experiment, readExperiment } from "./experiment-file.ts";
import { assertResultsOf, publish, readSeedsResults } from "./experiment-results.ts";
import { pageName, resultsName } from "./experiment-schema.ts";
import { linesOver, meanRows } from "./over-seeds.ts";
import { assertRunnable, type ExperimentContext, type ExperimentResult, runExperiment } from "./run-experiment.ts";

/** An experiment with one of the seeds: what `patchdrop run --seed` makes of the same file in `folder`. */
export interface SeededExperiment {
  readonly seed: number;
  readonly folder: string;
  readonly experiment: Experiment;
  /** The command line that makes it. */
  readonly command: string;
}

/** What the seeds say together: means, and their intervals; empty as {@link ExperimentResult} is. */
export interface SeedsResult extends SeedsTable {
  /** The written page. */
  readonly page: string;
  readonly stopped?: StopSignal;
}

const unfinished = { seeds: [], sameForAll: [], rows: [], page: "" };

/** Reads an experiment file once for each seed, two or more that differ; their folders lie in `folder`. @throws as {@link readExperiment} */
export function readSeeds(
  file: string,
  folder: string,
  seeds: readonly number[],
  overrides: Record<string, unknown> = {},
): SeededExperiment[] {
  return seeds.map((seed) => {
    const own = path.join(folder, `seed${seed}`);
    const flags = Object.entries({ ...defined(overrides), seed, out: own }).map(flagText);
    const command = ["patchdrop run", file, ...flags].join(" ");
    return { seed, folder: own, experiment: readExperiment(file, own, { ...overrides, seed }), command };
  });
}

function flagText([name, value]: [string, unknown]): string {
  if (typeof value === "boolean") return value ? `--${name}` : `--no_${name}`;
  return `--${name} ${value}`;
}

/**
 * Runs what is not done of each seed, as {@link runExperiment} does; then results.json and index.html of all go under `folder`.
 * @throws what runExperiment throws; what can be known before one of them trains, before any of them does
 */
export async function runSeeds(
  seeds: readonly SeededExperiment[],
  folder: string,
  command: string,
  { reporter: given = silentReporter, group = alone }: ExperimentContext = {},
): Promise<SeedsResult> {
  const reporter = loose(given);
  await ofFirst(group, async () => {
    assertResultsOf("several seeds", folder);
    for (const one of seeds) await assertRunnable(one.experiment, one.folder);
  });
  const results: ExperimentResult[] = [];
  for (const one of seeds) {
    reporter.note(`seed ${one.seed}`);
    const result = await runExperiment(one.experiment, one.folder, one.command, { reporter, group });
    if (result.stopped !== undefined) return { ...unfinished, stopped: result.stopped };
    results.push(result);
  }
  if (group.rank > 0) return unfinished;
  return publishSeeds({ seeds, results, folder, command }, reporter);
}

interface SeedsDone {
  readonly seeds: readonly SeededExperiment[];
  readonly results: readonly ExperimentResult[];
  readonly folder: string;
  readonly command: string;
}

async function publishSeeds({ seeds, results, folder, command }: SeedsDone, reporter: Reporter): Promise<SeedsResult> {
  const { title, summary, gallery } = seeds[0].experiment;
  const table = tableOver(seeds, results);
  const shown = {
    ...{ title, summary, gallery, table },
    tradeoff: linesOver(table.seeds, results.flatMap(sweepsOf)),
    pages: seeds.map((one) => ({ seed: one.seed, address: addressFrom(folder, path.join(one.folder, pageName)) })),
  };
  const made_from = sha256(JSON.stringify({ program: version(), ...shown }));
  const known = readSeedsResults(path.join(folder, resultsName), reporter.note);
  const render = () => renderSeedsPage({ ...shown, command, generated: new Date() });
  const page = await publish({ folder, known, results: { command, made_from, ...table }, render }, reporter);
  return { ...table, page };
}

function tableOver(seeds: readonly SeededExperiment[], results: readonly ExperimentResult[]): SeedsTable {
  const own = seeds.flatMap(({ seed, experiment }) => experiment.stages.filter(({ options }) => options.seed !== seed));
  return {
    seeds: seeds.map(({ seed }) => seed),
    sameForAll: [...new Set(own.map(({ name }) => name))],
    rows: meanRows(results.map(({ rows }) => rows)),
  };
}

/** That of the stage which the page shows; none where none has a policy. */
function sweepsOf({ evaluations }: ExperimentResult): PolicySweep[] {
  return Object.values(evaluations).flatMap(({ sweep }) => sweep ?? []);
}

function addressFrom(folder: string, file: string): string {
  return path.relative(folder, file).split(path.sep).map(encodeURIComponent).join("/");
}
