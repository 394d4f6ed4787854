/** A command that many processes run as one: joining them, and how they end together. */
import { setTimeout as delay } from "node:timers/promises";
import { type Joined, join } from "../distributed/join.ts";
import { type Launch, launchOf } from "../distributed/launch.ts";
import { RankEnded } from "../distributed/meeting.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { Stopped, type StopSignal } from "../utils/reporter.ts";
import { endBy, signalExitCode } from "./exit.ts";
import { report } from "./failure.ts";

/** What all ranks meet, the first says: the others are ended by then. */
const firstSpeaksMs = 2000;

/**
 * Runs `work`, which returns the signal behind which it has saved, in the group that this process was started in. Of many ranks, one that
 * fails says so, with its number, and ends all.
 */
export async function onAllRanks(
  { quiet }: { readonly quiet: boolean },
  work: (group: ProcessGroup) => Promise<StopSignal | undefined>,
): Promise<void> {
  const launch = launchOf();
  let joined: Joined | undefined;
  let stopped: StopSignal | undefined;
  try {
    joined = join(launch);
    if (!quiet && launch?.rank === 0) noteThreads(launch);
    stopped = await work(joined.group);
  } catch (error) {
    if (launch !== undefined && launch.rank > 0 && !(error instanceof RankEnded)) await untilFirstSpoke();
    if (launch === undefined || joined === undefined) throw error;
    const code = said(error, `rank ${launch.rank} of ${launch.size}: `);
    joined.abort(code);
    process.exit(code);
  }
  joined.leave();
  if (stopped !== undefined) endBy(stopped);
}

/** The first has spoken when the others are ended, as torchrun does by SIGTERM. */
async function untilFirstSpoke(): Promise<void> {
  process.once("SIGTERM", () => process.exit(signalExitCode("SIGTERM")));
  await delay(firstSpeaksMs);
}

/** Torchrun sets it to 1 where a user has not set it. */
function noteThreads({ by }: Launch, { OMP_NUM_THREADS: threads } = process.env): void {
  if (by !== "torchrun" || threads === undefined) return;
  process.stderr.write(
    `torchrun sets OMP_NUM_THREADS=${threads}: so many threads a rank, unless --threads says otherwise\n`,
  );
}

/** Says why work has ended that has nothing to save, and gives the exit code. */
function said(error: unknown, who: string): number {
  if (error instanceof RankEnded) return error.exitCode;
  if (!(error instanceof Stopped)) return report(error, who);
  process.stderr.write(`${error.message}\n`);
  return signalExitCode(error.signal);
}
