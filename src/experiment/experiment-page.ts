/** The page of an experiment: all its stages, with a sweep and images of the one that it names. */
import path from "node:path";
import { writeFileAtomic } from "../files/atomic.ts";
import { renderPage } from "../report/page.ts";
import type { Reporter } from "../utils/reporter.ts";
import type { Experiment } from "./experiment-file.ts";
import { type EvaluatedRun, gatherPage } from "./gather.ts";

/** The stage whose sweep and images the page shows: the file's, or the last one with a policy. */
export function shownStage({ stages, gallery }: Experiment): string | undefined {
  const withPolicy = stages.filter(({ stage }) => stage !== "classifier_training");
  return (withPolicy.find(({ name }) => name === gallery) ?? withPolicy.at(-1))?.name;
}

/** Writes `index.html` into `folder`, and returns its path. */
export async function writePage(
  experiment: Experiment,
  runs: readonly EvaluatedRun[],
  folder: string,
  command: string,
  reporter: Reporter,
): Promise<string> {
  const { title, summary } = experiment;
  const shown = shownStage(experiment);
  const page = await gatherPage(runs, { title, summary, command }, ({ name }) => name === shown, reporter);
  const file = path.join(folder, "index.html");
  writeFileAtomic(file, Buffer.from(await renderPage(page)));
  return file;
}
