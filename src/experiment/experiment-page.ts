/** The page of an experiment: all its stages, with a sweep and images of the one that it names. */
import { writeFileAtomic } from "../files/atomic.ts";
import { renderPage } from "../report/page.ts";
import type { Reporter } from "../utils/reporter.ts";
import { sha256 } from "../utils/sha256.ts";
import type { Experiment } from "./experiment-file.ts";
import { type EvaluatedRun, gatherPage } from "./gather.ts";

export interface ExperimentPage {
  readonly experiment: Experiment;
  readonly runs: readonly EvaluatedRun[];
  /** The command line that is said to have made it. */
  readonly command: string;
  /** Where the page goes. */
  readonly file: string;
}

/** Writes the page and returns its SHA-256. @throws system */
export async function writePage(
  { experiment, runs, command, file }: ExperimentPage,
  reporter: Reporter,
): Promise<string> {
  const { title, summary, gallery } = experiment;
  const page = await gatherPage(runs, { title, summary, command }, ({ name }) => name === gallery, reporter);
  const bytes = Buffer.from(await renderPage(page));
  writeFileAtomic(file, bytes);
  return sha256(bytes);
}
