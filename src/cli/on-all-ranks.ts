/** A command that many processes run as one: joining them, and how they end together. */
import { mustAgree } from "../distributed/agreement.ts";
import { type Joined, join } from "../distributed/join.ts";
import { type Launch, launchOf } from "../distributed/launch.ts";
import { RankEnded } from "../distributed/meeting.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { flatTexts } from "../files/json.ts";
import { Stopped, type StopSignal } from "../utils/reporter.ts";
import { version } from "../utils/version.ts";
import { endBy, signalExitCode } from "./exit.ts";
import { letFirstSpeak, report } from "./failure.ts";

/**
 * Runs `work`, which returns the signal behind which it has saved, in the group that this process was started in. Of many ranks, one that
 * fails says so, with its number, and ends all.
 */
export async function onAllRanks(
  command: string,
  { quiet }: { readonly quiet: boolean },
  work: (group: ProcessGroup) => Promise<StopSignal | undefined>,
): Promise<void> {
  const launch = launchOf();
  let joined: Joined | undefined;
  let stopped: StopSignal | undefined;
  try {
    joined = join(launch);
    if (!quiet && launch?.rank === 0) noteRanks(launch);
    const { group } = joined;
    mustAgree(group, "command", flatTexts({ command, patchdrop: version(), node: process.version }));
    stopped = await work(group);
  } catch (error) {
    if (launch === undefined) throw error;
    const code = said(error, `rank ${launch.rank} of ${launch.size}: `);
    joined?.abort(code);
    process.exit(code);
  }
  joined.leave();
  if (stopped !== undefined) endBy(stopped);
}

/** Torchrun sets OMP_NUM_THREADS to 1 where a user has not set it. */
function noteRanks({ by, size }: Launch, { OMP_NUM_THREADS: threads = "" } = process.env): void {
  const each = threads === "" ? "" : `, with OMP_NUM_THREADS=${threads}, which --threads overrides`;
  process.stderr.write(`${size} ranks, started by ${by}${each}\n`);
}

/** Says why work has ended that has nothing to save, and gives the exit code. */
function said(error: unknown, who: string): number {
  if (error instanceof RankEnded) return error.exitCode;
  if (!(error instanceof Stopped)) return report(error, who);
  letFirstSpeak();
  process.stderr.write(`${error.message}\n`);
  return signalExitCode(error.signal);
}
